package directory

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"slices"

	"sphinxmix.example/sphinx"
)

// lowOrderIdentities are the y-coordinates of all points of low order of edwards25519, as they can be written in 255
// bits. With such a key, some signatures hold for every message, or for one message in eight, and anybody can make
// them.
var lowOrderIdentities = parseKeys(
	"0000000000000000000000000000000000000000000000000000000000000000", // 0, order 4
	"0100000000000000000000000000000000000000000000000000000000000000", // 1, order 1
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", // order 8
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", // order 8
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p − 1, order 2
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p, as 0
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p + 1, as 1
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
	if among(lowOrderIdentities, [32]byte(key)) {
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

func usableMixKey(key sphinx.PublicKey) bool { return !among(lowOrderMixKeys, key) }

// among leaves bit 255 out: for edwards25519 it is the sign of x, for Curve25519 it is ignored.
func among(list [][32]byte, key [32]byte) bool {
	key[31] &= 0x7f
	return slices.Contains(list, key)
}

func parseKeys(digits ...string) [][32]byte {
	keys := make([][32]byte, len(digits))
	for i := range keys {
		if _, err := hex.Decode(keys[i][:], []byte(digits[i])); err != nil {
			panic(err)
		}
	}
	return keys
}
