// Package bsaes leads from the module path by which katzenpost/core knows Yawning Angel's bsaes to the one under which
// it lives on. A replacement in go.mod alone cannot do that: aez imports bsaes by its new path, and Go does not let one
// module stand under two.
package bsaes

import (
	"crypto/cipher"

	"gitlab.com/yawning/bsaes.git"
)

// NewCipher returns AES with a key of 16, 24 or 32 bytes. Where the processor has AES instructions it is crypto/aes.
func NewCipher(key []byte) (cipher.Block, error) { return bsaes.NewCipher(key) }
