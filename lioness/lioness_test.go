package lioness

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/chacha20"
)

func randomBytes(name string, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8(sha256.Sum256([]byte(name))).Read(b)
	return b
}

func randomKey(name string) *[KeySize]byte { return (*[KeySize]byte)(randomBytes(name, KeySize)) }

func xor(a, b []byte) []byte {
	out := slices.Clone(a)
	for i := range out {
		out[i] ^= b[i]
	}
	return out
}

// streamRound is R ⊕ ChaCha20(L ⊕ k).
func streamRound(t testing.TB, l, r, k []byte) []byte {
	c, err := chacha20.NewUnauthenticatedCipher(xor(l, k), make([]byte, chacha20.NonceSize))
	require.NoError(t, err)
	out := make([]byte, len(r))
	c.XORKeyStream(out, r)
	return out
}

// hashRound is L ⊕ BLAKE2b-256(k, R).
func hashRound(t testing.TB, l, r, k []byte) []byte {
	h, err := blake2b.New256(k)
	require.NoError(t, err)
	h.Write(r)
	return xor(l, h.Sum(nil))
}

// encrypt is the first rounds of LIONESS as Anderson and Biham wrote it down; 3 of them are their LION.
func encrypt(t testing.TB, key, block []byte, rounds int) []byte {
	l, r := block[:32], block[32:]
	r = streamRound(t, l, r, key[:32])
	l = hashRound(t, l, r, key[32:96])
	r = streamRound(t, l, r, key[96:128])
	if rounds == 4 {
		l = hashRound(t, l, r, key[128:192])
	}
	return slices.Concat(l, r)
}

func decrypt(t testing.TB, key, block []byte, rounds int) []byte {
	l, r := block[:32], block[32:]
	if rounds == 4 {
		l = hashRound(t, l, r, key[128:192])
	}
	r = streamRound(t, l, r, key[96:128])
	l = hashRound(t, l, r, key[32:96])
	r = streamRound(t, l, r, key[:32])
	return slices.Concat(l, r)
}

// TestCipherIsLIONESS for all sizes of blocks up to 2200, and some large.
func TestCipherIsLIONESS(t *testing.T) {
	random := randomBytes("blocks", 70000)
	key := randomKey("key")
	c := New(key)
	sizes := []int{4096, 16384, 65535, 65536, 65537, 70000}
	for n := MinBlockSize; n <= 2200; n++ {
		sizes = append(sizes, n)
	}
	for _, n := range sizes {
		copy(key[:], random[n/2:]) // New must have copied
		c.SetKey(key)
		block := slices.Clone(random[:n])
		require.NoError(t, c.Encrypt(block))
		require.Equal(t, encrypt(t, key[:], random[:n], 4), block, "a block of %d", n)
		require.NoError(t, c.Decrypt(block))
		require.Equal(t, random[:n], block, "a block of %d", n)
		require.NoError(t, c.Decrypt(block))
		require.Equal(t, decrypt(t, key[:], random[:n], 4), block, "a block of %d", n)
	}
}

func TestKeyIsCopied(t *testing.T) {
	key := randomKey("copied")
	original := *key
	c := New(key)
	block := randomBytes("block", 100)
	clear(key[:])
	got, err := c.AppendEncrypt(nil, block)
	require.NoError(t, err)
	require.Equal(t, encrypt(t, original[:], block, 4), got)
	key = randomKey("set")
	original = *key
	c.SetKey(key)
	clear(key[:])
	got, err = c.AppendEncrypt(nil, block)
	require.NoError(t, err)
	require.Equal(t, encrypt(t, original[:], block, 4), got)
}

// TestEveryBitMatters: a change of any bit of a ciphertext, and of the key, changes half of the bits of the plaintext in
// each part of it; so does one of the plaintext with the ciphertext.
func TestEveryBitMatters(t *testing.T) {
	const size, part = 160, 32
	key := randomKey("avalanche")
	c := New(key)
	block := randomBytes("avalanche", size)
	for name, turn := range map[string]func([]byte) error{"Decrypt": c.Decrypt, "Encrypt": c.Encrypt} {
		want := slices.Clone(block)
		require.NoError(t, turn(want))
		check := func(got []byte, bit int, of string) {
			t.Helper()
			for at := 0; at < size; at += part {
				n := 0
				for i := at; i < at+part; i++ {
					n += bits.OnesCount8(got[i] ^ want[i])
				}
				if n < 128-64 || n > 128+64 { // 8σ
					t.Fatalf("%s, bit %d of the %s: %d of %d bits differ at %d", name, bit, of, n, 8*part, at)
				}
			}
		}
		for bit := range 8 * size {
			got := slices.Clone(block)
			got[bit/8] ^= 1 << (bit % 8)
			require.NoError(t, turn(got))
			check(got, bit, "block")
		}
		for bit := range 8 * KeySize {
			changed := *key
			changed[bit/8] ^= 1 << (bit % 8)
			c.SetKey(&changed)
			got := slices.Clone(block)
			require.NoError(t, turn(got))
			c.SetKey(key)
			if first, last := bit < 8*32, bit >= 8*128; name == "Encrypt" && last || name == "Decrypt" && first {
				require.NotEqual(t, want, got) // the round under that key is the last, and changes one side
				continue
			}
			if bytes.Equal(got[:part], want[:part]) || bytes.Equal(got[part:], want[part:]) {
				t.Fatalf("%s: bit %d of the key does not reach both sides", name, bit)
			}
		}
	}
}

