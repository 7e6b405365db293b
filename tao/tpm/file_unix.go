//go:build unix

package tpm

import (
	"errors"
	"io"
	"os"
	"syscall"
)

var errNoDevice = errors.New("it is not a device")

// openFile opens a device so that a read waits for the response: with O_NONBLOCK, which os.OpenFile sets wherever it
// can be waited for in another way, Linux says that a response which is not there yet is at its end.
func openFile(path string) (io.ReadWriteCloser, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode()&os.ModeCharDevice == 0 {
		return nil, errNoDevice
	}
	for {
		fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_CLOEXEC, 0)
		switch {
		case err == nil:
			return os.NewFile(uintptr(fd), path), nil
		case !errors.Is(err, syscall.EINTR):
			return nil, err
		}
	}
}
