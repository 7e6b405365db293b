package tpm_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
	"sphinxmix.example/tao/swtpm"
	"sphinxmix.example/tao/tpm"
)

// start returns a new software TPM that runs until the test ends. Without the program the test is skipped, but not in
// CI.
func start(t testing.TB) *swtpm.TPM {
	t.Helper()
	if err := swtpm.Found(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	machine, err := swtpm.Start(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, machine.Close()) })
	return machine
}

func attestor(t testing.TB, d *tpm.Device) tao.Attestor {
	t.Helper()
	a, err := d.Attestor()
	require.NoError(t, err)
	return a
}

// relay is a stream to a TPM whose commands go to a device, for what happens on the way.
type relay struct {
	device    *tpm.Device
	commands  int
	breaks    int  // after as many commands, if it is not negative
	cut       bool // because of that
	seen      bytes.Buffer
	answers   bytes.Buffer // those of seen
	responses bytes.Buffer // that are still to be read
	closed    bool
}

var errCut = errors.New("the wire is cut")

func (r *relay) Write(command []byte) (int, error) {
	if r.commands == r.breaks {
		r.cut = true
		return 0, errCut
	}
	r.commands++
	response, err := r.device.Send(command)
	if err != nil {
		return 0, err
	}
	r.seen.Write(command)
	r.seen.Write(response)
	r.answers.Write(response)
	r.responses.Write(response)
	return len(command), nil
}

// Read gives responses in parts, as a socket may.
func (r *relay) Read(b []byte) (int, error) { return r.responses.Read(b[:min(len(b), 3)]) }

func (r *relay) Close() error {
	r.closed = true
	return nil
}

var _ io.ReadWriteCloser = (*relay)(nil)

// sendPlatform runs a command that package tpm2 does not have, under the authority of the platform.
func sendPlatform(t testing.TB, d *tpm.Device, code uint32, parameters ...byte) {
	t.Helper()
	command := []byte{0x80, 0x02, 0, 0, 0, 0} // TPM_ST_SESSIONS
	command = binary.BigEndian.AppendUint32(command, code)
	command = binary.BigEndian.AppendUint32(command, uint32(tpm2.TPMRHPlatform))
	command = append(command, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0) // an empty password
	command = append(command, parameters...)
	binary.BigEndian.PutUint32(command[2:], uint32(len(command)))
	response, err := d.Send(command)
	require.NoError(t, err)
	require.Equal(t, tpm2.TPMRCSuccess, tpm2.TPMRC(binary.BigEndian.Uint32(response[6:])))
}

// slots returns the objects and sessions that are in the TPM.
func slots(t testing.TB, d *tpm.Device) (all []tpm2.TPMHandle) {
	t.Helper()
	for _, first := range []uint32{0x80000000, 0x02000000, 0x03000000} { // objects, loaded sessions, saved ones
		got, err := tpm2.GetCapability{Capability: tpm2.TPMCapHandles, Property: first, PropertyCount: 64}.Execute(d)
		require.NoError(t, err)
		handles, err := got.CapabilityData.Data.Handles()
		require.NoError(t, err)
		all = append(all, handles.Handle...)
	}
	return all
}

// lockOut makes the TPM refuse passwords, as any program on the machine can.
func lockOut(t testing.TB, d *tpm.Device) {
	t.Helper()
	made, err := tpm2.CreatePrimary{
		PrimaryHandle: tpm2.TPMRHNull,
		InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{
			UserAuth: tpm2.TPM2BAuth{Buffer: []byte("password")},
			Data:     tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: []byte("secret")}),
		}},
		InPublic: tpm2.New2B(tpm2.TPMTPublic{
			Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
			ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, UserWithAuth: true},
		}),
	}.Execute(d)
	require.NoError(t, err)
	guess := tpm2.Unseal{ItemHandle: tpm2.AuthHandle{
		Handle: made.ObjectHandle, Name: made.Name, Auth: tpm2.PasswordAuth([]byte("guess")),
	}}
	for range 10 {
		if _, err = guess.Execute(d); errors.Is(err, tpm2.TPMRCLockout) {
			break
		}
	}
	require.ErrorIs(t, err, tpm2.TPMRCLockout)
	_, err = tpm2.FlushContext{FlushHandle: made.ObjectHandle}.Execute(d)
	require.NoError(t, err)
}
