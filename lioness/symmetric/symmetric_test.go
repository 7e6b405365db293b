package symmetric

import (
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func randomBytes(name string, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8(sha256.Sum256([]byte(name))).Read(b)
	return b
}

func decode(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

// use makes i the chosen implementation until the test ends.
func use(t testing.TB, i implementation) {
	before := chosen
	t.Cleanup(func() { chosen = before })
	chosen = i
}

// each runs test with every implementation that this machine has.
func each(t *testing.T, test func(t *testing.T)) {
	for _, i := range available() {
		t.Run(strings.ReplaceAll(i.String(), "-", ""), func(t *testing.T) {
			use(t, i)
			test(t)
		})
	}
}
