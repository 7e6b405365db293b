package directory

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

// BenchmarkEd25519Verify is the yardstick of those below: one signature over as many bytes as a record has.
func BenchmarkEd25519Verify(b *testing.B) {
	message := make([]byte, 200)
	signature := ed25519.Sign(identity(1), message)
	key := public(identity(1))
	b.ReportAllocs()
	for b.Loop() {
		if !ed25519.Verify(key, message, signature) {
			b.Fatal("the signature does not hold")
		}
	}
}

// BenchmarkJudge judges one descriptor whose own signature has been checked, with a stamp that is known.
func BenchmarkJudge(b *testing.B) {
	for _, kind := range []string{"soft", "tpm"} {
		b.Run("attestor="+kind, func(b *testing.B) {
			var d Descriptor
			signed := policyOf(b, 1, nil)
			if kind == "soft" {
				d = attestor{}.attest(b, 1, describe(1))
			} else {
				_, attest := machine(b)
				d = attest(describe(1))
				signed = policyOf(b, 1, trustsTPM(b, d))
			}
			p, err := policy{}.follow(signed, public(policyKey))
			require.NoError(b, err)
			j := newJudge(public(directoryKey))
			b.ReportAllocs()
			b.ReportMetric(float64(len(d.Evidence)), "evidence-B")
			for b.Loop() {
				if judged := j.judge(&d, p.Policy, start); judged.err != nil {
					b.Fatal(judged.err)
				}
			}
		})
	}
}

// BenchmarkReadView reads signed views with 1,000 nodes as a client does: the first that it sees, and one in which all
// nodes are known.
func BenchmarkReadView(b *testing.B) {
	const nodes, stamps = 1000, 60
	var descriptors [][]byte
	for i := range nodes {
		var seed [ed25519.SeedSize]byte
		binary.BigEndian.PutUint32(seed[:], uint32(i))
		key := ed25519.NewKeyFromSeed(seed[:])
		d := describe(1)
		d.Identity = public(key)
		d.Keys = []EpochKey{{7, sha256.Sum256(seed[:])}, {8, sha256.Sum256(seed[1:])}}
		stamp := stampAt(start.Add(-time.Duration(i%stamps) * time.Second))
		signed, err := SignDescriptor(key, attestor{stamp: stamp, tpm: tao.NewSoft(key)}.attest(b, 1, d)) // each its own machine
		require.NoError(b, err)
		descriptors = append(descriptors, signed)
	}
	view := governed(1, policyOf(b, 1, nil), descriptors...)
	for _, policyKey := range []ed25519.PublicKey{nil, public(policyKey)} {
		for _, known := range []bool{false, true} {
			b.Run(fmt.Sprintf("policy=%t/known=%t", policyKey != nil, known), func(b *testing.B) {
				var r *reader
				read := func() *View {
					if !known || r == nil {
						r = newReader(public(directoryKey), policyKey)
					}
					v, list, err := openView(view, public(directoryKey))
					require.NoError(b, err)
					require.NoError(b, r.read(v, list, start))
					return v
				}
				require.Len(b, read().Nodes, nodes)
				b.SetBytes(int64(len(view)))
				b.ReportAllocs()
				for b.Loop() {
					read()
				}
			})
		}
	}
	b.Run("nothing has expired", func(b *testing.B) {
		v, list, err := openView(view, public(directoryKey))
		require.NoError(b, err)
		require.NoError(b, newReader(public(directoryKey), public(policyKey)).read(v, list, start))
		v, err = v.At(start)
		require.NoError(b, err)
		b.ReportAllocs()
		for b.Loop() {
			if w, err := v.At(start.Add(time.Minute)); err != nil || w != v {
				b.Fatal(err)
			}
		}
	})
}
