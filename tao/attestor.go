package tao

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"
)

// Kind is a kind of attestor.
type Kind uint8

// The kinds of attestors.
const (
	TPM  Kind = 1 + iota // a TPM 2.0, whose endorsement key a root of the policy vouches for
	Soft                 // a key in a program's memory, which proves nothing of the machine
)

var kindNames = []string{TPM: "tpm", Soft: "soft"}

// String returns "tpm" or "soft".
func (k Kind) String() string {
	if k.valid() {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// ParseKind is the reverse of [Kind.String].
func ParseKind(name string) (Kind, error) {
	for k := TPM; k.valid(); k++ {
		if name == kindNames[k] {
			return k, nil
		}
	}
	return 0, fmt.Errorf("tao: there is no attestor %q: give tpm or soft", name)
}

func (k Kind) valid() bool { return k == TPM || k == Soft }

// An Attestor measures and quotes: a TPM (package tao/tpm), or [NewSoft]. Registers are the PCRs of a TPM in the
// SHA-256 bank. It may be used by several goroutines at once.
type Attestor interface {
	// Kind returns the same each time.
	Kind() Kind

	// Key returns the public half of the attestation key that quotes are signed with, which is the same after every
	// restart: a TPMT_PUBLIC for a TPM, the 32 bytes of an Ed25519 key for a soft attestor.
	Key() []byte

	// Extend changes a register as the function [Extend] does.
	Extend(register uint8, digest [32]byte) error

	// Read returns the value of a register.
	Read(register uint8) ([32]byte, error)

	// Quote returns a statement about the values of registers, 1 or more of them in ascending order, and qualifying.
	// The values may be others than those that were read before or will be after.
	Quote(qualifying [32]byte, registers []uint8) (Quote, error)
}

// Quote is what an attestor has signed.
type Quote struct {
	Statement []byte // a TPMS_ATTEST, or what a soft attestor says in its place
	Signature []byte // a TPMT_SIGNATURE, or the 64 bytes of Ed25519
}

// A Register is one of an attestor's, and its value.
type Register struct {
	Index uint8
	Value [32]byte
}

// LastRegister is the last of the registers that every TPM has.
const LastRegister = 23

// DefaultRegister is the register that events are measured into unless another one is configured. Nothing but a
// restart of the machine resets it.
const DefaultRegister = 14

// CheckLogRegister says what keeps a register from being the one that events are measured into: 0 is the firmware's,
// and those from 16 on can be reset without a restart.
func CheckLogRegister(register uint8) error {
	if register < 1 || register > 15 {
		return fmt.Errorf("tao: register %d is not for measuring programs into: give one from 1 to 15", register)
	}
	return nil
}

const softContext = "sphinxmix soft statement v1\x00"

// soft is an attestor that is a program.
type soft struct {
	key *ed25519.PrivateKey // not in it, as package fmt looks into fields without asking Format

	mu        sync.Mutex
	registers [LastRegister + 1][32]byte // guarded by mu
}

// NewSoft returns an attestor that signs with key, and whose registers are zero. Its evidence is marked soft, and
// refused under every policy that does not accept that: whoever has the key can say anything with it.
func NewSoft(key ed25519.PrivateKey) Attestor { return &soft{key: &key} }

// Format prints nothing of the key, whatever the verb.
func (s *soft) Format(f fmt.State, _ rune) { fmt.Fprint(f, "tao.soft") }

func (s *soft) Kind() Kind  { return Soft }
func (s *soft) Key() []byte { return s.key.Public().(ed25519.PublicKey) }

var errRegister = errors.New("tao: there is no such register")

func (s *soft) Extend(register uint8, digest [32]byte) error {
	if register > LastRegister {
		return errRegister
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.registers[register] = Extend(s.registers[register], digest)
	return nil
}

func (s *soft) Read(register uint8) ([32]byte, error) {
	if register > LastRegister {
		return [32]byte{}, errRegister
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.registers[register], nil
}

func (s *soft) Quote(qualifying [32]byte, registers []uint8) (Quote, error) {
	var values []Register
	for _, index := range registers {
		value, err := s.Read(index)
		if err != nil {
			return Quote{}, err
		}
		values = append(values, Register{index, value})
	}
	statement := softStatement(qualifying, values)
	return Quote{statement, ed25519.Sign(*s.key, statement)}, nil
}

// softStatement is what a soft attestor signs: the context, qualifying(32), and for each register index(1) ‖ value(32).
func softStatement(qualifying [32]byte, registers []Register) []byte {
	b := append([]byte(softContext), qualifying[:]...)
	for _, r := range registers {
		b = append(append(b, r.Index), r.Value[:]...)
	}
	return b
}
