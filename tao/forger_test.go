package tao_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/binary"
	"math/big"

	"github.com/google/go-tpm/tpm2"

	"sphinxmix.example/tao"
)

// forger is a key outside of any TPM, whose public area says that it is an attestation key. Whoever enrols without an
// activation would take it for one, and then it can sign what it likes: so it reaches the rules that no TPM breaks.
type forger struct {
	key    *ecdsa.PrivateKey
	public tpm2.TPMTPublic
	edit   func([]byte) []byte // of the public area as it is written; nil to leave it
}

func newForger(n byte) *forger {
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{n}, 32))
	if err != nil {
		panic(err)
	}
	return &forger{key: key, public: tpm2.TPMTPublic{
		Type:    tpm2.TPMAlgECC,
		NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{
			FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, Restricted: true, SignEncrypt: true,
		},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{
			Scheme:  ecdsaWith(tpm2.TPMAlgSHA256),
			CurveID: tpm2.TPMECCNistP256,
		}),
		Unique: tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{
			X: tpm2.TPM2BECCParameter{Buffer: key.X.FillBytes(make([]byte, 32))},
			Y: tpm2.TPM2BECCParameter{Buffer: key.Y.FillBytes(make([]byte, 32))},
		}),
	}}
}

func ecdsaWith(hash tpm2.TPMAlgID) tpm2.TPMTECCScheme {
	return tpm2.TPMTECCScheme{
		Scheme:  tpm2.TPMAlgECDSA,
		Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSigSchemeECDSA{HashAlg: hash}),
	}
}

func (f *forger) bytes() []byte {
	b := tpm2.Marshal(f.public)
	if f.edit != nil {
		b = f.edit(b)
	}
	return b
}

// qualifiedName returns the name of a primary key of a hierarchy with that public area.
func qualifiedName(hierarchy tpm2.TPMHandle, public []byte) []byte {
	name := sha256.Sum256(public)
	b := binary.BigEndian.AppendUint32(nil, uint32(hierarchy))
	b = append(append(b, 0, 0x0b), name[:]...)
	qualified := sha256.Sum256(b)
	return append([]byte{0, 0x0b}, qualified[:]...)
}

// attest returns what a TPM that has the key as its own would say in a quote.
func (f *forger) attest(qualifying [32]byte, registers []tao.Register, clock tao.Clock) tpm2.TPMSAttest {
	var values []byte
	var numbers []uint8
	for _, r := range registers {
		values = append(values, r.Value[:]...)
		numbers = append(numbers, r.Index)
	}
	sum := sha256.Sum256(values)
	return tpm2.TPMSAttest{
		Magic:           tpm2.TPMGeneratedValue,
		Type:            tpm2.TPMSTAttestQuote,
		QualifiedSigner: tpm2.TPM2BName{Buffer: qualifiedName(tpm2.TPMRHEndorsement, f.bytes())},
		ExtraData:       tpm2.TPM2BData{Buffer: qualifying[:]},
		ClockInfo: tpm2.TPMSClockInfo{
			Clock: clock.Time, ResetCount: clock.Resets, RestartCount: clock.Restarts, Safe: true,
		},
		FirmwareVersion: 1,
		Attested:        quoteInfo(sum[:], bankOf(tpm2.TPMAlgSHA256, numbers...)),
	}
}

func quoteInfo(sum []byte, banks ...tpm2.TPMSPCRSelection) tpm2.TPMUAttest {
	return tpm2.NewTPMUAttest(tpm2.TPMSTAttestQuote, &tpm2.TPMSQuoteInfo{
		PCRSelect: tpm2.TPMLPCRSelection{PCRSelections: banks},
		PCRDigest: tpm2.TPM2BDigest{Buffer: sum},
	})
}

func bankOf(bank tpm2.TPMAlgID, registers ...uint8) tpm2.TPMSPCRSelection {
	selected := make([]byte, 3)
	for _, r := range registers {
		selected[r/8] |= 1 << (r % 8)
	}
	return tpm2.TPMSPCRSelection{Hash: bank, PCRSelect: selected}
}

// sign returns the same for the same statement each time, as seeds of fuzz targets have to be.
func (f *forger) sign(statement []byte) []byte {
	sum := sha256.Sum256(statement)
	der, err := f.key.Sign(nil, sum[:], crypto.SHA256)
	if err != nil {
		panic(err)
	}
	var numbers struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &numbers); err != nil {
		panic(err)
	}
	return tpm2.Marshal(tpm2.TPMTSignature{
		SigAlg: tpm2.TPMAlgECDSA,
		Signature: tpm2.NewTPMUSignature(tpm2.TPMAlgECDSA, &tpm2.TPMSSignatureECC{
			Hash:       tpm2.TPMAlgSHA256,
			SignatureR: tpm2.TPM2BECCParameter{Buffer: numbers.R.FillBytes(make([]byte, 32))},
			SignatureS: tpm2.TPM2BECCParameter{Buffer: numbers.S.FillBytes(make([]byte, 32))},
		}),
	})
}
