package directory

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"slices"
)

// LeaveSize is the size of a signed leave in bytes.
const LeaveSize = ed25519.SignatureSize + ed25519.PublicKeySize + 8

// SignLeave returns what tells a directory that the node with that identity is no more, as [Client.Leave] takes it:
// LeaveSize bytes. version must be higher than in the node's descriptors so far; a descriptor with a yet higher one
// brings the node back. It holds in every directory that lists the identity. Panics if key is not an Ed25519 key.
func SignLeave(key ed25519.PrivateKey, version uint64) []byte {
	body := binary.BigEndian.AppendUint64(slices.Clone(key.Public().(ed25519.PublicKey)), version)
	return sign(key, leaveContext, body)
}

// parseLeave returns who leaves, after it has checked the signature. The error wraps ErrLeave, ErrKey or ErrSignature.
func parseLeave(signed []byte) (identity ed25519.PublicKey, version uint64, err error) {
	if len(signed) != LeaveSize {
		return nil, 0, fmt.Errorf("%w: %d bytes, must have %d", ErrLeave, len(signed), LeaveSize)
	}
	identity = slices.Clone(ed25519.PublicKey(signed[ed25519.SignatureSize:][:ed25519.PublicKeySize]))
	if err := checkIdentity(identity); err != nil {
		return nil, 0, err
	}
	body, err := verify(identity, leaveContext, signed)
	if err != nil {
		return nil, 0, err
	}
	return identity, binary.BigEndian.Uint64(body[ed25519.PublicKeySize:]), nil
}
