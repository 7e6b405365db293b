//go:build amd64 && !purego

package symmetric

import "golang.org/x/sys/cpu"

const (
	blockSize = 64 // bytes of keystream in a block of ChaCha20

	// passAVX2 is how many bytes xorBlocksAVX2 computes at once.
	passAVX2 = 6 * blockSize

	// rowBlocks is how many blocks a row of registers holds in xorStreamAVX512.
	rowBlocks = 4

	// longStream is the length in bytes above which a stream is best computed by itself.
	longStream = 2 * rowBlocks * blockSize

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

// xorStreams computes blocks of different streams in one pass of AVX-512, where that is faster than stream by stream.
func xorStreams(streams []Stream) {
	if chosen != avx512 || !passesPay(streams) {
		for _, s := range streams {
			xorStream(s.Dst, s.Src, s.Key)
		}
		return
	}
	var pass streamPass
	used := 0
	for i := range streams {
		s := &streams[i]
		length := len(s.Src)
		if length > longStream {
			xorStream(s.Dst, s.Src, s.Key)
			continue
		}
		for at := 0; at < length; at += blockSize {
			lane := used % streamLanes
			pass.dst[lane], pass.src[lane] = &s.Dst[at], &s.Src[at]
			pass.keys[lane] = s.Key
			pass.lengths[lane] = min(length-at, blockSize)
			pass.counters[lane] = uint32(at / blockSize)
			if used++; used%streamLanes == 0 {
				pass.run(streamLanes)
			}
		}
	}
	pass.run(used % streamLanes)
}

// passesPay compares what short streams take together and alone, in cycles of one processor.
func passesPay(streams []Stream) bool {
	const pass, oneRow, twoRows = 900, 280, 440
	blocks, alone := 0, 0
	for i := range streams {
		switch length := len(streams[i].Src); {
		case length == 0 || length > longStream:
			continue
		case length > rowBlocks*blockSize:
			alone += twoRows
		default:
			alone += oneRow
		}
		blocks += (len(streams[i].Src) + blockSize - 1) / blockSize
	}
	return alone > pass*((blocks+streamLanes-1)/streamLanes)
}

// streamPass is what xorBlocksAVX512 computes at once: a block in each lane.
type streamPass struct {
	dst, src [streamLanes]*byte
	lengths  [streamLanes]int
	keys     [streamLanes]*[StreamKeySize]byte
	counters [streamLanes]uint32
}

// run computes what is in the first lanes. The others compute the same as the first and write nothing.
func (p *streamPass) run(used int) {
	if used == 0 {
		return
	}
	for i := used; i < streamLanes; i++ {
		p.dst[i], p.src[i], p.lengths[i], p.keys[i] = p.dst[0], p.src[0], 0, p.keys[0]
	}
	xorBlocksAVX512(&p.dst, &p.src, &p.lengths, &p.keys, &p.counters)
}
