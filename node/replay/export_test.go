package replay

import (
	"maps"
	"slices"

	"sphinxmix.example/sphinx"
)

// What the tests see of the file.
const (
	HeaderSize       = headerSize
	RecordHeaderSize = recordHeaderSize
	ChecksumSize     = checksumSize
	SectorSize       = sectorSize
)

// File is what a Log needs of a file.
type File = file

// SetFile makes l write to what replace returns for the file that it has.
func (l *Log) SetFile(replace func(File) File) {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.file = replace(l.file)
}

// Tags returns all tags, in no order.
func (l *Log) Tags() []sphinx.Tag {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.tags))
}

// Reserve makes room for n tags, so that none of the first n makes the set grow.
func (l *Log) Reserve(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tags = make(tagSet, n)
}

// AppendRecord appends the record with tags to content, a file.
func AppendRecord(content []byte, tags ...sphinx.Tag) []byte {
	record := make([]byte, recordHeaderSize)
	for _, tag := range tags {
		record = append(record, tag[:]...)
	}
	return append(content, seal(record, int64(len(content)))...)
}

// AppendHeader returns the file of an empty Log.
func AppendHeader(binding [BindingSize]byte) []byte { return appendHeader(nil, binding) }
