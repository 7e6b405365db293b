package directory

import (
	"net/http"
	"sync"
	"time"
)

// What is sent stays in memory until it has been read.
const (
	maxPinned = 8 * MaxViewSize // bytes: a slow reader meets four of the largest views, each with its page

	readBytes = 128 << 10   // in a second, 1 Mbit/s: who reads more slowly is cut off
	readSlack = time.Minute // some time after
)

// readTime returns how long a reader of size bytes may take.
func readTime(size int) time.Duration {
	return readSlack + time.Duration(size)*time.Second/readBytes
}

// pins are the versions of the view, and of the page for people, that are being sent. When they are larger than limit,
// readers are cut off: those of the source that reads the most versions first, and among such the oldest version.
type pins struct {
	limit int // bytes

	mu   sync.Mutex
	list []*pin // oldest first; guarded by mu
	size int    // of all in list, in bytes; guarded by mu
}

type pin struct {
	body    []byte
	readers map[string]map[*http.ResponseController]struct{} // by source; none is empty
}

// add counts a reader of body, which is not empty, until the returned function is called. The reader's connection is
// w's.
func (ps *pins) add(body []byte, source string, w *http.ResponseController) (remove func()) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	var at *pin
	for _, held := range ps.list {
		if &held.body[0] == &body[0] {
			at = held
		}
	}
	if at == nil {
		at = &pin{body, make(map[string]map[*http.ResponseController]struct{})}
		ps.list = append(ps.list, at)
		ps.size += len(body)
	}
	if at.readers[source] == nil {
		at.readers[source] = make(map[*http.ResponseController]struct{})
	}
	at.readers[source][w] = struct{}{}
	ps.cut()
	return func() { ps.remove(at, source, w) }
}

// cut cuts readers off until limit is kept. It is called with mu held.
func (ps *pins) cut() {
	if ps.size <= ps.limit {
		return
	}
	versions := make(map[string]int)
	for _, held := range ps.list {
		for source := range held.readers {
			versions[source]++
		}
	}
	for ps.size > ps.limit {
		var at *pin
		var most string
		for _, held := range ps.list {
			for source := range held.readers {
				if at == nil || versions[source] > versions[most] {
					at, most = held, source
				}
			}
		}
		for reader := range at.readers[most] {
			_ = reader.SetWriteDeadline(time.Unix(1, 0))
		}
		versions[most]--
		delete(at.readers, most)
		ps.drop(at)
	}
}

func (ps *pins) remove(at *pin, source string, w *http.ResponseController) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	delete(at.readers[source], w)
	if len(at.readers[source]) == 0 {
		delete(at.readers, source)
	}
	ps.drop(at)
}

// drop forgets a version that nobody reads any more. It is called with mu held.
func (ps *pins) drop(at *pin) {
	if len(at.readers) > 0 {
		return
	}
	for i, held := range ps.list {
		if held == at {
			ps.list = append(ps.list[:i:i], ps.list[i+1:]...)
			ps.size -= len(at.body)
			return
		}
	}
}
