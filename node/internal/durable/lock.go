package durable

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// lockName is the name of the file by which a folder is locked. It is empty, and stays when the lock is gone.
const lockName = ".lock"

// ErrInUse is wrapped by Lock's error for a folder that somebody has locked.
var ErrInUse = errors.New("is in use by another process: stop that one, or give each a folder of its own")

// FolderLock keeps all others from locking a folder, in this process and in any other on this machine, until Unlock
// or the end of the process. It binds only those who ask for it.
type FolderLock struct{ file *os.File }

// Lock locks the folder dir, which must exist, and never waits. The error wraps ErrInUse where somebody else has it.
func Lock(dir string) (*FolderLock, error) {
	file, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(file); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("folder %s %w", dir, err)
	}
	return &FolderLock{file}, nil
}

// Unlock gives the folder back. It is called once.
func (l *FolderLock) Unlock() error { return l.file.Close() }
