package sphinx

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/lioness"
)

var verbs = []string{
	"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%#x", "%d", "%o", "%b", "%c", "%U", "%t", "%p", "%T", "%5.1f", "%10v",
}

// forms are the ways in which eight bytes of secret can stand in a text.
func forms(secret []byte) (all []string) {
	for at := 0; at+8 <= len(secret); at += 8 {
		part := secret[at : at+8]
		if bytes.Equal(part, make([]byte, 8)) {
			continue
		}
		list, err := json.Marshal([8]byte(part))
		if err != nil {
			panic(err)
		}
		all = append(all, string(part), strings.Trim(string(list), "[]"))
		for _, verb := range verbs {
			if verb == "%p" || verb == "%T" {
				continue
			}
			for _, printed := range []string{fmt.Sprintf(verb, part), fmt.Sprintf(verb, [8]byte(part))} {
				if verb == "%#v" { // less the type
					_, printed, _ = strings.Cut(printed, "{")
				}
				all = append(all, strings.Trim(printed, `[]{}"`))
			}
		}
	}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		all = append(all, encoding.EncodeToString(secret)[:len(secret)/3*4])
	}
	// A secret with a bracket at its end has a form that is trimmed to less; what is very short is found anywhere.
	all = slices.DeleteFunc(all, func(form string) bool { return len(form) < 6 })
	slices.Sort(all)
	return slices.Compact(all)
}

// leaks reports whether text holds one of forms.
func leaks(text string, forms []string) bool {
	return slices.ContainsFunc(forms, func(form string) bool { return strings.Contains(text, form) })
}

type (
	exported[T any] struct{ V T }
	hidden[T any]   struct{ v T }
)

// shapes are the ways in which a value comes to be printed: alone, and inside of others, where fmt finds its methods
// (exported fields, elements) and where it does not (unexported fields).
func shapes[T any](v *T) []any {
	return []any{
		*v, v,
		[]T{*v},
		[]*T{v},
		[1]T{*v},
		map[string]T{"": *v},
		map[string]*T{"": v},
		exported[T]{*v},
		&exported[T]{*v},
		exported[*T]{v},
		&exported[*T]{v},
		exported[any]{*v},
		exported[any]{v},
		exported[[]T]{[]T{*v}},
		hidden[T]{*v},
		&hidden[T]{*v},
		hidden[*T]{v},
		&hidden[*T]{v},
		hidden[any]{*v},
		hidden[any]{v},
		hidden[[]T]{[]T{*v}},
		hidden[map[string]T]{map[string]T{"": *v}},
		[]hidden[T]{{*v}},
		exported[hidden[T]]{hidden[T]{*v}},
		hidden[hidden[T]]{hidden[T]{*v}},
		fmt.Errorf("because of %v, %+v", *v, v),
	}
}

// texts is all that fmt, encoding/json and log/slog make of v.
func texts(v any) map[string]string {
	out := make(map[string]string)
	for _, verb := range verbs {
		out[verb] = fmt.Sprintf(verb, v)
	}
	out["Sprint"], out["Sprintln"] = fmt.Sprint(v), fmt.Sprintln(v)
	encoded, err := json.Marshal(v)
	out["json"] = fmt.Sprint(string(encoded), err)
	var text, lines bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("about", "v", v, slog.Group("g", "v", v))
	slog.New(slog.NewJSONHandler(&lines, nil)).Info("about", "v", v, slog.Group("g", "v", v))
	out["slog text"], out["slog JSON"] = text.String(), lines.String()
	return out
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	p := Params{MaxHops: 3, PayloadSize: 64}
	random := randomness("printing")
	nodes := newNodes(t, random, 3)
	key := nodes[0].key
	surb, replyKey := newSURB(t, p, nodes)
	encoded, err := surb.AppendBinary(nil)
	require.NoError(t, err)
	seen := Tag(randomBytes(random, TagSize))
	unwrapper := nodes[0].unwrapper(t, p, TagSet{seen: {}})
	lionessKey := [lioness.KeySize]byte(randomBytes(random, lioness.KeySize))
	cipher := lioness.New(&lionessKey)
	require.NoError(t, cipher.Encrypt(make([]byte, 64)))

	for _, c := range []struct {
		name    string
		shapes  []any
		secrets [][]byte
	}{
		{"PrivateKey", append(shapes(key), struct{ PrivateKey }{*key}, struct{ *PrivateKey }{key}), [][]byte{key.Bytes()}},
		{"SURB", append(shapes(surb), struct{ SURB }{*surb}, struct{ *SURB }{surb}), [][]byte{encoded}},
		{
			"ReplyKey",
			append(shapes(replyKey), struct{ ReplyKey }{*replyKey}, struct{ *ReplyKey }{replyKey}),
			[][]byte{secretsOf(replyKey).ktilde[:], secretsOf(replyKey).seeds[0][:], secretsOf(replyKey).seeds[2][:]},
		},
		{
			"Unwrapper",
			append(shapes(unwrapper), struct{ Unwrapper }{*unwrapper}, struct{ *Unwrapper }{unwrapper}),
			[][]byte{key.Bytes(), seen[:]}, // a tag in a log is a trace of a packet
		},
		{
			"Cipher",
			append(shapes(cipher), struct{ lioness.Cipher }{*cipher}, struct{ *lioness.Cipher }{cipher}),
			[][]byte{lionessKey[:]},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var needles []string
			for _, secret := range c.secrets {
				needles = append(needles, forms(secret)...)
			}
			for _, shape := range c.shapes {
				var by []string
				for how, text := range texts(shape) {
					if leaks(text, needles) {
						by = append(by, how)
					}
				}
				if slices.Sort(by); len(by) > 0 {
					t.Errorf("%T shows secrets by %s", shape, strings.Join(by, ", "))
				}
			}
		})
	}
	require.Equal(t, "sphinx.PrivateKey(secret)", fmt.Sprint(key))
	require.Equal(t, "sphinx.SURB(secret)", fmt.Sprint(surb))
	require.Equal(t, "sphinx.ReplyKey(secret)", fmt.Sprintf("%#v", replyKey))
	require.Equal(t, "sphinx.Unwrapper(secret)", fmt.Sprintf("%x", *unwrapper))
	require.Equal(t, "lioness.Cipher(secret)", fmt.Sprintf("%d", cipher))
}

// TestLeaksAreFound: the search above finds a secret that a type does not guard.
func TestLeaksAreFound(t *testing.T) {
	type bare struct{ Key [32]byte }
	v := bare{[32]byte(randomBytes(randomness("bare"), 32))}
	needles := forms(v.Key[:])
	for how, text := range texts(v) {
		require.Equal(t, how != "%T", leaks(text, needles) || how == "%5.1f", "%s: %s", how, text)
	}
	for how, text := range texts(hidden[bare]{v}) {
		require.Equal(t, !strings.Contains("%T json slog JSON", how), leaks(text, needles) || how == "%5.1f", "%s: %s", how, text)
	}
	require.True(t, leaks(texts(exported[[]byte]{v.Key[:]})["json"], needles), "base64")
}

// TestLayersArePrintedInWords, for whoever looks at one.
func TestLayersArePrintedInWords(t *testing.T) {
	for route, name := range map[Route]string{0: "refused", Relay: "relay", Exit: "exit", Reply: "reply", 9: "Route(9)"} {
		require.Equal(t, name, fmt.Sprintf("%v", route))
	}
	require.Equal(t, "ff"+strings.Repeat("00", TagSize-1), fmt.Sprint(Tag{0xff}))
}
