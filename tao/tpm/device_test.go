package tpm_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao/tpm"
)

// operation is one of a device, with no state of its own.
type operation struct {
	name string
	run  func(*tpm.Device) error
}

// operations returns all of a device, those that have to fail among them: these succeed if they do.
func operations(t testing.TB, device *tpm.Device) []operation {
	blob, err := device.Seal([]byte("secret"), []uint8{14})
	require.NoError(t, err)
	changed, err := device.Seal([]byte("secret"), []uint8{15})
	require.NoError(t, err)
	require.NoError(t, attestor(t, device).Extend(15, [32]byte{}))
	credential, secret := credentialFor(t, device, attestor(t, device).Key())
	failing := func(want, err error) error {
		if errors.Is(err, want) {
			return nil
		}
		return errors.Join(errors.New("no failure, or another one"), err)
	}
	return []operation{
		{"Attestor", func(d *tpm.Device) error { _, err := d.Attestor(); return err }},
		{"Quote", func(d *tpm.Device) error {
			a, err := d.Attestor()
			if err == nil {
				_, err = a.Quote([32]byte{}, []uint8{14})
			}
			return err
		}},
		{"Endorsement", func(d *tpm.Device) error { _, err := d.Endorsement(); return err }},
		{"Activate", func(d *tpm.Device) error { _, err := d.Activate(credential, secret); return err }},
		{"Activate what is damaged", func(d *tpm.Device) error {
			_, err := d.Activate(credential[:len(credential)-1], secret)
			return failing(tpm.ErrForeign, err)
		}},
		{"Seal", func(d *tpm.Device) error { _, err := d.Seal([]byte("secret"), []uint8{14}); return err }},
		{"Unseal", func(d *tpm.Device) error { _, err := d.Unseal(blob); return err }},
		{"Unseal after a change", func(d *tpm.Device) error {
			_, err := d.Unseal(changed)
			return failing(tpm.ErrRegisters, err)
		}},
		{"Unseal what is damaged", func(d *tpm.Device) error {
			damaged := append([]byte(nil), blob...)
			damaged[len(damaged)-1] ^= 1
			_, err := d.Unseal(damaged)
			return failing(tpm.ErrForeign, err)
		}},
	}
}

// TestLeavesNothing: a TPM has three slots for objects, which all programs on a machine share.
func TestLeavesNothing(t *testing.T) {
	device := start(t).Device()
	for _, operation := range operations(t, device) {
		for range 20 {
			require.NoError(t, operation.run(device), operation.name)
			require.Empty(t, slots(t, device), operation.name)
		}
	}
}

// TestFullTPM: an operation that has no room for its second object has freed the slot of its first.
func TestFullTPM(t *testing.T) {
	device := start(t).Device()
	all := operations(t, device)
	for range 3 {
		_, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(device)
		require.NoError(t, err)
		for _, operation := range all {
			before := slots(t, device)
			if err := operation.run(device); err != nil {
				require.ErrorContains(t, err, "use /dev/tpmrm0", operation.name)
			}
			require.Equal(t, before, slots(t, device), operation.name)
		}
	}
	_, err := device.Attestor()
	require.ErrorIs(t, err, tpm2.TPMRCObjectMemory)
}

// TestBrokenConnection: wherever in an operation the wire is cut, that shows, and nothing is sent or believed any more.
func TestBrokenConnection(t *testing.T) {
	device := start(t).Device()
	for _, operation := range operations(t, device) {
		for breaks := 1; ; breaks++ {
			wire := &relay{device: device, breaks: breaks}
			cut, err := tpm.OpenTransport(wire)
			require.NoError(t, err)
			err = operation.run(cut)
			if !wire.cut {
				require.NoError(t, err)
				require.Greater(t, breaks, 3)
				require.NoError(t, cut.Close())
				break
			}
			if err != nil { // else all that was left to do was to clean up
				require.ErrorIs(t, err, errCut, "%s, after %d commands", operation.name, breaks)
			}
			require.True(t, wire.closed)
			wire.breaks = -1
			_, err = cut.Attestor()
			require.ErrorIs(t, err, errCut)
			require.ErrorContains(t, err, "is broken")
			require.Equal(t, breaks, wire.commands)
			require.NoError(t, cut.Close())
			for _, handle := range slots(t, device) {
				_, err := tpm2.FlushContext{FlushHandle: handle}.Execute(device)
				require.NoError(t, err)
			}
		}
	}
}

