// Package durable keeps files so that they outlive a crash of the machine: what a call says is written or removed stays
// so, and a file is there as a whole or not at all. It trusts the disk to keep what it says it has.
package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// PartialSuffix ends the name under which WriteFile writes a file before it takes its place. A crash may leave it behind.
const PartialSuffix = ".partial"

// WriteFile puts data in the file path, in place of what was there, and returns once that is on disk. After an error, or
// a crash on the way, path holds what it held or data, and nothing else. A new file has perm, less the process's umask.
// One call at a time may write to path.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	partial := path + PartialSuffix
	if err := os.Remove(partial); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeNew(partial, data, perm); err != nil {
		return err
	}
	if err := os.Rename(partial, path); err != nil {
		_ = os.Remove(partial) // the first error says more
		return err
	}
	return SyncFolder(filepath.Dir(path))
}

// CreateFile puts data in the new file path, with perm as WriteFile does, and returns once that is on disk. After an error
// there is no such file, but for one that was there before, of which the error wraps fs.ErrExist. A crash on the way may
// leave a part.
func CreateFile(path string, data []byte, perm fs.FileMode) error {
	if err := writeNew(path, data, perm); err != nil {
		return err
	}
	if err := SyncFolder(filepath.Dir(path)); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// writeNew is CreateFile, but for the name, which may not be on disk.
func writeNew(path string, data []byte, perm fs.FileMode) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// Remove removes the file path, and returns once it is gone from the disk. That it is gone already is no error.
func Remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return SyncFolder(filepath.Dir(path))
}

// Erase is Remove of a file with a secret, which it overwrites with zeros before. File systems that never write in
// place, snapshots, backups and the spare blocks of an SSD may keep copies that no program can reach: only an encrypted
// disk helps there. A file that cannot be overwritten is removed all the same, and the error says so.
func Erase(path string) error {
	return errors.Join(overwrite(path), Remove(path))
}

func overwrite(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return nil // what a link points at is not ours
	}
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = io.CopyN(file, zeros{}, info.Size())
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// zeros reads as zeros without end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// SyncFolder returns once the names in the folder dir are on disk: those of new, renamed and removed files.
func SyncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
