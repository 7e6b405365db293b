package directory

import (
	"crypto/ed25519"
	"slices"
)

// sign returns signature(64) ‖ body, where the signature is over context ‖ body.
func sign(key ed25519.PrivateKey, context string, body []byte) []byte {
	signature := ed25519.Sign(key, append([]byte(context), body...))
	return append(signature, body...)
}

// verify returns the body of what sign made, or ErrSignature. key must have passed checkIdentity, and signed must have
// room for a signature.
func verify(key ed25519.PublicKey, context string, signed []byte) ([]byte, error) {
	signature, body := signed[:ed25519.SignatureSize], signed[ed25519.SignatureSize:]
	if !ed25519.Verify(key, slices.Concat([]byte(context), body), signature) {
		return nil, ErrSignature
	}
	return body, nil
}
