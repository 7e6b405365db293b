package directory

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/sha256"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/sphinx"
)

func TestNodeIDIsAHashOfTheIdentity(t *testing.T) {
	key := public(identity(1))
	hash := sha256.Sum256(append([]byte("sphinxmix node id v1\x00"), key...))
	id := NodeIDOf(key)
	require.Equal(t, hash[:12], id[:])
	require.Len(t, id.String(), 24)
	require.NotEqual(t, id, NodeIDOf(public(identity(2))))
}

// TestNodeIDsHaveOneText: names in stores and what users type are ids in no other form.
func TestNodeIDsHaveOneText(t *testing.T) {
	id := NodeID{0xab, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0xff}
	const digits = "ab0102030405060708090aff"
	text, err := id.MarshalText()
	require.NoError(t, err)
	require.Equal(t, digits, string(text))
	require.Equal(t, digits, id.String())
	var read NodeID
	require.NoError(t, read.UnmarshalText(text))
	require.Equal(t, id, read)
	for _, other := range []string{
		"", "ab", digits[:23], digits[:22], digits + "0", digits + "00", "AB" + digits[2:], "0x" + digits[2:], "ag" + digits[2:], " " + digits[1:],
	} {
		require.ErrorContains(t, read.UnmarshalText([]byte(other)), "24 digits", "%q", other)
		require.Equal(t, id, read, "%q", other)
	}
}

func TestAddressIsTheRoutingBlock(t *testing.T) {
	route := Route{Node: NodeID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, Epoch: 0xee, Delay: 0x1234 * time.Millisecond}
	require.Equal(t, sphinx.Address{0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0xee, 0x12, 0x34}, route.Address())
}

func TestEveryRelayAddressIsARoute(t *testing.T) {
	random := rand.NewChaCha8([32]byte{})
	for range 10_000 {
		var a sphinx.Address
		random.Read(a[:])
		_, ok := ParseRoute(a)
		require.Equal(t, a[0] == 0xff, ok)

		a[0] = 0xff
		route, ok := ParseRoute(a)
		require.True(t, ok)
		require.Equal(t, a, route.Address())
	}
}

func TestDelayIsRoundedAndClamped(t *testing.T) {
	for _, c := range []struct{ asked, got time.Duration }{
		{0, 0},
		{499 * time.Microsecond, 0},
		{500 * time.Microsecond, time.Millisecond},
		{1499 * time.Microsecond, time.Millisecond},
		{MaxDelay, MaxDelay},
		{MaxDelay + 1, MaxDelay},
		{MaxDelay - 400*time.Microsecond, MaxDelay},
		{math.MaxInt64, MaxDelay},
		{-1, 0},
		{math.MinInt64, 0},
	} {
		route, ok := ParseRoute(Route{Delay: c.asked}.Address())
		require.True(t, ok)
		require.Equal(t, c.got, route.Delay, "asked for %v", c.asked)
	}
}

// With the keys that are refused, one signature holds for many messages, and nobody has to know a private key for it.
func TestAnybodyCanSignForARefusedIdentity(t *testing.T) {
	forged := make([]byte, ed25519.SignatureSize)
	forged[0] = 1 // R is the neutral element and S is 0
	for _, y := range []byte{0, 1} {
		key := [32]byte{y}
		for _, sign := range []byte{0, 0x80} {
			key[31] = key[31]&0x7f | sign
			message := byte(0)
			for message < 255 && !ed25519.Verify(key[:], []byte{message}, forged) {
				message++
			}
			require.Less(t, message, byte(255), "%x is listed for nothing", key)
			err := checkIdentity(key[:])
			require.ErrorIs(t, err, ErrKey)
			require.ErrorContains(t, err, "low order")
		}
	}
	require.NoError(t, checkIdentity(public(identity(1))))
}

func TestRefusedMixKeysShareNoSecret(t *testing.T) {
	private, err := ecdh.X25519().NewPrivateKey(identity(1).Seed())
	require.NoError(t, err)
	for _, key := range lowOrderMixKeys {
		for _, top := range []byte{0, 0x80} {
			key[31] = key[31]&0x7f | top
			peer, err := ecdh.X25519().NewPublicKey(key[:])
			require.NoError(t, err)
			_, err = private.ECDH(peer)
			require.Error(t, err, "%x is listed for nothing", key)
			require.False(t, usableMixKey(key))
		}
	}
	require.True(t, usableMixKey(mixKey(1)))
}

// Whoever looks for a node in a view hashes a dozen times.
func TestANodeIDAllocatesNothing(t *testing.T) {
	d := describe(1)
	require.Zero(t, testing.AllocsPerRun(100, func() { d.ID() }))
}
