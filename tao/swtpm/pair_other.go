//go:build !linux

package swtpm

import (
	"net"
	"os"
	"syscall"
)

func socketPair() (net.Conn, *os.File, error) {
	return nil, nil, errSystem
}

func apart() *syscall.SysProcAttr { return nil }
