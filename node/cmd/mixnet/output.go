package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// keptWriter remembers that a write failed, so that no command ends well whose output is lost.
type keptWriter struct {
	to  io.Writer
	err error
}

func (w *keptWriter) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	if err != nil && w.err == nil {
		w.err = err
	}
	return n, err
}

// readAll reads from until its end, or until ctx ends; then what reads goes on until the process ends.
func readAll(ctx context.Context, from io.Reader) ([]byte, error) {
	type result struct {
		all []byte
		err error
	}
	done := make(chan result, 1)
	go func() {
		all, err := io.ReadAll(from)
		done <- result{all, err}
	}()
	select {
	case read := <-done:
		return read.all, read.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// newFile is a file that is there under its name only once it is whole. Where the name leads to a device, a pipe or a
// terminal, that stays what it is, and is written to at the end.
type newFile struct {
	*os.File        // the one beside it, or the device
	name     string // what the file is to be called, links followed; "": it is a device
}

// createFile starts a file, for this user alone, beside the one that it is to become.
func createFile(name string) (*newFile, error) {
	switch info, err := os.Stat(name); {
	case err == nil && info.IsDir():
		return nil, fmt.Errorf("%s is a folder", name)
	case err == nil && !info.Mode().IsRegular():
		device, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return nil, err
		}
		return &newFile{File: device}, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	target, err := followLinks(name)
	if err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(filepath.Dir(target), ".mixnet-*")
	if err != nil {
		return nil, cannotCreate(filepath.Dir(target), err)
	}
	return &newFile{file, target}, nil
}

// cannotCreate is err, of a file whose name tells nobody anything, for the folder that it was to be in.
func cannotCreate(folder string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return fmt.Errorf("no file can be made in %s: %w", folder, err)
}

// followLinks returns the name of the file that name leads to, which need not be there, in a folder that must be.
func followLinks(name string) (string, error) {
	const most = 40 // links, as in Linux
	for at, links := name, 0; links < most; links++ {
		folder, err := filepath.EvalSymlinks(filepath.Dir(at))
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("there is no folder %s", filepath.Dir(at))
		} else if err != nil {
			return "", err
		}
		at = filepath.Join(folder, filepath.Base(at))
		to, err := os.Readlink(at)
		if err != nil { // no link
			return filepath.Abs(at)
		}
		if at = to; !filepath.IsAbs(to) {
			at = filepath.Join(folder, to)
		}
	}
	return "", fmt.Errorf("%s: too many links", name)
}

// shared makes it a file that other users may read.
func (f *newFile) shared() error {
	if f.name == "" {
		return nil
	}
	return f.Chmod(0o644)
}

// keep writes all that the file is to hold and gives it its name.
func (f *newFile) keep(data []byte) error {
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Close(); err != nil || f.name == "" {
		return err
	}
	return os.Rename(f.File.Name(), f.name)
}

// discard removes the file, unless it was kept.
func (f *newFile) discard() {
	f.Close()
	if f.name != "" {
		os.Remove(f.File.Name())
	}
}

// newFolder is a folder that is gone again at the end if nothing is in it.
type newFolder struct {
	made []string // that and those above it which were not there, the lowest first
}

// createFolder makes a folder, and those above it, where there is none, and tries whether files can be made in it.
func createFolder(name string) (*newFolder, error) {
	f := new(newFolder)
	for at := filepath.Clean(name); ; at = filepath.Dir(at) {
		if _, err := os.Lstat(at); !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			break
		}
		f.made = append(f.made, at)
	}
	if err := os.MkdirAll(name, 0o777); err != nil {
		f.discard()
		return nil, err
	}
	tried, err := os.CreateTemp(name, ".mixnet-*")
	if err != nil {
		f.discard()
		return nil, cannotCreate(name, err)
	}
	tried.Close()
	os.Remove(tried.Name())
	return f, nil
}

// discard removes what createFolder made, unless there is something in it.
func (f *newFolder) discard() {
	for _, name := range f.made {
		os.Remove(name)
	}
}
