package schedule

import (
	"crypto/sha256"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/chacha20"

	"sphinxmix.example/lioness"
	"sphinxmix.example/sphinx/internal/x25519"
)

func randomness(name string) *rand.ChaCha8 { return rand.NewChaCha8(sha256.Sum256([]byte(name))) }

func blake(t testing.TB, size int, key string, parts ...[]byte) []byte {
	t.Helper()
	h, err := blake2b.New(size, []byte(key))
	require.NoError(t, err)
	h.Write(slices.Concat(parts...))
	return h.Sum(nil)
}

func stream(t testing.TB, key []byte, n int) []byte {
	t.Helper()
	c, err := chacha20.NewUnauthenticatedCipher(key, make([]byte, chacha20.NonceSize))
	require.NoError(t, err)
	out := make([]byte, n)
	c.XORKeyStream(out, out)
	return out
}

func clamped(b []byte) x25519.Key {
	k := x25519.Key(b)
	x25519.Clamp(&k)
	return k
}

func draw(random *rand.ChaCha8) (alpha, y, s x25519.Key) {
	random.Read(alpha[:])
	random.Read(y[:])
	random.Read(s[:])
	return alpha, y, s
}

// TestBound is key schedule 1 by its text; one Schedule after the other and the same one again.
func TestBound(t *testing.T) {
	require.Equal(t, "sphinx-x25519-chacha20-blake2b-1", string(label))
	require.Len(t, label, 32)
	require.Len(t, Keys{}, 320)
	require.Len(t, Seed{}, 32)
	random := randomness("bound")
	d := New(false)
	for range 100 {
		alpha, y, s := draw(random)
		prk := blake(t, 32, "sphinx-x25519-chacha20-blake2b-1", alpha[:], y[:], s[:])
		okm := stream(t, prk, 320)
		var keys Keys
		seed := d.Derive(&keys, &alpha, &y, &s)
		require.Equal(t, prk, seed[:])
		require.Equal(t, okm[:32], keys.Stream()[:])
		require.Equal(t, okm[32:64], d.MACKey(&keys))
		require.Equal(t, okm[64:256], keys.Payload()[:])
		require.Equal(t, clamped(okm[256:288]), *keys.Blinding())
		require.Equal(t, okm[288:], keys.Tag()[:])
		beta := slices.Concat(alpha[:], y[:], s[:])
		require.Equal(t, append([]byte("x"), blake(t, 16, string(okm[32:64]), beta)...), d.MAC([]byte("x"), &keys, beta))

		var payload [lioness.KeySize]byte
		d.PayloadKey(&payload, &seed)
		require.Equal(t, *keys.Payload(), payload)
		d.ReplyKey(&payload, &alpha)
		require.Equal(t, stream(t, blake(t, 32, "sphinx-x25519-chacha20-blake2b-1", []byte("reply"), alpha[:]), 192), payload[:])
	}
}

// TestReference is key schedule 0 by its text.
func TestReference(t *testing.T) {
	random := randomness("reference")
	d := New(true)
	for range 100 {
		alpha, y, s := draw(random)
		var keys Keys
		seed := d.Derive(&keys, &alpha, &y, &s)
		rho := blake(t, 32, "", []byte{0x22}, s[:])
		require.Equal(t, rho, keys.Stream()[:])
		require.Equal(t, blake(t, 16, "", []byte{0x33}, s[:]), d.MACKey(&keys))
		require.Equal(t, clamped(blake(t, 32, "", []byte{0x11}, alpha[:], s[:])), *keys.Blinding())
		require.Equal(t, blake(t, 32, "", []byte{0x55}, s[:]), keys.Tag()[:])
		require.Equal(t, stream(t, rho, 192), keys.Payload()[:])
		require.Equal(t, blake(t, 16, string(blake(t, 16, "", []byte{0x33}, s[:])), alpha[:]), d.MAC(nil, &keys, alpha[:]))

		var payload [lioness.KeySize]byte
		d.PayloadKey(&payload, &seed)
		require.Equal(t, *keys.Payload(), payload)
		d.ReplyKey(&payload, &alpha)
		require.Equal(t, stream(t, blake(t, 32, "", []byte{0x22}, alpha[:]), 192), payload[:])
	}
}

// TestEveryInputBitReachesEveryKey of schedule 1: α, y and s, so that a header is bound to all three.
func TestEveryInputBitReachesEveryKey(t *testing.T) {
	alpha, y, s := draw(randomness("bits"))
	d := New(false)
	var keys Keys
	d.Derive(&keys, &alpha, &y, &s)
	for i, input := range []*x25519.Key{&alpha, &y, &s} {
		for bit := range 8 * len(input) {
			input[bit/8] ^= 1 << (bit % 8)
			var changed Keys
			d.Derive(&changed, &alpha, &y, &s)
			for at := 0; at < len(keys); at += 16 {
				require.NotEqual(t, keys[at:at+16], changed[at:at+16], "input %d, bit %d, keys from %d on", i, bit, at)
			}
			input[bit/8] ^= 1 << (bit % 8)
		}
	}
}

func TestWipe(t *testing.T) {
	alpha, y, s := draw(randomness("wipe"))
	for _, insecure := range []bool{false, true} {
		d, fresh := New(insecure), New(insecure)
		var keys Keys
		d.Derive(&keys, &alpha, &y, &s)
		d.MAC(nil, &keys, alpha[:])
		d.PayloadKey(keys.Payload(), new(Seed))
		d.ReplyKey(keys.Payload(), &s)
		require.NotEqual(t, fresh, d)
		d.Wipe()
		require.Equal(t, fresh, d)
	}
}

func TestNothingAllocates(t *testing.T) {
	alpha, y, s := draw(randomness("allocations"))
	for _, insecure := range []bool{false, true} {
		d := New(insecure)
		var keys Keys
		var gamma [MACSize]byte
		var seed Seed
		derivations := []Derivation{{&keys, &seed, &alpha, &y, &s}}
		require.Zero(t, testing.AllocsPerRun(10, func() {
			d.DeriveAll(derivations)
			d.MAC(gamma[:0], &keys, alpha[:])
			d.PayloadKey(keys.Payload(), &seed)
			d.ReplyKey(keys.Payload(), &s)
			d.Wipe()
		}), "insecure: %t", insecure)
	}
}
