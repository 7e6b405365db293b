// Package printing looks for secrets in what package fmt makes of values.
package printing

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// RequireHidden asserts that no verb prints a part of secret, wherever in what is printed the value stands: where fmt
// finds its methods, and in fields that are not exported, where it does not. secret has at least 12 bytes, of which eight
// are looked for: fewer might be in an address by chance. Nothing may write to the value meanwhile.
func RequireHidden[T any](t testing.TB, value T, secret []byte) {
	t.Helper()
	part := secret[4:12]
	var forms []string
	for _, form := range []string{"%x", "%X", "%s", "%q", "%d", "%#v"} {
		forms = append(forms, strings.Trim(strings.TrimPrefix(fmt.Sprintf(form, part), "[]byte"), `[]{}"`))
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%d", "%q"} {
		for _, printed := range []any{value, struct{ V T }{value}, struct{ v T }{value}, struct{ v any }{value}, []T{value}, []any{value}} {
			text := fmt.Sprintf(verb, printed)
			for _, form := range forms {
				require.False(t, strings.Contains(text, form), "%s of %T", verb, printed)
			}
		}
	}
}
