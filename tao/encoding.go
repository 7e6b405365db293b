package tao

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// sign returns signature(64) ‖ body, where the signature is over context ‖ body.
func sign(key ed25519.PrivateKey, context string, body []byte) []byte {
	return append(ed25519.Sign(key, append([]byte(context), body...)), body...)
}

// verify reports whether signed is what sign made with that key's private half.
func verify(key ed25519.PublicKey, context string, signed []byte) bool {
	signature, body := signed[:ed25519.SignatureSize], signed[ed25519.SignatureSize:]
	return !lowOrder(key) && ed25519.Verify(key, slices.Concat([]byte(context), body), signature)
}

// UsableKey reports whether a key has its 32 bytes, and is not of low order: with such a key some signatures hold for
// every message, or for one in eight, and anybody can make them.
func UsableKey(key ed25519.PublicKey) bool {
	return len(key) == ed25519.PublicKeySize && !lowOrder(key)
}

// lowOrder reports whether a key of 32 bytes is of low order.
func lowOrder(key ed25519.PublicKey) bool {
	unsigned := bytes.Clone(key)
	unsigned[len(unsigned)-1] &= 0x7f // without the sign of x
	return slices.Contains(lowOrderKeys, string(unsigned))
}

// lowOrderKeys are the y-coordinates of all points of low order of edwards25519, as they can be written in 255 bits.
var lowOrderKeys = parseHex(
	"0000000000000000000000000000000000000000000000000000000000000000", // 0, order 4
	"0100000000000000000000000000000000000000000000000000000000000000", // 1, order 1
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", // order 8
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", // order 8
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p − 1, order 2
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p, as 0
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p + 1, as 1
)

func parseHex(digits ...string) []string {
	keys := make([]string, len(digits))
	for i := range keys {
		b, err := hex.DecodeString(digits[i])
		if err != nil {
			panic(err)
		}
		keys[i] = string(b)
	}
	return keys
}

const lastSecond = 253402300799 // of the year 9999, in seconds since 1970

func validTime(t time.Time) bool { return t.Unix() >= 0 && t.Unix() <= lastSecond }

func addTime(b *cryptobyte.Builder, t time.Time) { b.AddUint64(uint64(t.Unix())) }

func readTime(s *cryptobyte.String, t *time.Time) bool {
	var n uint64
	ok := s.ReadUint64(&n) && n <= lastSecond
	*t = time.Unix(int64(min(n, lastSecond)), 0).UTC()
	return ok
}

// date writes t for people.
func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }
