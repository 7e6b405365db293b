package bench

import (
	"strings"
	"testing"
)

var hopCounts = []int{3, 5, 10}

// forSizes runs what makers returns for every path length and payload size.
func forSizes(b *testing.B, makers func(r, payload int) []maker) {
	for _, r := range hopCounts {
		for _, payload := range payloads {
			benchmark(b, makers(r, payload)...)
		}
	}
}

// benchmark runs each by the part of its name that is behind the first slash: what is before it is the benchmark's.
func benchmark(b *testing.B, makers ...maker) {
	for _, m := range makers {
		_, name, _ := strings.Cut(m.Name(), "/")
		b.Run(name, func(b *testing.B) { inUnits(b, m) })
	}
}

func BenchmarkUnwrap(b *testing.B) {
	forSizes(b, func(r, payload int) []maker { return []maker{unwrap(r, payload)} })
}

func BenchmarkUnwrapBatch(b *testing.B) {
	forSizes(b, func(r, payload int) []maker {
		return []maker{unwrapBatch(r, payload, 8), unwrapBatch(r, payload, 64)}
	})
}

func BenchmarkWrap(b *testing.B) {
	forSizes(b, func(r, payload int) []maker { return []maker{wrap(r, payload)} })
}

func BenchmarkWrapBatch(b *testing.B) {
	forSizes(b, func(r, payload int) []maker { return []maker{wrapBatch(r, payload, 8), wrapBatch(r, payload, 64)} })
}

func BenchmarkSURB(b *testing.B) {
	for _, r := range hopCounts {
		benchmark(b, makeSURB(r, 0), makeSURB(r, 8))
	}
}

func BenchmarkReplyOpen(b *testing.B) {
	forSizes(b, func(r, payload int) []maker { return []maker{openReply(r, payload)} })
}

// The primitives are those of the plan.
func BenchmarkX25519(b *testing.B)   { benchmark(b, planned("X25519")...) }
func BenchmarkChaCha20(b *testing.B) { benchmark(b, planned("ChaCha20")...) }
func BenchmarkBLAKE2b(b *testing.B)  { benchmark(b, planned("BLAKE2b")...) }
func BenchmarkLIONESS(b *testing.B)  { benchmark(b, planned("LIONESS")...) }

func planned(kind string) (all []maker) {
	for _, m := range plan(nil) {
		if m.Kind == kind {
			all = append(all, m)
		}
	}
	return all
}
