package tao

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
)

// said is what a quote's statement says, whoever has signed it.
type said struct {
	qualifying [32]byte
	selection  []byte   // the registers, as selectionOf writes them, where they are of the SHA-256 bank alone
	registers  [32]byte // digest of their values
	clock      Clock

	origin string // who can have made the statement, for people
	wrong  error  // why nobody should believe that; wraps ErrMagic, ErrType or ErrSigner
}

// attestationKey is the public half of an attestor's key.
type attestationKey interface {
	// describe returns what the key is, or an error that wraps ErrKey where it may sign what its TPM did not make.
	describe() (string, error)
	// verify reports whether the key signed the quote.
	verify(*Quote) bool
	// read takes a statement apart. The error wraps ErrEvidence.
	read(statement []byte) (*said, error)
}

// parseKey returns the attestation key of an attestor of that kind.
func parseKey(kind Kind, key []byte) (attestationKey, error) {
	if kind == Soft {
		if len(key) != ed25519.PublicKeySize || lowOrder(key) {
			return nil, errors.New("the attestation key is no Ed25519 key")
		}
		return softKey(key), nil
	}
	return parseTPMKey(key)
}

type softKey ed25519.PublicKey

func (k softKey) describe() (string, error) { return "a key in a program's memory", nil }

func (k softKey) verify(q *Quote) bool {
	return ed25519.Verify(ed25519.PublicKey(k), q.Statement, q.Signature)
}

func (k softKey) read(statement []byte) (*said, error) {
	rest, ok := bytes.CutPrefix(statement, []byte(softContext))
	if !ok || len(rest) < 32 || (len(rest)-32)%33 != 0 {
		return nil, fmt.Errorf("%w: it has no statement of a soft attestor", ErrEvidence)
	}
	s := &said{qualifying: [32]byte(rest), origin: "a program, which can say anything"}
	var registers []Register
	var indexes []uint8
	for rest = rest[32:]; len(rest) > 0; rest = rest[33:] {
		registers = append(registers, Register{rest[0], [32]byte(rest[1:])})
		indexes = append(indexes, rest[0])
	}
	s.selection, s.registers = selectionOf(indexes), digestOf(registers)
	return s, nil
}

// selectionOf returns a TPML_PCR_SELECTION of registers of the SHA-256 bank alone: count(4) = 1 ‖ bank(2) ‖ size(1) =
// 3 ‖ a bit for each register.
func selectionOf(registers []uint8) []byte {
	b := []byte{0, 0, 0, 1, 0, 0x0b, 3, 0, 0, 0}
	for _, r := range registers {
		if r <= LastRegister {
			b[7+r/8] |= 1 << (r % 8)
		}
	}
	return b
}
