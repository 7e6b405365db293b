package stream

// buffer holds the bytes of a stream from one offset to another, in pages: one far byte must not cost as much as all that
// may come before it.
type buffer struct {
	pages    []*page // from the page number first on; nil where nothing was put
	first    uint64
	used     int // pages that are not nil
	from, to uint64
}

// pageSize is how many bytes a page has. They are of the offsets from a multiple of it on.
const pageSize = 4 << 10

type page [pageSize]byte

// put writes p at an offset that is not below from. Bytes between to and there, if any, are undefined until they are put.
func (b *buffer) put(offset uint64, p []byte) {
	if len(b.pages) == 0 {
		b.first = b.from / pageSize
	}
	for len(p) > 0 {
		i := int(offset/pageSize - b.first)
		for len(b.pages) <= i {
			b.pages = append(b.pages, nil)
		}
		if b.pages[i] == nil {
			b.pages[i] = new(page)
			b.used++
		}
		n := copy(b.pages[i][offset%pageSize:], p)
		p, offset = p[n:], offset+uint64(n)
	}
	b.to = max(b.to, offset)
}

// get reads the bytes at offset into p; all of them have been put.
func (b *buffer) get(offset uint64, p []byte) {
	for len(p) > 0 {
		n := copy(p, b.pages[offset/pageSize-b.first][offset%pageSize:])
		p, offset = p[n:], offset+uint64(n)
	}
}

// drop forgets the bytes below an offset, which may be beyond to.
func (b *buffer) drop(below uint64) {
	b.from = max(b.from, below)
	b.to = max(b.to, b.from)
	if b.from == b.to {
		b.pages, b.used = nil, 0
		return
	}
	for len(b.pages) > 0 && (b.first+1)*pageSize <= b.from {
		if b.pages[0] != nil {
			b.used--
		}
		b.pages[0] = nil
		b.pages = b.pages[1:]
		b.first++
	}
}

// length returns how many bytes there are between the two offsets.
func (b *buffer) length() int { return int(b.to - b.from) }

// size returns how many bytes the pages take.
func (b *buffer) size() int { return b.used * pageSize }
