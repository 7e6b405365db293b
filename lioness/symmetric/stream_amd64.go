//go:build amd64 && !purego

package symmetric

import "golang.org/x/sys/cpu"

const (
	blockSize = 64 // bytes of keystream in a block of ChaCha20

	// passAVX2 is how many bytes xorBlocksAVX2 computes at once.
	passAVX2 = 6 * blockSize

	// longStream is the length in bytes above which a stream fills the lanes of xorStreamAVX512 by itself.
	longStream = 12 * blockSize

	streamLanes = 16
)

// available lists what this machine can do, the fastest first.
func available() []implementation {
	var all []implementation
	x86 := &cpu.X86
	if x86.HasAVX512F && x86.HasAVX512BW && x86.HasAVX512DQ && x86.HasAVX512VL && x86.HasBMI2 {
		all = append(all, avx512)
	}
	if x86.HasAVX2 {
		all = append(all, avx2)
	}
	return append(all, portable)
}

func xorStream(dst, src []byte, key *[StreamKeySize]byte) {
	switch {
	case len(src) == 0:
	case chosen == avx512:
		xorStreamAVX512(&dst[0], &src[0], len(src), key)
	case chosen == avx2:
		xorStreamAVX2(dst, src, key)
	default:
		xorStreamPortable(dst, src, key)
	}
}

// xorStreamAVX2 takes what is left after the last full pass through memory of its own if it has no whole number of blocks.
func xorStreamAVX2(dst, src []byte, key *[StreamKeySize]byte) {
	rest := len(src) % passAVX2
	if rest%blockSize == 0 {
		rest = 0
	}
	whole := len(src) - rest
	if whole > 0 {
		xorBlocksAVX2(&dst[0], &src[0], whole/blockSize, key, 0)
	}
	if rest > 0 {
		var buffer [passAVX2]byte
		copy(buffer[:], src[whole:])
		xorBlocksAVX2(&buffer[0], &buffer[0], (rest+blockSize-1)/blockSize, key, uint32(whole/blockSize))
		copy(dst[whole:], buffer[:])
		clear(buffer[:])
	}
}

// xorStreams computes blocks of different streams in one pass of AVX-512.
func xorStreams(streams []Stream) {
	if chosen != avx512 || len(streams) < 2 {
		for _, s := range streams {
			xorStream(s.Dst, s.Src, s.Key)
		}
		return
	}
	var pass streamPass
	for i := range streams {
		s := &streams[i]
		if len(s.Src) > longStream {
			xorStream(s.Dst, s.Src, s.Key)
			continue
		}
		for at := 0; at < len(s.Src); at += blockSize {
			pass.add(s, at)
		}
	}
	pass.run()
}

// streamPass is what xorBlocksAVX512 computes at once: a block in each lane.
type streamPass struct {
	used     int
	dst, src [streamLanes]*byte
	lengths  [streamLanes]int
	keys     [streamLanes]*[StreamKeySize]byte
	counters [streamLanes]uint32
}

// add adds the block of s at an offset in bytes.
func (p *streamPass) add(s *Stream, at int) {
	i := p.used
	p.dst[i], p.src[i] = &s.Dst[at], &s.Src[at]
	p.lengths[i] = min(len(s.Src)-at, blockSize)
	p.keys[i] = s.Key
	p.counters[i] = uint32(at / blockSize)
	if p.used++; p.used == streamLanes {
		p.run()
	}
}

// run computes what was added. Lanes without a block compute the first one and write nothing.
func (p *streamPass) run() {
	if p.used == 0 {
		return
	}
	for i := p.used; i < streamLanes; i++ {
		p.dst[i], p.src[i], p.lengths[i], p.keys[i] = p.dst[0], p.src[0], 0, p.keys[0]
	}
	xorBlocksAVX512(&p.dst, &p.src, &p.lengths, &p.keys, &p.counters)
	p.used = 0
}
