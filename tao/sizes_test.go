package tao_test

import (
	"crypto/ed25519"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

// TestEvidenceOfTheLargestSize is about the limits of all of it, and of its parts, to the byte.
func TestEvidenceOfTheLargestSize(t *testing.T) {
	encode := func(record, stamp, statement, signature int) (*tao.Evidence, []byte, error) {
		e := &tao.Evidence{
			Kind: tao.Soft, Record: make([]byte, record), Stamp: make([]byte, stamp),
			Quote: tao.Quote{Statement: make([]byte, statement), Signature: make([]byte, signature)},
		}
		b, err := e.Encode()
		return e, b, err
	}
	_, empty, err := encode(0, 0, 0, 0)
	require.NoError(t, err)
	room := tao.MaxEvidenceSize - len(empty)
	_, all, err := encode(room, 0, 0, 0)
	require.NoError(t, err)
	require.Len(t, all, tao.MaxEvidenceSize)
	_, err = tao.ParseEvidence(all)
	require.NoError(t, err)
	_, _, err = encode(room+1, 0, 0, 0)
	require.ErrorIs(t, err, tao.ErrEvidence)
	_, _, err = encode(1<<16, 0, 0, 0)
	require.ErrorIs(t, err, tao.ErrEvidence)
	_, err = tao.ParseEvidence(slices.Concat(all[:2], number(2, uint64(room+1)), []byte{0}, all[4:]))
	require.ErrorIs(t, err, tao.ErrEvidence)

	for _, sizes := range [][3]int{{tao.MaxStampSize, 1024, 512}, {tao.MaxStampSize, 0, 0}, {0, 1024, 0}, {0, 0, 512}} {
		_, b, err := encode(10, sizes[0], sizes[1], sizes[2])
		require.NoError(t, err)
		_, err = tao.ParseEvidence(b)
		require.NoError(t, err, sizes)
	}
	for _, sizes := range [][3]int{{tao.MaxStampSize + 1, 0, 0}, {0, 1025, 0}, {0, 0, 513}} {
		_, b, err := encode(10, sizes[0], sizes[1], sizes[2])
		require.NoError(t, err)
		_, err = tao.ParseEvidence(b)
		require.ErrorIs(t, err, tao.ErrEvidence, sizes)
	}
}

// TestEvidenceHasOneEncoding wants no evidence to be read of which there is another way to write it.
func TestEvidenceHasOneEncoding(t *testing.T) {
	for name, spoil := range map[string]func(*tao.Evidence){
		"registers in another order": func(e *tao.Evidence) { slices.Reverse(e.Registers) },
		"a register twice":           func(e *tao.Evidence) { e.Registers[1] = e.Registers[0] },
		"a register that is none":    func(e *tao.Evidence) { e.Registers[1].Index = 24 },
		"a strategy that is none":    func(e *tao.Evidence) { e.Configuration.Strategy = tao.Poisson + 1 },
		"an event that is none":      func(e *tao.Evidence) { e.Log[0].Kind = tao.KeyMade + 1 },
	} {
		e := newScene(tao.TPM).evidence(t, change{})
		spoil(e)
		b, err := e.Encode()
		require.NoError(t, err)
		_, err = tao.ParseEvidence(b)
		require.ErrorIs(t, err, tao.ErrEvidence, name)
	}
	good := newScene(tao.TPM).show(t, change{})
	e, err := tao.ParseEvidence(good)
	require.NoError(t, err)
	keepsKeys := 2 + 2 + len(e.Record) + 57
	require.Zero(t, good[keepsKeys])
	good[keepsKeys] = 2
	_, err = tao.ParseEvidence(good)
	require.ErrorIs(t, err, tao.ErrEvidence)
}

// TestPolicyOfTheLargestSize is about the limit to the byte.
func TestPolicyOfTheLargestSize(t *testing.T) {
	p := goodPolicy()
	p.Programs[0].Name = ""
	p.Roots = nil
	left := tao.MaxPolicySize - ed25519.SignatureSize - len(policyBody(p))
	for n := range uint64(left / 32) {
		p.Roots = append(p.Roots, [32]byte(append(number(8, n), make([]byte, 24)...)))
	}
	p.Programs[0].Name = strings.Repeat("x", left%32)
	signed := signedPolicy(t, p)
	require.Len(t, signed, tao.MaxPolicySize)
	_, err := tao.ParsePolicy(signed, public(policyKey))
	require.NoError(t, err)
	p.Programs[0].Name += "x"
	_, err = p.Sign(policyKey)
	require.ErrorIs(t, err, tao.ErrPolicy)
	slices.SortFunc(p.Programs, func(a, b tao.Allowed) int { return slices.Compare(a.Digest[:], b.Digest[:]) })
	_, err = tao.ParsePolicy(signedWith(policyKey, policyContext, policyBody(p)), public(policyKey))
	require.ErrorIs(t, err, tao.ErrPolicy)
	for n := range uint64(100) { // more than a list has room for
		p.Roots = append(p.Roots, [32]byte(append(number(8, 1<<32+n), make([]byte, 24)...)))
	}
	_, err = p.Sign(policyKey)
	require.ErrorIs(t, err, tao.ErrPolicy)
}
