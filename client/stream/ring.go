package stream

// ring holds the bytes of a stream from one offset to another.
type ring struct {
	data     []byte // of a length that is a power of two, or nil; the byte at offset o is data[o % len(data)]
	from, to uint64
}

// keepRing is the longest buffer, in bytes, that an empty ring keeps.
const keepRing = 64 << 10

// put writes p at an offset that is not below from. Bytes between to and there, if any, are undefined until they are put.
func (r *ring) put(offset uint64, p []byte) {
	end := offset + uint64(len(p))
	if need := end - r.from; need > uint64(len(r.data)) {
		r.grow(need)
	}
	r.copy(offset, p, func(ours, theirs []byte) int { return copy(ours, theirs) })
	r.to = max(r.to, end)
}

// get reads the bytes at offset into p; all of them have been put.
func (r *ring) get(offset uint64, p []byte) {
	r.copy(offset, p, func(ours, theirs []byte) int { return copy(theirs, ours) })
}

func (r *ring) copy(offset uint64, p []byte, copied func(ours, theirs []byte) int) {
	for len(p) > 0 {
		n := copied(r.data[offset%uint64(len(r.data)):], p)
		p, offset = p[n:], offset+uint64(n)
	}
}

func (r *ring) grow(need uint64) {
	size := uint64(4 << 10)
	for size < need {
		size *= 2
	}
	old := *r
	r.data = make([]byte, size)
	for at := old.from; at < old.to; {
		piece := old.data[at%uint64(len(old.data)):]
		piece = piece[:min(uint64(len(piece)), old.to-at)]
		r.copy(at, piece, func(ours, theirs []byte) int { return copy(ours, theirs) })
		at += uint64(len(piece))
	}
}

// drop forgets the bytes below an offset, which may be beyond to.
func (r *ring) drop(below uint64) {
	r.from = max(r.from, below)
	r.to = max(r.to, r.from)
	if r.from == r.to && len(r.data) > keepRing {
		r.data = nil
	}
}

// length returns how many bytes there are between the two offsets.
func (r *ring) length() int { return int(r.to - r.from) }
