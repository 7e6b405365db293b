// Package swtpm starts software TPMs, for tests and for networks to try things out with: the program swtpm, of which
// each is a child of this process, and everything that happens between a chip's factory and its first use.
//
// [Start] starts one; its state is in a folder, so that it can be started again. [TPM.Device] is what package tao/tpm
// makes of it. A [Factory] gives it the certificate that a chip comes with.
//
// A software TPM proves nothing: whoever can read its folder has its keys. A policy that is to mean something must not
// have the root of a Factory among its own.
package swtpm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/google/go-tpm/tpm2"

	"sphinxmix.example/tao/tpm"
)

const program = "swtpm"

var errSystem = errors.New("swtpm: this starts software TPMs on Linux only: start one, and give its unix:/path or tcp:host:port")

// Found returns nil where software TPMs can be started, else an error that says how to get there.
func Found() error {
	if runtime.GOOS != "linux" {
		return errSystem
	}
	if _, err := exec.LookPath(program); err != nil {
		return fmt.Errorf("swtpm: no software TPM is installed (Debian, Ubuntu, Fedora: the package swtpm): %w", err)
	}
	return nil
}

// TPM is a running software TPM. It ends with this process, whichever way that ends.
type TPM struct {
	device  *tpm.Device
	control net.Conn // what a machine's board does: power on and off
	command *exec.Cmd
	said    *bytes.Buffer // by the program, complete once it has ended
}

// Start starts a software TPM, as a machine that is turned on does, with its state in the folder dir: if there is none,
// it is made, and so is a new TPM, without certificates, in some 10 ms. One at a time can have a folder.
func Start(dir string) (*TPM, error) {
	if err := Found(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("swtpm: %w", err)
	}
	stream, commands, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("swtpm: %w", err)
	}
	defer commands.Close()
	control, board, err := socketPair()
	if err != nil {
		stream.Close()
		return nil, fmt.Errorf("swtpm: %w", err)
	}
	defer board.Close()

	t := &TPM{control: control, said: new(bytes.Buffer), command: exec.Command(program, "socket", "--tpm2",
		"--tpmstate", "dir=.,mode=0600", "--fd", "3", "--ctrl", "type=unixio,clientfd=4", "--flags", "not-need-init")}
	t.command.Dir = dir
	t.command.ExtraFiles = []*os.File{commands, board} // 3 and 4
	t.command.Stdout, t.command.Stderr = t.said, t.said
	t.command.SysProcAttr = apart()
	if err := t.command.Start(); err != nil {
		stream.Close()
		control.Close()
		return nil, fmt.Errorf("swtpm: %w", err)
	}
	commands.Close() // now the TPM's end is the TPM's alone: if it ends, so does the stream
	board.Close()
	if t.device, err = tpm.OpenTransport(stream); err != nil {
		t.end()
		return nil, fmt.Errorf("swtpm: it does not start with the state in %s: %w: %s", dir, err, bytes.TrimSpace(t.said.Bytes()))
	}
	return t, nil
}

// Device returns the TPM, the same device each time.
func (t *TPM) Device() *tpm.Device { return t.device }

// Commands of swtpm's control channel (swtpm_ioctls(3)).
const (
	commandInit     = 2 // flags(4) follow: 0
	commandShutdown = 3
)

// Reboot turns the machine off, in good order, and on again: registers are at their start, and the TPM has counted a
// reset. The device goes on.
func (t *TPM) Reboot() error {
	err := t.shutdown()
	if err == nil {
		err = t.tell(commandInit, 0)
	}
	if err == nil {
		_, err = tpm2.Startup{StartupType: tpm2.TPMSUClear}.Execute(t.device)
	}
	if err != nil {
		return fmt.Errorf("swtpm: rebooting: %w", err)
	}
	return nil
}

// Close turns the machine off, in good order, and closes the device.
func (t *TPM) Close() error {
	err := t.shutdown()
	if err == nil {
		err = t.tell(commandShutdown)
	}
	err = errors.Join(err, t.device.Close(), t.end())
	if err != nil {
		return fmt.Errorf("swtpm: closing: %w", err)
	}
	return nil
}

// shutdown tells the TPM that its power will be cut off.
func (t *TPM) shutdown() error {
	_, err := tpm2.Shutdown{ShutdownType: tpm2.TPMSUClear}.Execute(t.device)
	return err
}

// patience is how long the program may take over what takes it milliseconds.
const patience = 30 * time.Second

// tell sends a command to the control channel: numbers of four bytes. The response is one more, zero for success.
func (t *TPM) tell(numbers ...uint32) error {
	if err := t.control.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if err := binary.Write(t.control, binary.BigEndian, numbers); err != nil {
		return err
	}
	var result uint32
	if err := binary.Read(t.control, binary.BigEndian, &result); err != nil {
		return err
	}
	if result != 0 {
		return fmt.Errorf("command %d failed: %w", numbers[0], tpm2.TPMRC(result))
	}
	return nil
}

// end lets go of the program, and waits until it has ended.
func (t *TPM) end() error {
	err := t.control.Close()
	kill := time.AfterFunc(patience, func() { _ = t.command.Process.Kill() })
	defer kill.Stop()
	return errors.Join(err, t.command.Wait())
}

var _ io.Closer = (*TPM)(nil)
