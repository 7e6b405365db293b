package replay

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"

	"sphinxmix.example/sphinx"
)

// BindingSize is the size in bytes of what ties a Log to its key.
const BindingSize = 32

const (
	magic        = "mixtags"
	version      = 1
	checksumSize = 4

	headerSize       = 7 + 1 + BindingSize + checksumSize
	recordHeaderSize = 4 + checksumSize

	// sectorSize divides what any disk or file system writes at once, in bytes.
	sectorSize = 512
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// appendHeader appends what a file begins with.
func appendHeader(dst []byte, binding [BindingSize]byte) []byte {
	start := len(dst)
	dst = append(dst, magic...)
	dst = append(dst, version)
	dst = append(dst, binding[:]...)
	return binary.BigEndian.AppendUint32(dst, checksum(dst[start:]))
}

// checkHeader checks what a file begins with, all of it if it is shorter than a header.
func checkHeader(header []byte, binding [BindingSize]byte) error {
	rest, ok := bytes.CutPrefix(header, []byte(magic))
	switch {
	case !ok || len(rest) == 0:
		return fmt.Errorf("%w: it does not begin as a log does", ErrCorrupt)
	case rest[0] != version:
		return fmt.Errorf("%w: version %d, not %d", ErrVersion, rest[0], version)
	case len(header) != headerSize || !sums(header):
		return fmt.Errorf("%w: its header is", ErrCorrupt)
	case [BindingSize]byte(rest[1:]) != binding:
		return ErrBinding
	}
	return nil
}

// sums reports whether b ends with the checksum of what is before.
func sums(b []byte) bool {
	body := len(b) - checksumSize
	return binary.BigEndian.Uint32(b[body:]) == checksum(b[:body])
}

// seal makes the record for position at from one that has its tags, and room for its header before them.
func seal(record []byte, at int64) []byte {
	count := (len(record) - recordHeaderSize) / sphinx.TagSize
	putRecordHeader(record, uint32(count), at)
	return binary.BigEndian.AppendUint32(record, checksum(record))
}

// putRecordHeader computes in header itself, since what a checksum is computed of escapes to the heap.
func putRecordHeader(header []byte, count uint32, at int64) {
	binary.BigEndian.PutUint64(header, uint64(at))
	sum := checksum(header[:8])
	binary.BigEndian.PutUint32(header, count)
	binary.BigEndian.PutUint32(header[4:], crc32.Update(sum, castagnoli, header[:4]))
}

// recordSize returns the size in bytes of the record at position at that begins with header, or false where that is not
// the header of one.
func recordSize(header []byte, at int64) (int64, bool) {
	count := binary.BigEndian.Uint32(header)
	want := make([]byte, recordHeaderSize)
	putRecordHeader(want, count, at)
	return recordHeaderSize + int64(count)*sphinx.TagSize + checksumSize, count > 0 && bytes.Equal(header, want)
}

// recoverTags reads a Log's file and returns what is in it, most likely max tags at most, and where the next record goes,
// which is the end of the file once a torn commit is cut off.
func recoverTags(f *os.File, binding [BindingSize]byte, max int) (tags tagSet, end int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	size := info.Size()
	header := make([]byte, min(size, headerSize))
	if _, err := f.ReadAt(header, 0); err != nil {
		return nil, 0, err
	}
	if err := checkHeader(header, binding); err != nil {
		return nil, 0, err
	}
	tags = make(tagSet, min(uint64(size/sphinx.TagSize), uint64(max)))
	if end, err = readRecords(f, size, tags); err != nil {
		return nil, 0, err
	}
	if end < size {
		if err = f.Truncate(end); err == nil {
			err = f.Sync()
		}
	}
	return tags, end, err
}

// readRecords adds the tags in the records of a file of size bytes to tags, and returns where the last whole record ends:
// before size, if the commit after it is torn.
func readRecords(f io.ReaderAt, size int64, tags tagSet) (at int64, err error) {
	at = headerSize
	in := bufio.NewReaderSize(io.NewSectionReader(f, at, size-at), 1<<18)
	var record []byte
	for at < size {
		var end int64
		if record, end, err = readRecord(in, record[:0], at, size); err != nil {
			return 0, err
		}
		if len(record) == 0 {
			torn, err := isTorn(f, at, end, size)
			if err == nil && !torn {
				err = fmt.Errorf("%w: the record at byte %d of %d is", ErrCorrupt, at, size)
			}
			return at, err
		}
		for tag := range slices.Chunk(record[recordHeaderSize:len(record)-checksumSize], sphinx.TagSize) {
			if !tags.add(sphinx.Tag(tag)) {
				return 0, fmt.Errorf("%w: the record at byte %d of %d repeats a tag", ErrCorrupt, at, size)
			}
		}
		at = end
	}
	return at, nil
}

// readRecord reads the record at position at of a file of size bytes into the memory of record, which it returns empty
// where there is no valid one. end is the record's end, or that of its header where the header does not say.
func readRecord(in io.Reader, record []byte, at, size int64) (whole []byte, end int64, err error) {
	if end = at + recordHeaderSize; end > size {
		return record[:0], end, nil
	}
	record = append(record[:0], make([]byte, recordHeaderSize)...)
	if _, err := io.ReadFull(in, record); err != nil {
		return nil, 0, err
	}
	length, ok := recordSize(record, at)
	if !ok {
		return record[:0], end, nil
	}
	if end = at + length; end > size {
		return record[:0], end, nil
	}
	record = slices.Grow(record, int(length)-recordHeaderSize)[:length]
	if _, err := io.ReadFull(in, record[recordHeaderSize:]); err != nil {
		return nil, 0, err
	}
	if !sums(record) {
		return record[:0], end, nil
	}
	return record, end, nil
}

// isTorn reports whether what stands at position at, instead of a record that ends at end, is what a crash leaves of a
// commit, in a file of size bytes.
func isTorn(f io.ReaderAt, at, end, size int64) (bool, error) {
	if size < end {
		return true, nil
	}
	from := max(at, (end-1)/sectorSize*sectorSize)
	in := bufio.NewReaderSize(io.NewSectionReader(f, from, size-from), 1<<16)
	for {
		b, err := in.ReadByte()
		switch {
		case err == io.EOF:
			return true, nil
		case err != nil || b != 0:
			return false, err
		}
	}
}
