package tpm_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"sphinxmix.example/tao/tpm"
)

// TestDeviceFile: a device whose response is not there at once is waited for. The device is a terminal, with a TPM at
// its other end, as there may be no other.
func TestDeviceFile(t *testing.T) {
	machine := start(t)
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	require.NoError(t, err)
	defer terminal.Close()
	control, err := terminal.SyscallConn()
	require.NoError(t, err)
	var number int
	require.NoError(t, control.Control(func(fd uintptr) {
		require.NoError(t, unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0))
		number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		require.NoError(t, err)
		raw := &unix.Termios{Cflag: unix.CS8 | unix.CREAD}
		raw.Cc[unix.VMIN] = 1
		require.NoError(t, unix.IoctlSetTermios(int(fd), unix.TCSETS, raw))
	}))
	served := make(chan int)
	go func() {
		count := 0
		defer func() { served <- count }()
		command := make([]byte, 4096)
		for {
			n, err := terminal.Read(command)
			if err != nil {
				return
			}
			response, err := machine.Device().Send(command[:n])
			if err != nil {
				return
			}
			if _, err := terminal.Write(response); err != nil {
				return
			}
			count++
		}
	}()
	device, err := tpm.Open(fmt.Sprintf("/dev/pts/%d", number))
	require.NoError(t, err)
	a := attestor(t, device)
	require.Equal(t, attestor(t, machine.Device()).Key(), a.Key())
	_, err = a.Quote([32]byte{1}, []uint8{14})
	require.NoError(t, err)
	require.NoError(t, device.Close())
	require.Greater(t, <-served, 6) // a terminal that nobody has open ends
}
