package tpm

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
	"golang.org/x/crypto/cryptobyte"
)

// MaxSecretSize is the most that Seal takes, in bytes: enough for a key.
const MaxSecretSize = 128

// Seal returns a blob from which this TPM alone, and only while the registers that are given in ascending order have
// the values they have now, returns the secret, of 1 to MaxSecretSize bytes. The blob has the secret's size and some
// 210 bytes, can be kept anywhere, and says nothing of the secret but that size. It is no proof of who made it: whoever
// can use the TPM can put another secret in its place. Clearing the TPM makes it worthless, and so may an update of
// firmware or program, where a register measures that.
//
// On its way the secret is encrypted to a key that the TPM names: who listens between processor and TPM does not learn
// it, who changes what passes there can. Copies that package tpm2 makes are left to the garbage collector.
func (d *Device) Seal(secret []byte, registers []uint8) (_ []byte, err error) {
	defer d.begin("sealing", &err)()
	if len(secret) == 0 || len(secret) > MaxSecretSize {
		return nil, fmt.Errorf("a secret of %d bytes: it has 1 to %d", len(secret), MaxSecretSize)
	}
	if err := checkRegisters(registers); err != nil {
		return nil, err
	}
	policy, err := d.policy(registers)
	if err != nil {
		return nil, err
	}
	storage, public, err := d.storageKey()
	if err != nil {
		return nil, err
	}
	defer d.flush(storage.handle, &err)
	session, _, err := tpm2.HMACSession(&d.connection, tpm2.TPMAlgSHA256, 16,
		tpm2.Salted(storage.handle, *public), tpm2.AESEncryption(128, tpm2.EncryptIn))
	if err != nil {
		return nil, err
	}
	defer d.flush(session.Handle(), &err)
	made, err := tpm2.Create{
		ParentHandle: tpm2.AuthHandle{Handle: storage.handle, Name: storage.name, Auth: session},
		InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{
			Data: tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: secret}),
		}},
		InPublic: tpm2.New2B(tpm2.TPMTPublic{
			Type:    tpm2.TPMAlgKeyedHash,
			NameAlg: tpm2.TPMAlgSHA256,
			// Not UserWithAuth: then there is no way to the secret but the policy.
			ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, NoDA: true},
			AuthPolicy:       tpm2.TPM2BDigest{Buffer: policy},
		}),
	}.Execute(&d.connection)
	if err != nil {
		return nil, err
	}
	return (&sealed{registers, made.OutPublic.Bytes(), made.OutPrivate.Buffer}).encode()
}

// Unseal returns the secret of a blob. The error wraps ErrRegisters where registers have other values than when it was
// sealed, and ErrForeign where the blob is none of this TPM's.
func (d *Device) Unseal(blob []byte) (_ []byte, err error) {
	defer d.begin("unsealing", &err)()
	s, err := parseSealed(blob)
	if err != nil {
		return nil, err
	}
	storage, public, err := d.storageKey()
	if err != nil {
		return nil, err
	}
	defer d.flush(storage.handle, &err)
	loaded, err := tpm2.Load{
		ParentHandle: storage.use(),
		InPrivate:    tpm2.TPM2BPrivate{Buffer: s.private},
		InPublic:     tpm2.BytesAs2B[tpm2.TPMTPublic](s.public),
	}.Execute(&d.connection)
	if err != nil {
		return nil, foreign(err)
	}
	defer d.flush(loaded.ObjectHandle, &err)
	session, _, err := tpm2.PolicySession(&d.connection, tpm2.TPMAlgSHA256, 16,
		tpm2.Salted(storage.handle, *public), tpm2.AESEncryption(128, tpm2.EncryptOut))
	if err != nil {
		return nil, err
	}
	defer d.flush(session.Handle(), &err)
	_, err = tpm2.PolicyPCR{PolicySession: session.Handle(), Pcrs: selectionOf(s.registers...)}.Execute(&d.connection)
	if err != nil {
		return nil, err
	}
	unsealed, err := tpm2.Unseal{
		ItemHandle: tpm2.AuthHandle{Handle: loaded.ObjectHandle, Name: loaded.Name, Auth: session},
	}.Execute(&d.connection)
	if errors.Is(err, tpm2.TPMRCPolicyFail) {
		return nil, fmt.Errorf("%w: %d", ErrRegisters, s.registers)
	} else if err != nil {
		return nil, err
	}
	return unsealed.OutData.Buffer, nil
}

// storageKey makes the key that sealed objects are encrypted under. Whoever calls it flushes the handle.
func (d *Device) storageKey() (*object, *tpm2.TPMTPublic, error) {
	key, err := d.primary(tpm2.TPMRHOwner, tpm2.ECCSRKTemplate)
	if err != nil {
		return nil, nil, err
	}
	public, err := tpm2.Unmarshal[tpm2.TPMTPublic](key.public)
	if err != nil {
		d.flush(key.handle, &err)
		return nil, nil, err
	}
	return key, public, nil
}

// policy returns the digest of a policy (part 3, 23.7) that holds while the registers have the values they have now. It
// is computed here and not by the TPM: one without a SHA-256 bank would choose no register, and hold always.
func (d *Device) policy(registers []uint8) ([]byte, error) {
	values := sha256.New()
	for _, register := range registers {
		value, err := d.read(register)
		if err != nil {
			return nil, err
		}
		values.Write(value[:])
	}
	calculator, err := tpm2.NewPolicyCalculator(tpm2.TPMAlgSHA256)
	if err != nil {
		return nil, err
	}
	holds := tpm2.PolicyPCR{PcrDigest: tpm2.TPM2BDigest{Buffer: values.Sum(nil)}, Pcrs: selectionOf(registers...)}
	if err := holds.Update(calculator); err != nil {
		return nil, err
	}
	return calculator.Hash().Digest, nil
}

// sealed is what a blob consists of.
type sealed struct {
	registers       []uint8 // at least one, in ascending order
	public, private []byte  // as TPM2_Create returned them
}

const (
	sealedVersion = 1
	maxSealedSize = 1024
)

// encode writes version(1) = 1 ‖ [1] registers ‖ [2] public ‖ [2] private, where [n] stands before what has a length of
// n bytes.
func (s *sealed) encode() ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	b.AddUint8(sealedVersion)
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(s.registers) })
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(s.public) })
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(s.private) })
	return b.Bytes()
}

// parseSealed is the reverse of encode. The error wraps ErrForeign.
func parseSealed(blob []byte) (*sealed, error) {
	var (
		s                          = cryptobyte.String(blob)
		version                    uint8
		registers, public, private cryptobyte.String
	)
	if len(blob) > maxSealedSize || !s.ReadUint8(&version) || version != sealedVersion ||
		!s.ReadUint8LengthPrefixed(&registers) ||
		!s.ReadUint16LengthPrefixed(&public) || !s.ReadUint16LengthPrefixed(&private) || !s.Empty() {
		return nil, ErrForeign
	}
	if err := checkRegisters(registers); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForeign, err)
	}
	return &sealed{registers, public, private}, nil
}
