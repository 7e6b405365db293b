package replay

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"sphinxmix.example/node/internal/durable"
	"sphinxmix.example/sphinx"
)

// Log is an exact set of tags that is kept in a file, for a key that outlives the process. It holds a bounded number of
// them and fails closed. It is safe for concurrent use.
//
// Durability. Fresh remembers tags in memory, so that no packet is let in twice by one process, and queues them for the
// file. Commit returns once all that Fresh had queued before is on disk, as one record with one fsync. Therefore whoever
// opens packets calls Commit once per batch, before anything leaves of what the packets in it ask for: a packet whose tag
// is not on disk has then left no trace, and to let it in once more after a crash is no replay.
//
// Fresh never waits for the disk, not even while a Commit does. After a write or fsync that failed nobody knows what is
// on disk, so that a Log then refuses everything for ever: Fresh and Commit return that error. Tags that were queued but
// not committed when the process ends are gone.
//
// The file is described at [Open]. One Log at a time may have it open; who owns the folder locks it.
type Log struct{ *log }

// log is apart from Log for the reason that set is from Set.
type log struct {
	path string
	max  int

	mu     sync.Mutex // never held during a write
	tags   tagSet     // guarded by mu
	queue  []byte     // guarded by mu: the next record as far as it is known, room for its header and then tags
	broken error      // guarded by mu: why nothing is fresh any more, or nil

	writing sync.Mutex // held during a write; taken before mu
	file    file       // guarded by writing
	end     int64      // guarded by writing: where in the file the next record goes
	spare   []byte     // guarded by writing: memory for the next queue
}

// file is what a Log needs of an *os.File, so that tests can take disks away.
type file interface {
	WriteAt(b []byte, at int64) (int, error)
	Sync() error
	Close() error
}

// maxSpare is the size in bytes of the largest queue whose memory is used again.
const maxSpare = 1 << 20

// Create makes the file path for an empty Log of at most max tags, each of which takes up to 80 bytes of memory and
// about 32 of the file once stored. binding ties it to its key: a hash of the public key. The file is on disk, with its
// name, when Create returns. The error wraps fs.ErrExist where there is such a file, which Create never touches.
func Create(path string, binding [BindingSize]byte, max int) (*Log, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(appendHeader(nil, binding))
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = durable.SyncFolder(filepath.Dir(path))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return newLog(path, f, make(tagSet), headerSize, max), nil
}

// Open returns the Log in the file path with all tags that were ever committed to it, cutting off a commit that a crash
// has torn. binding must be the one that the file was made with. If there are more than max tags, the Log is full.
//
// The error wraps fs.ErrNotExist where there is no such file, ErrVersion, ErrBinding, or ErrCorrupt for a file that was
// damaged otherwise, of which tags may be missing. Open changes nothing in a file that it refuses.
//
// # The file
//
// All numbers are big-endian, and all checksums CRC-32C.
//
//	header  "mixtags"(7) ‖ version 1(1) ‖ binding(32) ‖ checksum of these(4)
//	record  count(4) ‖ checksum of position(8) and count(4) ‖ tags(32 · count) ‖ checksum of all of the record before it(4)
//
// There is one record a commit, from count ≥ 1 tags; its position is the number of bytes before it in the file, so that a
// record holds in one place only. No tag is there twice.
//
// A crash may tear the last commit, which had not returned: then the file ends before its record does, or with zeros,
// where it was made longer before the data came, from the start of the record on or from a multiple of 512 in it, which
// is what disks write at once. Such an end is cut off. Any other damage is ErrCorrupt. This tells crashes from damage,
// except for damage after the fact that is just like a torn commit: a last record that has lost its end. The checksums
// protect from accidents, not from those who can write to the file.
func Open(path string, binding [BindingSize]byte, max int) (*Log, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	tags, end, err := recoverTags(f, binding, max)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return newLog(path, f, tags, end, max), nil
}

func newLog(path string, f file, tags tagSet, end int64, max int) *Log {
	return &Log{&log{path: path, max: max, tags: tags, queue: make([]byte, recordHeaderSize), file: f, end: end}}
}

// Fresh implements sphinx.Replay, up to the next Commit. Where there is no room for all tags it stores none and returns
// ErrFull. It allocates nothing but what the set needs to grow.
func (l *Log) Fresh(tags []sphinx.Tag, fresh []bool) error {
	clear(fresh)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return l.broken
	}
	if len(l.tags)+len(tags) > l.max {
		return ErrFull
	}
	for i := range tags {
		if fresh[i] = l.tags.add(tags[i]); fresh[i] {
			l.queue = append(l.queue, tags[i][:]...)
		}
	}
	return nil
}

// Commit returns once every tag that an earlier call of Fresh has called new is on disk, whichever Commit wrote it.
// Where nothing is queued it writes nothing.
func (l *Log) Commit() error {
	l.writing.Lock() // waits for the Commit that may have tags of ours
	defer l.writing.Unlock()
	record, err := l.takeQueue()
	if err != nil || len(record) == recordHeaderSize {
		l.spare = record
		return err
	}
	record = seal(record, l.end)
	_, err = l.file.WriteAt(record, l.end)
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		return l.fail(fmt.Errorf("replay: the log cannot be written any more: %w", err))
	}
	l.end += int64(len(record))
	if cap(record) <= maxSpare {
		l.spare = record
	}
	return nil
}

// takeQueue returns the queue and puts an empty one in its place.
func (l *Log) takeQueue() ([]byte, error) {
	next := l.spare
	if next == nil {
		next = make([]byte, recordHeaderSize)
	}
	l.spare = nil
	l.mu.Lock()
	defer l.mu.Unlock()
	queue := l.queue
	l.queue = next[:recordHeaderSize]
	return queue, l.broken
}

// fail makes err the answer to everything from now on, unless another was before it, and returns the answer.
func (l *Log) fail(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken == nil {
		l.broken = err
	}
	l.tags, l.queue = nil, l.queue[:recordHeaderSize]
	return l.broken
}

// Len returns the number of tags stored, whether they are on disk yet or not.
func (l *Log) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.tags)
}

// Close ends the use of the file, after a Commit that is under way. What is queued is lost: it is Commit's caller who
// knows whether packets wait for it. Fresh and Commit return ErrClosed from then on, or the error that they did before.
func (l *Log) Close() error {
	_ = l.fail(ErrClosed) // first, so that nobody waits for the disk to learn it
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// Remove closes the Log and removes its file, once the key is gone that it belongs to. It returns when the file is gone
// from the disk.
func (l *Log) Remove() error {
	return errors.Join(l.Close(), durable.Remove(l.path))
}

// Format prints how many tags there are and none of them, whatever the verb.
func (l *Log) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "replay.Log(%d tags)", l.Len()) }
