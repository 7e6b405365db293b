//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package durable

import (
	"errors"
	"os"
)

func lock(*os.File) error {
	return errors.New("cannot be locked: this program does not know how, on this operating system")
}