// TestThreeRoundsWouldNotDo runs the attack that tells three rounds from a random permutation by two encryptions and one
// decryption. It finds three rounds every time and four never.
func TestThreeRoundsWouldNotDo(t *testing.T) {
	for trial := range 50 {
		key := randomKey(fmt.Sprint("rounds", trial))
		c := New(key)
		four := func(block []byte, turn func([]byte) error) []byte {
			out := slices.Clone(block)
			require.NoError(t, turn(out))
			return out
		}
		found := func(encrypt, decrypt func([]byte) []byte) bool {
			l, r, other := randomBytes("left", 32), randomBytes("right", 100), randomBytes("another right", 100)
			a, b := encrypt(slices.Concat(l, r)), encrypt(slices.Concat(l, other))
			back := decrypt(slices.Concat(b[:32], xor(xor(b[32:], r), other)))
			return bytes.Equal(back[:32], xor(xor(a[:32], b[:32]), l))
		}
		require.True(t, found(
			func(block []byte) []byte { return encrypt(t, key[:], block, 3) },
			func(block []byte) []byte { return decrypt(t, key[:], block, 3) },
		))
		require.False(t, found(
			func(block []byte) []byte { return four(block, c.Encrypt) },
			func(block []byte) []byte { return four(block, c.Decrypt) },
		))
	}
}

func TestShortBlocksAreRefused(t *testing.T) {
	c := New(randomKey("short"))
	for n := range MinBlockSize {
		block := randomBytes("short", n)
		before := slices.Clone(block)
		for _, turn := range []func([]byte) error{c.Encrypt, c.Decrypt} {
			require.Equal(t, ErrBlockSize, turn(block))
			require.Equal(t, before, block)
		}
		for _, turn := range []func(dst, block []byte) ([]byte, error){c.AppendEncrypt, c.AppendDecrypt} {
			out, err := turn([]byte("abc"), block)
			require.Equal(t, ErrBlockSize, err)
			require.Equal(t, "abc", string(out))
			require.Equal(t, before, block)
		}
	}
}

// TestAppend: dst is kept, its room used, block left alone unless it is that room.
func TestAppend(t *testing.T) {
	key := randomKey("append")
	c := New(key)
	block := randomBytes("append", 200)
	for _, turn := range []struct {
		call func(dst, block []byte) ([]byte, error)
		want []byte
	}{{c.AppendEncrypt, encrypt(t, key[:], block, 4)}, {c.AppendDecrypt, decrypt(t, key[:], block, 4)}} {
		src := slices.Clone(block)
		out, err := turn.call(nil, src)
		require.NoError(t, err)
		require.Equal(t, turn.want, out)
		require.Equal(t, block, src)

		roomy := append(make([]byte, 0, 300), "abc"...)
		out, err = turn.call(roomy, src)
		require.NoError(t, err)
		require.Equal(t, "abc", string(out[:3]))
		require.Equal(t, turn.want, out[3:])
		require.Same(t, &roomy[0], &out[0])
		require.Equal(t, block, src)

		tight := slices.Clip([]byte("abc"))
		out, err = turn.call(tight, src)
		require.NoError(t, err)
		require.Equal(t, "abc", string(tight))
		require.Equal(t, append([]byte("abc"), turn.want...), out)

		out, err = turn.call(src[:0], src)
		require.NoError(t, err)
		require.Equal(t, turn.want, out)
		require.Same(t, &src[0], &out[0])
	}
}

// TestWipe: nothing of the key or of what was encrypted is left, and SetKey makes the Cipher as good as new.
func TestWipe(t *testing.T) {
	key := randomKey("wipe")
	c := New(key)
	block := randomBytes("wipe", 200)
	require.NoError(t, c.Encrypt(slices.Clone(block)))
	c.Wipe()
	require.Equal(t, New(new([KeySize]byte)), c)
	c.SetKey(key)
	got, err := c.AppendEncrypt(nil, block)
	require.NoError(t, err)
	require.Equal(t, encrypt(t, key[:], block, 4), got)
}

func TestNothingAllocates(t *testing.T) {
	c, key := New(randomKey("allocations")), randomKey("another")
	for _, size := range []int{33, 1024, 65536} {
		block := make([]byte, size)
		dst := make([]byte, 0, size)
		require.Zero(t, testing.AllocsPerRun(10, func() {
			c.SetKey(key)
			if c.Encrypt(block) != nil || c.Decrypt(block) != nil {
				t.Error("refused")
			}
			out, err := c.AppendEncrypt(dst, block)
			if err != nil {
				t.Error(err)
			}
			if _, err = c.AppendDecrypt(dst, out); err != nil {
				t.Error(err)
			}
			c.Wipe()
		}), "blocks of %d", size)
	}
}
