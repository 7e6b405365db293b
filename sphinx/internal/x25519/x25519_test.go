package x25519

import (
	"crypto/ecdh"
	"crypto/sha256"
	"encoding/hex"
	"math/big"
	"math/rand/v2"
	"slices"
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

// TestVectors are those of RFC 7748, §5.2 and §6.1.
func TestVectors(t *testing.T) {
	for _, v := range []struct{ scalar, point, want string }{
		{
			"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
			"e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
			"c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
		},
		{ // with bit 255 of the point set
			"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
			"e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
			"95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
		},
		{
			"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
			"de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
			"4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
		},
	} {
		scalar, point := decode(t, v.scalar), decode(t, v.point)
		var got Key
		require.True(t, Shared(&got, &scalar, &point))
		require.Equal(t, decode(t, v.want), got)
	}
	scalar := decode(t, "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
	var public Key
	Public(&public, &scalar)
	require.Equal(t, decode(t, "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"), public)
}

// TestIterated is the loop of RFC 7748, §5.2, whose scalars and points are of every shape.
func TestIterated(t *testing.T) {
	k, u := Key{9}, Key{9}
	for i := 1; i <= 1000; i++ {
		var next Key
		require.True(t, Shared(&next, &k, &u))
		k, u = next, k
		if i == 1 {
			require.Equal(t, decode(t, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"), k)
		}
	}
	require.Equal(t, decode(t, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"), k)
}

// TestSharedIsTheStandardLibrarys, for points on the curve and, half of them, on its twist; and in place.
func TestSharedIsTheStandardLibrarys(t *testing.T) {
	random := randomness("pairs")
	for range 2000 {
		scalar, point := randomKey(random), randomKey(random)
		want := reference(t, scalar, point)
		var got Key
		require.True(t, Shared(&got, &scalar, &point))
		require.Equal(t, want, got[:])
		inPlace := point
		Shared(&inPlace, &scalar, &inPlace)
		require.Equal(t, want, inPlace[:])
		inPlace = scalar
		Shared(&inPlace, &inPlace, &point)
		require.Equal(t, want, inPlace[:])
	}
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

// TestLowOrder: every encoding of every u of low order, and no neighbour of one.
func TestLowOrder(t *testing.T) {
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	fromLittle := func(s string) *big.Int {
		b := decode(t, s)
		slices.Reverse(b[:])
		return new(big.Int).SetBytes(b[:])
	}
	low := []*big.Int{
		big.NewInt(0), big.NewInt(1), new(big.Int).Sub(p, big.NewInt(1)),
		fromLittle("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
		fromLittle("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
	}
	random := randomness("low order")
	encodings := 0
	for _, u := range low {
		for _, multiple := range []int64{0, 1} {
			for _, topBit := range []byte{0, 0x80} {
				for _, near := range []int64{0, 1, -1, 2, -2} {
					value := new(big.Int).Add(u, new(big.Int).Mul(p, big.NewInt(multiple)))
					value.Add(value, big.NewInt(near))
					if value.Sign() < 0 || value.BitLen() > 255 {
						continue
					}
					var point Key
					value.FillBytes(point[:])
					slices.Reverse(point[:])
					point[31] |= topBit
					isLow := slices.ContainsFunc(low, func(l *big.Int) bool { return l.Cmp(new(big.Int).Mod(value, p)) == 0 })
					if isLow && near == 0 {
						encodings++
					}
					scalar := randomKey(random)
					secret := Key{1}
					require.Equal(t, !isLow, Shared(&secret, &scalar, &point), "%x", point)
					require.Equal(t, isLow, secret == Key{}, "%x", point)
					require.Equal(t, isLow, reference(t, scalar, point) == nil, "%x", point)
				}
			}
		}
	}
	require.Equal(t, 14, encodings)
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
			product.Public(&public)
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

func TestNothingAllocates(t *testing.T) {
	random := randomness("allocations")
	scalar, point := randomKey(random), randomKey(random)
	var secret Key
	require.Zero(t, testing.AllocsPerRun(10, func() {
		Shared(&secret, &scalar, &point)
		Public(&secret, &scalar)
		Clamp(&secret)
	}))
}
