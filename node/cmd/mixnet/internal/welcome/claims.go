package welcome

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"sphinxmix.example/tao"
)

// Title is the first line of the page.
func (v *visit) Title() string {
	how := "each by a software TPM"
	switch {
	case v.Attested == 0 || len(v.Out) == 0:
		return "Welcome. You came through a mix network."
	case v.Attested == tao.Soft:
		how = "soft, which proves nothing"
	}
	return fmt.Sprintf("Welcome. You came through %s attested mixes (%s).", inWords(len(v.Out)), how)
}

// inWords writes a small number.
func inWords(n int) string {
	if words := []string{3: "three", 4: "four", 5: "five"}; n < len(words) && words[n] != "" {
		return words[n]
	}
	return fmt.Sprint(n)
}

// Question is what Answer answers.
func (v *visit) Question() string {
	if v.Attested == 0 {
		return "What is not there"
	}
	return "What is proven"
}

const (
	onThisMachine = "And all of them run on this machine, which sees everything: this network shows, and hides nothing."

	attestedNot = "Nothing proves what program a mix runs (attestation)."

	attestedSoftly = "Nothing. Your proxy, the directory and every mix have checked, each by itself and from the network's policy key " +
		"alone, that these mixes show the program, the settings and the keys that the policy wants. But what vouches for that is " +
		"soft: a key in the program's own memory, which can say anything. With 'mixnet up --tpm', each mix has a software TPM."

	attestedByTPM = "A software TPM of each mix's own has signed which program measured itself into it, with which settings and keys; " +
		"your proxy, the directory and every mix have checked that, each by itself and from the network's policy key alone. " +
		"What is not proven: that the programs told their TPMs the truth, as whoever has root on a machine can make them lie. " +
		"And a TPM that is a program keeps nothing from whoever runs it."

	exitSoftly = "Nothing. This exit shows what it runs to whoever asks, but what vouches for that is soft: a key in a file, which can say " +
		"anything."

	exitByTPM = "A TPM has signed which program measured itself into it on this exit, with which settings and keys. You need not believe " +
		"this page: a proxy that is given the network's policy key checks that of every mix by itself, and takes no path through " +
		"others. The page does not know whether yours does. What no TPM proves: that a program told it the truth, as whoever has " +
		"root on its machine can make it lie."
)

// Answer says what is known of the mixes, and what not.
func (v *visit) Answer() string {
	known := len(v.Out) > 0
	switch {
	case known && v.Attested == tao.TPM:
		return attestedByTPM + " " + onThisMachine
	case known && v.Attested == tao.Soft:
		return attestedSoftly + " " + onThisMachine
	case known:
		return attestedNot + " That these are the network's mixes is its directory's word. " + onThisMachine
	case v.Attested == tao.TPM:
		return exitByTPM
	case v.Attested == tao.Soft:
		return exitSoftly
	default:
		return attestedNot + " Which mixes there are is the word of the network's directory."
	}
}

// wrapped breaks a text into lines of up to so many columns.
func wrapped(text string, columns int) string {
	var out strings.Builder
	column := 0
	for _, word := range strings.Fields(text) {
		width := utf8.RuneCountInString(word)
		switch {
		case column == 0:
		case column+1+width > columns:
			out.WriteByte('\n')
			column = 0
		default:
			out.WriteByte(' ')
			column++
		}
		out.WriteString(word)
		column += width
	}
	return out.String()
}
