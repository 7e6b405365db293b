package x25519

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestQuick(t *testing.T) {
	random := randomness("lanes")
	for _, k := range kernels {
		m := &Multiplier{[]kernel{k}, newMemory()}
		for n := 1; n <= 70; n++ {
			all := make([]Multiplication, n)
			for i := range all {
				s, p := randomKey(random), randomKey(random)
				if i%13 == 5 {
					p = Key{}
				}
				all[i] = Multiplication{new(Key), &s, &p, false}
			}
			m.Multiply(all)
			for i := range all {
				want := reference(t, *all[i].Scalar, *all[i].Point)
				if want == nil {
					require.False(t, all[i].OK)
					require.Equal(t, Key{}, *all[i].Result)
				} else {
					require.True(t, all[i].OK)
					require.Equal(t, want, all[i].Result[:], "%s %d", k.name, i)
				}
			}
		}
	}
}

func BenchmarkX(b *testing.B) {
	random := randomness("lanes")
	for _, k := range kernels {
		for _, n := range []int{1, 8, 64} {
			b.Run(k.name+"/"+string(rune('0'+n/8)), func(b *testing.B) {
				m := &Multiplier{[]kernel{k}, newMemory()}
				all := make([]Multiplication, n)
				for i := range all {
					s, p := randomKey(random), randomKey(random)
					all[i] = Multiplication{new(Key), &s, &p, false}
				}
				var nop float64
				b.ReportAllocs()
				for b.Loop() {
					m.Multiply(all)
				}
				nop = float64(b.Elapsed().Nanoseconds()) / float64(b.N)
				b.ReportMetric(nop/float64(n), "ns/mult")
			})
		}
	}
	b.Run("circl", func(b *testing.B) {
		s, p := randomKey(random), randomKey(random)
		for b.Loop() {
			Shared(&s, &s, &p)
		}
	})
}
