package keyring

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sphinxmix.example/node/internal/durable"
	"sphinxmix.example/node/replay"
	"sphinxmix.example/sphinx"
)

// What a file with a key begins with, and its size in bytes:
//
//	"mix key"(7) ‖ version 1(1) ‖ epoch(8) ‖ private key(32) ‖ CRC-32C of these(4)
//
// with numbers in big-endian. The checksum is against accidents.
const (
	keyPrefix   = "mix key\x01"
	keyFileSize = len(keyPrefix) + 8 + sphinx.KeySize + crc32.Size
)

// bindingContext keeps the hash of a public key that binds a log from being that of anything else.
const bindingContext = "sphinx mix replay log of key"

// The names of a key's files are filePrefix, the number of its epoch, and one of these.
const (
	filePrefix = "epoch-"
	keySuffix  = ".key"
	tagsSuffix = ".tags"
)

var errKeyFile = errors.New("the key file is damaged")

// folder is where keys are kept, each with its log. The order of what it writes and removes is such that there is never
// a key without a log that has all of its tags.
type folder struct {
	dir     string
	maxTags int
	log     *slog.Logger
	lock    *durable.FolderLock
}

// openFolder makes the folder if it is missing, and locks it.
func openFolder(cfg Config) (*folder, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	info, err := os.Stat(cfg.Dir)
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("folder %s has the mode %#o, so that others may reach its keys: chmod 700 %s", cfg.Dir, mode, cfg.Dir)
	}
	lock, err := durable.Lock(cfg.Dir)
	if err != nil {
		return nil, err
	}
	return &folder{cfg.Dir, cfg.MaxTags, cfg.Log, lock}, nil
}

func (f *folder) close() error { return f.lock.Unlock() }

func (f *folder) path(number uint64, suffix string) string {
	return filepath.Join(f.dir, filePrefix+strconv.FormatUint(number, 10)+suffix)
}

// load returns the keys in the folder that may be of use when the epoch is current, by ascending epoch, and erases the
// files of all others. An error that says nothing about a key, such as too many open files, ends it instead.
func (f *folder) load(current uint64) ([]*Epoch, error) {
	numbers, err := f.numbers()
	if err != nil {
		return nil, err
	}
	var found []*Epoch
	forget := func(err error) ([]*Epoch, error) {
		errs := []error{err}
		for _, e := range found {
			e.forget()
			errs = append(errs, e.log.Close())
		}
		return nil, errors.Join(errs...)
	}
	for _, number := range numbers {
		if number+1 < current || number > current+2 {
			f.log.Info("mix key erased, whose time is over or far ahead", "epoch", number, "current", current)
			if err := f.eraseFiles(number); err != nil {
				return forget(err)
			}
			continue
		}
		e, err := f.loadOne(number)
		switch {
		case err == nil:
			found = append(found, e)
		case refused(err):
			f.log.Warn("mix key refused and erased: packets made for it are lost, until clients see that there is another",
				"epoch", number, "reason", err)
			if err := f.eraseFiles(number); err != nil {
				return forget(err)
			}
		default:
			return forget(err)
		}
	}
	return found, nil
}

