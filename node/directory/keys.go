package directory

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"slices"

	"sphinxmix.example/sphinx"
	"sphinxmix.example/tao"
)

// lowOrderMixKeys are the u-coordinates of all points of low order of Curve25519 and its twist, as they can be written
// in 255 bits. A packet for such a key cannot be made: the shared secret is zero.
var lowOrderMixKeys = parseKeys(
	"0000000000000000000000000000000000000000000000000000000000000000", // 0
	"0100000000000000000000000000000000000000000000000000000000000000", // 1
	"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800", // order 8
	"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157", // order 8
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p − 1
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p, as 0
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p + 1, as 1
)

// checkIdentity returns an error that wraps ErrKey for a key that is not of 32 bytes, or that nobody alone can sign
// for.
func checkIdentity(key ed25519.PublicKey) error {
	if len(key) != ed25519.PublicKeySize {
		return fmt.Errorf("%w: it has %d bytes, must have %d", ErrKey, len(key), ed25519.PublicKeySize)
	}
	if !tao.UsableKey(key) {
		return fmt.Errorf("%w: it is of low order", ErrKey)
	}
	return nil
}

// checkPrivate does the same for a private key.
func checkPrivate(key ed25519.PrivateKey) error {
	if len(key) != ed25519.PrivateKeySize {
		return fmt.Errorf("%w: the private key has %d bytes, must have %d", ErrKey, len(key), ed25519.PrivateKeySize)
	}
	return checkIdentity(key.Public().(ed25519.PublicKey))
}

func usableMixKey(key sphinx.PublicKey) bool {
	key[31] &= 0x7f // without the bit that Curve25519 ignores
	return !slices.Contains(lowOrderMixKeys, key)
}

func parseKeys(digits ...string) []sphinx.PublicKey {
	keys := make([]sphinx.PublicKey, len(digits))
	for i := range keys {
		if _, err := hex.Decode(keys[i][:], []byte(digits[i])); err != nil {
			panic(err)
		}
	}
	return keys
}
