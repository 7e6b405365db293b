package tpm_test

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"math/big"
	"sync"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
	"sphinxmix.example/tao/tpm"
)

// TestAttestationKey: the one that a verifier accepts, the same after a restart of the machine, and of this TPM alone.
func TestAttestationKey(t *testing.T) {
	machine := start(t)
	a := attestor(t, machine.Device())
	require.Equal(t, tao.TPM, a.Kind())
	require.NoError(t, tao.CheckAttestationKey(a.Key()))
	require.NoError(t, machine.Reboot())
	require.Equal(t, a.Key(), attestor(t, machine.Device()).Key())
	require.NotEqual(t, a.Key(), attestor(t, start(t).Device()).Key())

	a.Key()[0] ^= 1
	require.Equal(t, a.Key(), attestor(t, machine.Device()).Key(), "what a caller does with a key is not the attestor's")
}

// TestRegisters: the TPM extends as the verifier computes it, until the machine is restarted.
func TestRegisters(t *testing.T) {
	machine := start(t)
	a := attestor(t, machine.Device())
	for _, register := range []uint8{0, 10, 14} {
		var want [32]byte
		for i := range 3 {
			digest := sha256.Sum256([]byte{register, byte(i)})
			want = tao.Extend(want, digest)
			require.NoError(t, a.Extend(register, digest))
			got, err := a.Read(register)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
	}
	untouched, err := a.Read(13)
	require.NoError(t, err)
	require.Zero(t, untouched)
	require.ErrorContains(t, a.Extend(24, [32]byte{}), "no register 24")
	_, err = a.Read(255)
	require.ErrorContains(t, err, "no register 255")

	require.NoError(t, machine.Reboot())
	got, err := a.Read(14)
	require.NoError(t, err)
	require.Zero(t, got)
}

// TestQuote reads a quote as the specification says, without the verifier.
func TestQuote(t *testing.T) {
	machine := start(t)
	a := attestor(t, machine.Device())
	require.NoError(t, a.Extend(14, [32]byte{1}))
	value := tao.Extend([32]byte{}, [32]byte{1})
	quote, err := a.Quote([32]byte{2, 3}, []uint8{0, 14, 23})
	require.NoError(t, err)

	said, err := tpm2.Unmarshal[tpm2.TPMSAttest](quote.Statement)
	require.NoError(t, err)
	require.Equal(t, quote.Statement, tpm2.Marshal(*said))
	require.NoError(t, said.Magic.Check())
	require.Equal(t, tpm2.TPMSTAttestQuote, said.Type)
	require.Equal(t, append([]byte{2, 3}, make([]byte, 30)...), said.ExtraData.Buffer)
	registers, err := said.Attested.Quote()
	require.NoError(t, err)
	require.Equal(t, tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{
		{Hash: tpm2.TPMAlgSHA256, PCRSelect: []byte{0x01, 0x40, 0x80}},
	}}, registers.PCRSelect)
	digest := sha256.Sum256(append(append(make([]byte, 32), value[:]...), make([]byte, 32)...))
	require.Equal(t, digest[:], registers.PCRDigest.Buffer)

	area, err := tpm2.Unmarshal[tpm2.TPMTPublic](a.Key())
	require.NoError(t, err)
	key, err := tpm2.Pub(*area)
	require.NoError(t, err)
	signature, err := tpm2.Unmarshal[tpm2.TPMTSignature](quote.Signature)
	require.NoError(t, err)
	require.Equal(t, quote.Signature, tpm2.Marshal(*signature))
	ec, err := signature.Signature.ECDSA()
	require.NoError(t, err)
	hash := sha256.Sum256(quote.Statement)
	require.True(t, ecdsa.Verify(key.(*ecdsa.PublicKey), hash[:],
		new(big.Int).SetBytes(ec.SignatureR.Buffer), new(big.Int).SetBytes(ec.SignatureS.Buffer)))

	require.NoError(t, machine.Reboot())
	later, err := a.Quote([32]byte{2, 3}, []uint8{0, 14, 23})
	require.NoError(t, err)
	saidLater, err := tpm2.Unmarshal[tpm2.TPMSAttest](later.Statement)
	require.NoError(t, err)
	require.Equal(t, said.QualifiedSigner, saidLater.QualifiedSigner)
	require.Equal(t, said.ClockInfo.ResetCount+1, saidLater.ClockInfo.ResetCount)
	require.Equal(t, said.FirmwareVersion, saidLater.FirmwareVersion)
}

