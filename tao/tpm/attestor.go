package tpm

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"sphinxmix.example/tao"
)

// attestationTemplate is what the attestation key is made from: a key for ECDSA over P-256 with SHA-256 that signs what
// its TPM says of itself, and nothing that it is given. It is a primary key of the endorsement hierarchy, which an
// owner cannot clear, and its own by the point in the template: so it needs no place to be kept in, and its quotes show
// reset counts and firmware as they are.
var attestationTemplate = func() tpm2.TPMTPublic {
	unique := sha256.Sum256([]byte("sphinxmix attestation key v1"))
	return tpm2.TPMTPublic{
		Type:    tpm2.TPMAlgECC,
		NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{
			FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true,
			UserWithAuth: true, NoDA: true, // it has no password that could be guessed
			Restricted: true, SignEncrypt: true,
		},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{
			Scheme: tpm2.TPMTECCScheme{
				Scheme:  tpm2.TPMAlgECDSA,
				Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSigSchemeECDSA{HashAlg: tpm2.TPMAlgSHA256}),
			},
			CurveID: tpm2.TPMECCNistP256,
		}),
		Unique: tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{
			X: tpm2.TPM2BECCParameter{Buffer: unique[:]},
			Y: tpm2.TPM2BECCParameter{Buffer: make([]byte, 32)},
		}),
	}
}()

func (d *Device) attestationKey() (*object, error) {
	return d.primary(tpm2.TPMRHEndorsement, attestationTemplate)
}

// attestor is a TPM and the name of its attestation key.
type attestor struct {
	device *Device
	key    []byte // TPMT_PUBLIC
}

// Attestor returns the TPM as what measures and quotes. Its attestation key is the same until the TPM's endorsement
// seed is changed, which clearing the TPM does not do. Errors of its calls wrap ErrNoBank where the TPM has no SHA-256
// registers.
func (d *Device) Attestor() (_ tao.Attestor, err error) {
	defer d.begin("making the attestation key", &err)()
	if err := d.checkBank(); err != nil {
		return nil, err
	}
	key, err := d.attestationKey()
	if err != nil {
		return nil, err
	}
	defer d.flush(key.handle, &err)
	return &attestor{d, key.public}, nil
}

func (a *attestor) Kind() tao.Kind { return tao.TPM }
func (a *attestor) Key() []byte    { return bytes.Clone(a.key) }

// Quote is TPM2_Quote.
func (a *attestor) Quote(qualifying [32]byte, registers []uint8) (_ tao.Quote, err error) {
	defer a.device.begin("quoting", &err)()
	if err := checkRegisters(registers); err != nil {
		return tao.Quote{}, err
	}
	key, err := a.device.attestationKey()
	if err != nil {
		return tao.Quote{}, err
	}
	defer a.device.flush(key.handle, &err)
	if !bytes.Equal(key.public, a.key) {
		return tao.Quote{}, errCleared
	}
	quote, err := tpm2.Quote{
		SignHandle:     key.use(),
		QualifyingData: tpm2.TPM2BData{Buffer: qualifying[:]},
		InScheme:       tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull}, // the key's own
		PCRSelect:      selectionOf(registers...),
	}.Execute(&a.device.connection)
	if err != nil {
		return tao.Quote{}, err
	}
	return tao.Quote{Statement: quote.Quoted.Bytes(), Signature: tpm2.Marshal(quote.Signature)}, nil
}

// Extend is TPM2_PCR_Extend of the SHA-256 bank.
func (a *attestor) Extend(register uint8, digest [32]byte) (err error) {
	defer a.device.begin(fmt.Sprintf("extending register %d", register), &err)()
	if err := checkRegisters([]uint8{register}); err != nil {
		return err
	}
	_, err = tpm2.PCRExtend{
		PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(register), Auth: tpm2.PasswordAuth(nil)},
		Digests:   tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{{HashAlg: tpm2.TPMAlgSHA256, Digest: digest[:]}}},
	}.Execute(&a.device.connection)
	return err
}

// Read is TPM2_PCR_Read of the SHA-256 bank.
func (a *attestor) Read(register uint8) (_ [32]byte, err error) {
	defer a.device.begin(fmt.Sprintf("reading register %d", register), &err)()
	if err := checkRegisters([]uint8{register}); err != nil {
		return [32]byte{}, err
	}
	return a.device.read(register)
}

// read returns the value of a register that is one.
func (d *Device) read(register uint8) ([32]byte, error) {
	got, err := tpm2.PCRRead{PCRSelectionIn: selectionOf(register)}.Execute(&d.connection)
	if err != nil {
		return [32]byte{}, err
	}
	if values := got.PCRValues.Digests; len(values) == 1 && len(values[0].Buffer) == 32 {
		return [32]byte(values[0].Buffer), nil
	}
	return [32]byte{}, ErrNoBank
}

// checkBank makes sure of the registers that nobody would miss otherwise: a TPM takes extensions of those that are not
// there, and leaves them out of quotes.
func (d *Device) checkBank() error {
	got, err := tpm2.GetCapability{Capability: tpm2.TPMCapPCRs, PropertyCount: 1}.Execute(&d.connection)
	if err != nil {
		return err
	}
	banks, err := got.CapabilityData.Data.AssignedPCR()
	if err != nil {
		return err
	}
	for _, bank := range banks.PCRSelections {
		if bank.Hash == tpm2.TPMAlgSHA256 && bytes.HasPrefix(bank.PCRSelect, []byte{0xff, 0xff, 0xff}) {
			return nil
		}
	}
	return ErrNoBank
}

// checkRegisters makes sure of one register or more, that there are, in ascending order.
func checkRegisters(registers []uint8) error {
	if len(registers) == 0 {
		return fmt.Errorf("no register is given")
	}
	for i, register := range registers {
		if register > tao.LastRegister {
			return fmt.Errorf("there is no register %d", register)
		}
		if i > 0 && registers[i-1] >= register {
			return fmt.Errorf("registers are not in ascending order: %d", registers)
		}
	}
	return nil
}

// selectionOf returns registers of the SHA-256 bank as a TPM takes them.
func selectionOf(registers ...uint8) tpm2.TPMLPCRSelection {
	numbers := make([]uint, len(registers))
	for i, register := range registers {
		numbers[i] = uint(register)
	}
	return tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{
		{Hash: tpm2.TPMAlgSHA256, PCRSelect: tpm2.PCClientCompatible.PCRs(numbers...)},
	}}
}
