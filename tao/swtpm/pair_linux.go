package swtpm

import (
	"net"
	"os"
	"syscall"
)

// socketPair returns the two ends of a stream: ours, and one for a child. No other child gets either.
func socketPair() (ours net.Conn, theirs *os.File, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	mine := os.NewFile(uintptr(fds[0]), "swtpm")
	defer mine.Close() // FileConn has its own
	theirs = os.NewFile(uintptr(fds[1]), "swtpm")
	if ours, err = net.FileConn(mine); err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

// apart keeps what a terminal sends to this process and its children, as at Ctrl-C, from the TPM, which is to end last.
// That it ends with its parent in any case is due to the streams, not to PR_SET_PDEATHSIG: that would be at the end of
// whatever thread has started it.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
