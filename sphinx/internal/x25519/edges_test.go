package x25519

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEdges: points at the ends of all ranges, with limbs of ones, of low order, and their neighbours, beside ordinary
// ones in the same pass; with scalars of few bits and of all.
func TestEdges(t *testing.T) {
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	little := func(s string) *big.Int {
		b := decode(t, s)
		slices.Reverse(b[:])
		return new(big.Int).SetBytes(b[:])
	}
	low := []*big.Int{
		big.NewInt(0), big.NewInt(1), new(big.Int).Sub(p, big.NewInt(1)),
		little("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
		little("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
	}
	values := slices.Clone(low)
	for _, width := range []uint{51, 52} { // of limbs: circl's and the kernels'
		for ones := range 1 << 5 { // which are all ones
			v := new(big.Int)
			for k := range uint(5) {
				if ones>>k&1 == 1 {
					v.Or(v, new(big.Int).Lsh(big.NewInt(1<<width-1), width*k))
				}
			}
			values = append(values, v)
		}
	}
	all := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(1))
	for k := range uint(10) { // one limb of ones, and all others: narrow kernels'
		from, to := (51*k+1)/2, (51*(k+1)+1)/2
		v := new(big.Int).Lsh(big.NewInt(1<<(to-from)-1), from)
		values = append(values, v, new(big.Int).Sub(all, v))
	}
	values = append(values, p)
	var points []Key
	isLow := make(map[Key]bool)
	for _, v := range values {
		for _, multiple := range []int64{0, 1} {
			for _, top := range []byte{0, 0x80} {
				for near := int64(-2); near <= 2; near++ {
					value := new(big.Int).Add(v, new(big.Int).Mul(p, big.NewInt(multiple)))
					value.Add(value, big.NewInt(near))
					if value.Sign() < 0 || value.BitLen() > 255 {
						continue
					}
					var point Key
					value.FillBytes(point[:])
					slices.Reverse(point[:])
					point[31] |= top
					if _, again := isLow[point]; !again {
						points = append(points, point)
					}
					isLow[point] = slices.ContainsFunc(low, func(l *big.Int) bool { return l.Cmp(new(big.Int).Mod(value, p)) == 0 })
				}
			}
		}
	}
	encodings := 0
	for _, is := range isLow {
		if is {
			encodings++
		}
	}
	require.Equal(t, 14, encodings)

	random := randomness("edges")
	random8 := randomKey(random)
	scalars := []Key{{}, {7: 1}, Key(bytes.Repeat([]byte{0xff}, 32)), Key(bytes.Repeat([]byte{0x55}, 32)), random8}
	want := make(map[[2]Key]Key)
	for _, scalar := range scalars {
		for _, point := range points {
			w := reference(t, scalar, point)
			require.Equal(t, isLow[point], w == nil, "%x", point)
			if w != nil {
				want[[2]Key{scalar, point}] = Key(w)
			}
		}
	}
	forEach(t, func(t *testing.T, m *Multiplier) {
		for _, scalar := range scalars {
			shuffled := slices.Clone(points)
			order := rand.New(randomness("order"))
			order.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			all := make([]Multiplication, len(shuffled))
			for i := range all {
				all[i] = Multiplication{Result: &Key{1}, Scalar: &scalar, Point: &shuffled[i]}
			}
			for from := 0; from < len(all); {
				n := min(1+order.IntN(12), len(all)-from)
				m.Multiply(all[from : from+n])
				from += n
			}
			for i := range all {
				require.Equal(t, !isLow[shuffled[i]], all[i].OK, "%x", shuffled[i])
				require.Equal(t, want[[2]Key{scalar, shuffled[i]}], *all[i].Result, "%x times %x", scalar, shuffled[i])
			}
		}
	})
}

// TestWycheproof: see testvectors/wycheproof.
func TestWycheproof(t *testing.T) {
	data, err := os.ReadFile("../../../testvectors/wycheproof/x25519_test.json")
	require.NoError(t, err)
	type hexadecimal = string
	var file struct {
		TestGroups []struct {
			Tests []struct {
				TcID                    int
				Public, Private, Shared hexadecimal
				Result                  string
			}
		}
	}
	require.NoError(t, json.Unmarshal(data, &file))
	forEach(t, func(t *testing.T, m *Multiplier) {
		n := 0
		for _, group := range file.TestGroups {
			all := make([]Multiplication, len(group.Tests))
			for i, test := range group.Tests {
				require.Contains(t, []string{"valid", "acceptable"}, test.Result)
				scalar, point := decode(t, test.Private), decode(t, test.Public)
				all[i] = Multiplication{Result: new(Key), Scalar: &scalar, Point: &point}
			}
			m.Multiply(all)
			for i, test := range group.Tests {
				require.Equal(t, test.Shared, hex.EncodeToString(all[i].Result[:]), "case %d", test.TcID)
				require.Equal(t, *all[i].Result != Key{}, all[i].OK, "case %d", test.TcID)
				n++
			}
		}
		require.Equal(t, 518, n)
	})
}
