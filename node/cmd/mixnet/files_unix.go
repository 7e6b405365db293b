//go:build unix

package main

import (
	"io/fs"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// openToOthers reports whether users other than the owner can use a file of that mode.
func openToOthers(mode fs.FileMode) bool { return mode&0o077 != 0 }

// accessible returns what keeps this process from making files in a folder.
func accessible(folder string) error { return unix.Access(folder, unix.W_OK|unix.X_OK) }

// surviveFullFiles makes a file that has reached the size which this process may write like a full disk: an error of
// the write, and not the end of the process.
func surviveFullFiles() { signal.Ignore(unix.SIGXFSZ) }

// ownSession starts a process that is not in this one's group, with which it would be killed.
func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
