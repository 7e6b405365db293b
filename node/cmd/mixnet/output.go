package main

import (
	"context"
	"io"
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

// newFile is a file that is there under its name only once it is whole.
type newFile struct {
	*os.File
	name string
}

// createFile starts a file beside the one that it is to become.
func createFile(name string) (*newFile, error) {
	file, err := os.CreateTemp(filepath.Dir(name), ".mixnet-*")
	if err != nil {
		return nil, err
	}
	return &newFile{file, name}, nil
}

// keep writes all that the file is to hold and gives it its name.
func (f *newFile) keep(data []byte) error {
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.File.Name(), f.name)
}

// discard removes the file, unless it was kept.
func (f *newFile) discard() {
	f.Close()
	os.Remove(f.File.Name())
}
