//go:build !unix

package tpm

import (
	"errors"
	"io"
)

func openFile(string) (io.ReadWriteCloser, error) {
	return nil, errors.New("this program does not know the TPM of this operating system: give unix:/path or tcp:host:port")
}