// TestLockedOut: any program can make a TPM refuse passwords for hours. Nothing here needs one.
func TestLockedOut(t *testing.T) {
	device := start(t).Device()
	all := operations(t, device)
	lockOut(t, device)
	for _, operation := range all {
		require.NoError(t, operation.run(device), operation.name)
	}
}

// TestPassword: of a hierarchy, which somebody has set.
func TestPassword(t *testing.T) {
	device := start(t).Device()
	_, err := tpm2.HierarchyChangeAuth{
		AuthHandle: tpm2.TPMRHEndorsement, NewAuth: tpm2.TPM2BAuth{Buffer: []byte("password")},
	}.Execute(device)
	require.NoError(t, err)
	_, err = device.Attestor()
	require.ErrorContains(t, err, "somebody has set a password")
}

// TestSockets: a TPM that listens is one by its address, again and again.
func TestSockets(t *testing.T) {
	start(t) // or skip

	const host = "127.84.80.77" // so that the port, once found free, stays so: others' are those of 127.0.0.1
	listener, err := net.Listen("tcp", host+":0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	socket := filepath.Join(t.TempDir(), "socket")
	for _, test := range []struct{ address, server string }{
		{"unix:" + socket, "type=unixio,path=" + socket},
		{"tcp:" + host + ":" + port, "type=tcp,port=" + port + ",bindaddr=" + host},
	} {
		state := t.TempDir()
		run := func() *exec.Cmd {
			command := exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+state, "--server", test.server, "--flags", "not-need-init")
			require.NoError(t, command.Start())
			t.Cleanup(func() { _ = command.Process.Kill() })
			return command
		}
		command := run()
		var keys []string
		for range 2 {
			var device *tpm.Device
			require.Eventually(t, func() bool {
				device, err = tpm.Open(test.address)
				return err == nil
			}, time.Minute, time.Millisecond, test.address)
			keys = append(keys, string(attestor(t, device).Key()))
			require.NoError(t, device.Close())
			require.NoError(t, device.Close())
			_, err := device.Attestor()
			require.ErrorContains(t, err, "closed")
		}
		require.Equal(t, keys[0], keys[1])
		device, err := tpm.Open(test.address)
		require.NoError(t, err)
		require.NoError(t, command.Process.Kill())
		_ = command.Wait()
		_, err = device.Attestor()
		require.Error(t, err)
		_ = os.Remove(socket)
		command = run()
		require.Eventually(t, func() bool {
			again, err := device.Attestor()
			return err == nil && string(again.Key()) == keys[0]
		}, time.Minute, time.Millisecond, "the device is not opened anew")
		require.NoError(t, device.Close())
		require.NoError(t, command.Process.Kill())
		_ = command.Wait()
		_, err = tpm.Open(test.address)
		require.ErrorContains(t, err, test.address)
	}
}

// TestOpen says what to do about what cannot be opened.
func TestOpen(t *testing.T) {
	for _, address := range []string{"", "tpm0", "udp:127.0.0.1:1", "dev/tpmrm0"} {
		_, err := tpm.Open(address)
		require.ErrorContains(t, err, "give /dev/tpmrm0, unix:/path or tcp:host:port", address)
	}
	missing := filepath.Join(t.TempDir(), "tpmrm0")
	_, err := tpm.Open(missing)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "enabled in the firmware's setup")

	require.NoError(t, os.WriteFile(missing, nil, 0o600))
	_, err = tpm.Open(missing)
	require.ErrorContains(t, err, "not a device")

	_, err = tpm.Open(os.DevNull)
	require.ErrorContains(t, err, "opening", "a device that is no TPM")

	_, err = tpm.Open("unix:" + missing)
	require.ErrorContains(t, err, "unix:")
}
