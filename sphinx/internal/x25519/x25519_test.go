package x25519

import (
	"crypto/ecdh"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"testing"

	"filippo.io/edwards25519"
	"github.com/stretchr/testify/require"
)

func decode(t testing.TB, s string) Key {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	require.Len(t, b, Size)
	return Key(b)
}

func randomKey(random *rand.ChaCha8) (k Key) {
	random.Read(k[:])
	return k
}

func randomness(name string) *rand.ChaCha8 { return rand.NewChaCha8(sha256.Sum256([]byte(name))) }

// reference is X25519 by the standard library; nil for a result of zero.
func reference(t testing.TB, scalar, point Key) []byte {
	t.Helper()
	private, err := ecdh.X25519().NewPrivateKey(scalar[:])
	require.NoError(t, err)
	public, err := ecdh.X25519().NewPublicKey(point[:])
	require.NoError(t, err)
	secret, err := private.ECDH(public)
	if err != nil {
		return nil
	}
	return secret
}

func TestPublicIsTheStandardLibrarys(t *testing.T) {
	random := randomness("public keys")
	for range 500 {
		scalar := randomKey(random)
		private, err := ecdh.X25519().NewPrivateKey(scalar[:])
		require.NoError(t, err)
		var got Key
		Public(&got, &scalar)
		require.Equal(t, private.PublicKey().Bytes(), got[:])
	}
}

func TestClamp(t *testing.T) {
	random := randomness("clamp")
	for range 100 {
		raw := randomKey(random)
		k := raw
		Clamp(&k)
		require.Zero(t, k[0]&7)
		require.Equal(t, byte(0x40), k[31]&0xc0)
		require.Equal(t, raw[0]&0xf8, k[0])
		require.Equal(t, raw[1:31], k[1:31])
		require.Equal(t, raw[31]&0x3f, k[31]&0x3f)
		again := k
		Clamp(&again)
		require.Equal(t, k, again)

		point := randomKey(random)
		require.Equal(t, reference(t, raw, point), reference(t, k, point))
	}
}

// TestProduct compares the product with one multiplication of the point after the other, for points of the curve with
// and without torsion, and the scalar with the clamped ones.
func TestProduct(t *testing.T) {
	encoded := decode(t, "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
	order8, err := new(edwards25519.Point).SetBytes(encoded[:])
	require.NoError(t, err)
	random := randomness("products")
	for trial := range 160 {
		base, err := edwards25519.NewScalar().SetBytesWithClamping(new(randomKey(random))[:])
		require.NoError(t, err)
		point := new(edwards25519.Point).ScalarBaseMult(base)
		for range trial % 8 {
			point.Add(point, order8)
		}
		want := Key(point.BytesMontgomery())
		u, wantPublic := want, Key{9}
		var product Product
		for i := range 1 + trial%12 {
			factor := randomKey(random)
			if trial%2 == 0 {
				Clamp(&factor) // Product clamps those that are not
			}
			if i == 0 {
				product.Set(&factor)
			} else {
				product.Multiply(&factor)
			}
			want = Key(reference(t, factor, want))
			wantPublic = Key(reference(t, factor, wantPublic))
			var public Key
			product.Scalar(&public)
			Shared(&public, &public, &Base)
			require.Equal(t, wantPublic, public, "%d factors", i+1)

			var scalar Key
			product.Scalar(&scalar)
			clamped := scalar
			Clamp(&clamped)
			require.Equal(t, clamped, scalar, "a product of %d factors is not clamped", i+1)
			require.Equal(t, want[:], reference(t, scalar, u), "%d factors, torsion %d", i+1, trial%8)
		}
		product.Wipe()
		require.Equal(t, Product{}, product)
	}
}

// TestProductStartsAgain: Set forgets the product before it.
func TestProductStartsAgain(t *testing.T) {
	random := randomness("again")
	a, b := randomKey(random), randomKey(random)
	var used, fresh Product
	used.Set(&a)
	used.Multiply(&b)
	used.Set(&b)
	fresh.Set(&b)
	require.Equal(t, fresh, used)
	var scalar Key
	used.Scalar(&scalar)
	require.Equal(t, reference(t, b, Key{9}), reference(t, scalar, Key{9}))
}
