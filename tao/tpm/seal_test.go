package tpm_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao/tpm"
)

// TestSeal: a secret comes back on the same TPM, also after a restart, and only while the registers are what they were.
func TestSeal(t *testing.T) {
	machine := start(t)
	device := machine.Device()
	a := attestor(t, device)
	require.NoError(t, a.Extend(14, [32]byte{1}))
	for _, size := range []int{1, 32, tpm.MaxSecretSize} {
		secret := bytes.Repeat([]byte{7}, size)
		blob, err := device.Seal(secret, []uint8{7, 14})
		require.NoError(t, err)
		require.NotContains(t, string(blob), string(bytes.Repeat([]byte{7}, 8)))
		got, err := device.Unseal(blob)
		require.NoError(t, err)
		require.Equal(t, secret, got)
	}
	secret := []byte("an identity's seed of 32 bytes..")
	blob, err := device.Seal(secret, []uint8{7, 14})
	require.NoError(t, err)

	require.NoError(t, a.Extend(13, [32]byte{}))
	got, err := device.Unseal(blob)
	require.NoError(t, err, "of a register that it is not sealed to")
	require.Equal(t, secret, got)

	require.NoError(t, a.Extend(14, [32]byte{2}))
	_, err = device.Unseal(blob)
	require.ErrorIs(t, err, tpm.ErrRegisters)

	require.NoError(t, machine.Reboot())
	_, err = device.Unseal(blob)
	require.ErrorIs(t, err, tpm.ErrRegisters)
	require.NoError(t, a.Extend(14, [32]byte{1}))
	got, err = device.Unseal(blob)
	require.NoError(t, err)
	require.Equal(t, secret, got)

	_, err = start(t).Device().Unseal(blob)
	require.ErrorIs(t, err, tpm.ErrForeign)
	_, err = tpm2.Clear{AuthHandle: tpm2.TPMRHLockout}.Execute(device)
	require.NoError(t, err)
	_, err = device.Unseal(blob)
	require.ErrorIs(t, err, tpm.ErrForeign)
}

func TestSealRefuses(t *testing.T) {
	device := start(t).Device()
	for _, size := range []int{0, tpm.MaxSecretSize + 1} {
		_, err := device.Seal(make([]byte, size), []uint8{14})
		require.ErrorContains(t, err, "1 to 128")
	}
	for _, registers := range [][]uint8{nil, {14, 7}, {7, 7}, {24}} {
		_, err := device.Seal([]byte("secret"), registers)
		require.Error(t, err, "%d", registers)
	}
}

// TestSealedHasNoPassword: the policy is the only way to a secret, for those who use the TPM without this package.
func TestSealedHasNoPassword(t *testing.T) {
	device := start(t).Device()
	blob, err := device.Seal([]byte("secret"), []uint8{14})
	require.NoError(t, err)
	rest := blob[3:] // version, and a list of one register
	n := 2 + int(rest[0])<<8 + int(rest[1])
	public, err := tpm2.Unmarshal[tpm2.TPM2BPublic](rest[:n])
	require.NoError(t, err)
	private, err := tpm2.Unmarshal[tpm2.TPM2BPrivate](rest[n:])
	require.NoError(t, err)

	storage, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(device)
	require.NoError(t, err)
	loaded, err := tpm2.Load{
		ParentHandle: tpm2.AuthHandle{Handle: storage.ObjectHandle, Name: storage.Name, Auth: tpm2.PasswordAuth(nil)},
		InPrivate:    *private, InPublic: *public,
	}.Execute(device)
	require.NoError(t, err)
	unsealBy := func(session tpm2.Session) error {
		item := tpm2.AuthHandle{Handle: loaded.ObjectHandle, Name: loaded.Name, Auth: session}
		_, err := tpm2.Unseal{ItemHandle: item}.Execute(device)
		return err
	}
	require.ErrorIs(t, unsealBy(tpm2.PasswordAuth(nil)), tpm2.TPMRCAuthUnavailable)
	session, _, err := tpm2.PolicySession(device, tpm2.TPMAlgSHA256, 16)
	require.NoError(t, err)
	require.ErrorIs(t, unsealBy(session), tpm2.TPMRCPolicyFail)
}

// TestSecretOnTheWire: who listens between processor and TPM does not see it.
func TestSecretOnTheWire(t *testing.T) {
	wire := &relay{device: start(t).Device(), breaks: -1}
	device, err := tpm.OpenTransport(wire)
	require.NoError(t, err)
	secret := []byte("an identity's seed of 32 bytes..")
	blob, err := device.Seal(secret, []uint8{14})
	require.NoError(t, err)
	got, err := device.Unseal(blob)
	require.NoError(t, err)
	require.Equal(t, secret, got)
	require.NotEmpty(t, wire.seen.Bytes())
	for i := range len(secret) - 7 { // four of them are among random ones in one of some 10,000 runs
		require.NotContains(t, wire.seen.String(), string(secret[i:i+8]))
	}
}

// TestDamagedBlob: whatever bytes stand in a blob, it gives the secret that was sealed or none.
func TestDamagedBlob(t *testing.T) {
	device := start(t).Device()
	blob, err := device.Seal([]byte("secret"), []uint8{7, 14})
	require.NoError(t, err)
	refused := func(damaged []byte) {
		t.Helper()
		_, err := device.Unseal(damaged)
		if !errors.Is(err, tpm.ErrForeign) && !errors.Is(err, tpm.ErrRegisters) {
			t.Errorf("%v", err)
		}
	}
	for i := range blob {
		refused(blob[:i])
		refused(flipped(blob, i))
	}
	refused(append(slices.Clone(blob), 0))
	refused(make([]byte, 70000))
	require.Empty(t, slots(t, device))
	_, err = device.Unseal(blob)
	require.NoError(t, err)
}
