//go:build !unix

package main

import (
	"io/fs"
	"syscall"
)

func openToOthers(fs.FileMode) bool { return false }

func accessible(string) error { return nil }

func surviveFullFiles() {}

func ownSession() *syscall.SysProcAttr { return nil }
