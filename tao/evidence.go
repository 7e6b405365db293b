package tao

import (
	"bytes"
	"cmp"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
)

// Evidence is what a node shows for its claim.
type Evidence struct {
	Record        []byte // that enrolled the node, as ParseRecord reads it
	Configuration Configuration
	Stamp         []byte     // of the directory, as new as the node knew: up to MaxStampSize bytes
	LogRegister   uint8      // that the log was measured into
	Log           EventLog   // since the machine was started
	Registers     []Register // that the quote is over, and their values, by ascending index
	Quote         Quote
	Kind          Kind // of the attestor, that of the record
}

// The limits of Evidence, in bytes. MaxEvidenceSize leaves room for some 300 epoch keys between two starts of a
// machine.
const (
	MaxEvidenceSize = 16 << 10
	MaxStampSize    = 256

	maxStatementSize = 1024
	maxSignatureSize = 512
)

const evidenceVersion = 1

// Encode returns the evidence as ParseEvidence reads it:
//
//	version(1) = 1 ‖ kind(1) ‖ [2] record ‖ configuration(58) ‖ [2] stamp ‖ log register(1) ‖ [2] log ‖
//	[2] registers ‖ [2] statement ‖ [2] signature
//
// where [2] stands before what has a length of two bytes, a register is index(1) ‖ value(32), numbers are big-endian,
// and a configuration is network(32) ‖ strategy(1) ‖ size(4) ‖ interval in ms(4) ‖ packets that stay(4) ‖ fraction(4)
// ‖ longest delay in ms(4) ‖ mean delay in ms(4) ‖ keys on disk(1).
func (e *Evidence) Encode() ([]byte, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, 1024))
	b.AddUint8(evidenceVersion)
	b.AddUint8(uint8(e.Kind))
	addBytes(b, e.Record)
	e.Configuration.add(b)
	addBytes(b, e.Stamp)
	b.AddUint8(e.LogRegister)
	addBytes(b, e.Log.Encode())
	addList(b, e.Registers, addRegister)
	addBytes(b, e.Quote.Statement)
	addBytes(b, e.Quote.Signature)
	encoded, err := b.Bytes()
	if err == nil && len(encoded) > MaxEvidenceSize {
		err = fmt.Errorf("it has %d bytes, at most %d", len(encoded), MaxEvidenceSize)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEvidence, err)
	}
	return encoded, nil
}

// ParseEvidence is the reverse of [Evidence.Encode]. It keeps no part of b, and checks no more than that there is one
// way to write what it returns: that is for [Policy.Verify]. The error wraps ErrEvidence.
func ParseEvidence(b []byte) (*Evidence, error) {
	if len(b) > MaxEvidenceSize {
		return nil, fmt.Errorf("%w: it has %d bytes, at most %d", ErrEvidence, len(b), MaxEvidenceSize)
	}
	var (
		e                                   = new(Evidence)
		s                                   = cryptobyte.String(bytes.Clone(b))
		version, kind                       uint8
		record, stamp, log, said, signature cryptobyte.String
	)
	if !s.ReadUint8(&version) || version != evidenceVersion {
		return nil, fmt.Errorf("%w: it is not of version %d", ErrEvidence, evidenceVersion)
	}
	if !s.ReadUint8(&kind) || !s.ReadUint16LengthPrefixed(&record) || !e.Configuration.read(&s) ||
		!s.ReadUint16LengthPrefixed(&stamp) || !s.ReadUint8(&e.LogRegister) || !s.ReadUint16LengthPrefixed(&log) ||
		!readList(&s, &e.Registers, readRegister) || !s.ReadUint16LengthPrefixed(&said) || !s.ReadUint16LengthPrefixed(&signature) ||
		!s.Empty() {
		return nil, fmt.Errorf("%w: its fields are not as long as it is", ErrEvidence)
	}
	if len(stamp) > MaxStampSize || len(said) > maxStatementSize || len(signature) > maxSignatureSize {
		return nil, fmt.Errorf("%w: a part of it is too long", ErrEvidence)
	}
	var err error
	if e.Log, err = ParseLog(log); err != nil {
		return nil, fmt.Errorf("%w: its log: %w", ErrEvidence, err)
	}
	if !ascending(e.Registers, func(a, b Register) int { return cmp.Compare(a.Index, b.Index) }) {
		return nil, fmt.Errorf("%w: its registers are not in order", ErrEvidence)
	}
	e.Kind, e.Record, e.Stamp = Kind(kind), record, stamp
	e.Quote = Quote{said, signature}
	return e, nil
}

func addBytes(b *cryptobyte.Builder, value []byte) {
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(value) })
}