func TestQuoteOfNoRegisters(t *testing.T) {
	a := attestor(t, start(t).Device())
	for _, registers := range [][]uint8{nil, {14, 0}, {14, 14}, {24}} {
		_, err := a.Quote([32]byte{}, registers)
		require.Error(t, err, "%d", registers)
	}
}

// TestNoBank: a TPM that has no SHA-256 registers takes extensions of them, and quotes none. Nobody is to find that out
// from a verifier.
func TestNoBank(t *testing.T) {
	machine := start(t)
	device := machine.Device()
	before := attestor(t, device)
	const allocate = 0x12b
	sendPlatform(t, device, allocate, 0, 0, 0, 2, // banks
		0, byte(tpm2.TPMAlgSHA1), 3, 0xff, 0xff, 0xff,
		0, byte(tpm2.TPMAlgSHA256), 3, 0, 0, 0)
	require.NoError(t, machine.Reboot())
	_, err := device.Attestor()
	require.ErrorIs(t, err, tpm.ErrNoBank)
	_, err = before.Read(14)
	require.ErrorIs(t, err, tpm.ErrNoBank)
	_, err = device.Seal([]byte("secret"), []uint8{14})
	require.ErrorIs(t, err, tpm.ErrNoBank)
}

// TestClear: who clears a TPM, as its owner can, changes neither key, and starts its counts anew. Who changes the
// endorsement seed, as firmware can, has another TPM, and a quote by the old name is not to be had.
func TestClear(t *testing.T) {
	machine := start(t)
	device := machine.Device()
	for range 3 {
		require.NoError(t, machine.Reboot())
	}
	a := attestor(t, device)
	endorsement, err := device.Endorsement()
	require.NoError(t, err)
	require.Equal(t, uint32(4), resets(t, a))

	_, err = tpm2.Clear{AuthHandle: tpm2.TPMRHLockout}.Execute(device)
	require.NoError(t, err)
	require.Equal(t, a.Key(), attestor(t, device).Key())
	again, err := device.Endorsement()
	require.NoError(t, err)
	require.Equal(t, endorsement, again)
	require.Zero(t, resets(t, a))
	require.NoError(t, machine.Reboot())
	require.Equal(t, uint32(1), resets(t, a))

	const changeEPS = 0x124
	sendPlatform(t, device, changeEPS)
	_, err = a.Quote([32]byte{}, []uint8{14})
	require.ErrorContains(t, err, "another attestation key")
	require.NotEqual(t, a.Key(), attestor(t, device).Key())
	require.Empty(t, slots(t, device))
}

func resets(t *testing.T, a tao.Attestor) uint32 {
	t.Helper()
	quote, err := a.Quote([32]byte{}, []uint8{14})
	require.NoError(t, err)
	said, err := tpm2.Unmarshal[tpm2.TPMSAttest](quote.Statement)
	require.NoError(t, err)
	return said.ClockInfo.ResetCount
}

// TestConcurrentUse: no extension is lost, and no call sees the response to another.
func TestConcurrentUse(t *testing.T) {
	device := start(t).Device()
	a := attestor(t, device)
	const each = 10
	var group sync.WaitGroup
	for register := range uint8(6) {
		group.Go(func() {
			var want [32]byte
			for i := range each {
				digest := [32]byte{register, byte(i)}
				want = tao.Extend(want, digest)
				if err := a.Extend(register, digest); err != nil {
					t.Error(err)
				}
			}
			if got, err := a.Read(register); err != nil || got != want {
				t.Errorf("register %d is %x, want %x: %v", register, got, want, err)
			}
		})
	}
	for range 2 {
		group.Go(func() {
			for i := range each {
				secret := []byte{1, byte(i)}
				blob, err := device.Seal(secret, []uint8{20})
				if err != nil {
					t.Error(err)
				}
				if got, err := device.Unseal(blob); err != nil || string(got) != string(secret) {
					t.Errorf("unsealed %x, want %x: %v", got, secret, err)
				}
				if _, err := a.Quote([32]byte{}, []uint8{20}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}

func BenchmarkQuote(b *testing.B) {
	a := attestor(b, start(b).Device())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Quote([32]byte{}, []uint8{0, 14}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkExtend(b *testing.B) {
	a := attestor(b, start(b).Device())
	b.ReportAllocs()
	for b.Loop() {
		if err := a.Extend(14, [32]byte{1}); err != nil {
			b.Fatal(err)
		}
	}
}