// numbers returns the epochs that the folder has files of, in ascending order.
func (f *folder) numbers() ([]uint64, error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, err
	}
	var numbers []uint64
	for _, entry := range entries {
		if number, ours := numberOf(entry.Name()); ours {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	return slices.Compact(numbers), nil
}

// numberOf returns the epoch in the name of a file that this package writes, or false for another file's.
func numberOf(name string) (uint64, bool) {
	rest, ours := strings.CutPrefix(name, filePrefix)
	digits, suffix, _ := strings.Cut(rest, ".")
	number, err := strconv.ParseUint(digits, 10, 64)
	ours = ours && err == nil && strconv.FormatUint(number, 10) == digits &&
		slices.Contains([]string{keySuffix, keySuffix + durable.PartialSuffix, tagsSuffix}, "."+suffix)
	return number, ours
}

// refused reports whether err says that a key must not be used.
func refused(err error) bool {
	return slices.ContainsFunc([]error{fs.ErrNotExist, errKeyFile, replay.ErrCorrupt, replay.ErrBinding, replay.ErrVersion},
		func(reason error) bool { return errors.Is(err, reason) })
}

// loadOne returns the epoch with its key and log, both of which must be as they were left.
func (f *folder) loadOne(number uint64) (*Epoch, error) {
	content, err := os.ReadFile(f.path(number, keySuffix))
	if err != nil {
		return nil, err
	}
	defer clear(content)
	key, err := decodeKey(content, number)
	if err != nil {
		return nil, err
	}
	log, err := replay.Open(f.path(number, tagsSuffix), binding(key), f.maxTags)
	if err != nil {
		key.Wipe()
		return nil, err
	}
	return newEpoch(number, key, log, f.maxTags), nil
}

// save puts a new key and its log in the folder: first the log.
func (f *folder) save(number uint64, key *sphinx.PrivateKey) (*Epoch, error) {
	e, err := f.saveLog(number, key)
	if err != nil {
		key.Wipe()
		return nil, err
	}
	content := encodeKey(number, key)
	defer clear(content)
	if err := durable.WriteFile(f.path(number, keySuffix), content, 0o600); err != nil {
		e.forget()
		return nil, errors.Join(err, f.erase(e))
	}
	return e, nil
}

func (f *folder) saveLog(number uint64, key *sphinx.PrivateKey) (*Epoch, error) {
	if err := f.eraseFiles(number); err != nil { // that an earlier attempt left
		return nil, err
	}
	log, err := replay.Create(f.path(number, tagsSuffix), binding(key), f.maxTags)
	if err != nil {
		return nil, err
	}
	return newEpoch(number, key, log, f.maxTags), nil
}

// erase erases the file of the key of e, then closes and removes its log. After an error it can be tried again.
func (f *folder) erase(e *Epoch) error {
	if err := f.eraseKey(e.Number); err != nil {
		return err
	}
	e.gone.Store(true) // before the log refuses tags for it
	return e.log.Remove()
}

// eraseFiles is erase for files that are not in use.
func (f *folder) eraseFiles(number uint64) error {
	if err := f.eraseKey(number); err != nil {
		return err
	}
	return durable.Remove(f.path(number, tagsSuffix))
}

func (f *folder) eraseKey(number uint64) error {
	path := f.path(number, keySuffix)
	return errors.Join(durable.Erase(path), durable.Erase(path+durable.PartialSuffix))
}

// binding returns what ties a log to key.
func binding(key *sphinx.PrivateKey) [replay.BindingSize]byte {
	public := key.Public()
	return sha256.Sum256(append([]byte(bindingContext), public[:]...))
}

// encodeKey returns what a key's file holds.
func encodeKey(number uint64, key *sphinx.PrivateKey) []byte {
	raw := key.Bytes()
	defer clear(raw)
	b := append(make([]byte, 0, keyFileSize), keyPrefix...)
	b = binary.BigEndian.AppendUint64(b, number)
	b = append(b, raw...)
	return binary.BigEndian.AppendUint32(b, keyChecksum(b))
}

// decodeKey is the reverse of encodeKey. The error wraps errKeyFile.
func decodeKey(content []byte, number uint64) (*sphinx.PrivateKey, error) {
	if len(content) != keyFileSize || !bytes.HasPrefix(content, []byte(keyPrefix)) {
		return nil, fmt.Errorf("%w, or of another version", errKeyFile)
	}
	body := content[:keyFileSize-crc32.Size]
	if binary.BigEndian.Uint32(content[len(body):]) != keyChecksum(body) {
		return nil, errKeyFile
	}
	rest := body[len(keyPrefix):]
	if of := binary.BigEndian.Uint64(rest); of != number {
		return nil, fmt.Errorf("%w: it is that of epoch %d", errKeyFile, of)
	}
	return sphinx.NewPrivateKey(rest[8:])
}

func keyChecksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
