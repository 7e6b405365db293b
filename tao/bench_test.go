package tao_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

// BenchmarkVerify judges one evidence. Its yardsticks are the signatures in it: two of Ed25519 for a soft one (record and quote),
// one each of Ed25519 and ECDSA for a TPM's.
func BenchmarkVerify(b *testing.B) {
	chip, soft := storedScene(b), newScene(tao.Soft)
	for _, c := range []struct {
		name string
		*scene
		evidence []byte
	}{{"attestor=tpm", chip, stored(b, "evidence")}, {"attestor=soft", soft, soft.show(b, change{})}} {
		b.Run(c.name, func(b *testing.B) {
			p := asSigned(b, c.policy)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Verify(c.evidence, &c.subject, c.now); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(c.evidence)), "evidence-bytes")
		})
	}
	b.Run("yardstick=ed25519", func(b *testing.B) {
		message := stored(b, "evidence")[4:]
		signature := ed25519.Sign(nodeKey, message)
		b.ReportAllocs()
		for b.Loop() {
			if !ed25519.Verify(public(nodeKey), message, signature) {
				b.Fatal("the signature is wrong")
			}
		}
	})
	b.Run("yardstick=ecdsa-p256", func(b *testing.B) {
		key, sum := ecKey(1), sha256.Sum256(stored(b, "evidence"))
		signature, err := ecdsa.SignASN1(nil, key, sum[:])
		require.NoError(b, err)
		b.ReportAllocs()
		for b.Loop() {
			if !ecdsa.VerifyASN1(&key.PublicKey, sum[:], signature) {
				b.Fatal("the signature is wrong")
			}
		}
	})
}

// BenchmarkParsePolicy reads a policy, which each reader does once.
func BenchmarkParsePolicy(b *testing.B) {
	signed := stored(b, "policy")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tao.ParsePolicy(signed, public(policyKey)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAttest makes evidence, with nothing new to measure.
func BenchmarkAttest(b *testing.B) {
	b.Run("attestor=swtpm", func(b *testing.B) {
		m := newMachine(b)
		benchmarkAttest(b, m.scene, m.prover(b))
	})
	b.Run("attestor=soft", func(b *testing.B) {
		s := newScene(tao.Soft)
		s.record.Key = public(softKey)
		record, err := s.record.Sign(policyKey)
		require.NoError(b, err)
		p, err := tao.NewProver(tao.ProverConfig{
			Attestor: tao.NewSoft(softKey), Record: record, Program: program, LogFile: filepath.Join(b.TempDir(), "measurements"),
		})
		require.NoError(b, err)
		benchmarkAttest(b, s, p)
	})
}

func benchmarkAttest(b *testing.B, s *scene, p *tao.Prover) {
	says := s.says()
	_, err := p.Attest(says, s.policy)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Attest(says, s.policy); err != nil {
			b.Fatal(err)
		}
	}
}
