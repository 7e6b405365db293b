package main

import (
	"regexp"
	"strings"

	"sphinxmix.example/node/directory"
)

// ownNames matches the names of the program's own parts where errors begin with them: at the start of a text or a line,
// and behind another part.
var ownNames = regexp.MustCompile(`(^|: |\n)(?:(?:node|mix|directory|keyring|link|replay|sphinx|client|exit|socks5|stream|tao|tpm|swtpm): )+`)

// plain takes the names of the program's own parts from an error: the key that stands before it says more.
func plain(err error) string {
	words := strings.Fields(ownNames.ReplaceAllString(err.Error(), "$1"))
	for len(words) > 1 && (words[0] == "or" || strings.HasPrefix(words[0], "Config.")) {
		words = words[1:]
	}
	return strings.Join(words, " ")
}

// plainOf is plain for what is wrong with a setting, which is no descriptor yet.
func plainOf(err error) string {
	return strings.TrimPrefix(plain(err), directory.ErrDescriptor.Error()+": ")
}

// wrongs is what an error says to people whose text may have parts that come from anybody: plain, and clean.
func wrongs(err error) string { return clean(plain(err)) }

// clean makes one line of text that may come from anybody, with nothing in it that a terminal would act on.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		return visible(r)
	}, text)
}

// cleaned is an error whose text may have parts that come from anybody.
type cleaned struct{ error }

func (e cleaned) Error() string { return wrongs(e.error) }
func (e cleaned) Unwrap() error { return e.error }
