package tao_test

import (
	"crypto/sha256"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

// template is what attestation keys of package tao/tpm are made from.
func template() tpm2.TPMTPublic {
	unique := sha256.Sum256([]byte("sphinxmix attestation key v1"))
	t := newForger(1).public
	t.ObjectAttributes.NoDA = true
	t.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{
		X: tpm2.TPM2BECCParameter{Buffer: unique[:]},
		Y: tpm2.TPM2BECCParameter{Buffer: make([]byte, 32)},
	})
	return t
}

// chipKey is a key in a machine's TPM.
type chipKey struct {
	machine *machine
	handle  tpm2.AuthHandle
	public  []byte
}

// use makes a key from a template, for as long as what runs with it.
func (m *machine) use(t testing.TB, hierarchy tpm2.TPMHandle, template tpm2.TPMTPublic, with func(*chipKey)) {
	t.Helper()
	made, err := tpm2.CreatePrimary{PrimaryHandle: hierarchy, InPublic: tpm2.New2B(template)}.Execute(m.tpm.Device())
	require.NoError(t, err)
	defer func() {
		_, err := tpm2.FlushContext{FlushHandle: made.ObjectHandle}.Execute(m.tpm.Device())
		require.NoError(t, err)
	}()
	with(&chipKey{m, tpm2.AuthHandle{Handle: made.ObjectHandle, Name: made.Name, Auth: tpm2.PasswordAuth(nil)}, made.OutPublic.Bytes()})
}

// useAttestationKey does so with the one that was enrolled.
func (m *machine) useAttestationKey(t testing.TB, with func(*chipKey)) {
	t.Helper()
	m.use(t, tpm2.TPMRHEndorsement, template(), func(k *chipKey) {
		require.Equal(t, m.record.Key, k.public, "attestation keys are made in another way now: nodes have to be enrolled anew")
		with(k)
	})
}

// keyScheme leaves it to a key how it signs.
var keyScheme = tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull}

// quote is TPM2_Quote of whatever is asked for.
func (k *chipKey) quote(t testing.TB, qualifying [32]byte, banks ...tpm2.TPMSPCRSelection) tao.Quote {
	t.Helper()
	q, err := tpm2.Quote{
		SignHandle: k.handle, QualifyingData: tpm2.TPM2BData{Buffer: qualifying[:]}, InScheme: keyScheme,
		PCRSelect: tpm2.TPMLPCRSelection{PCRSelections: banks},
	}.Execute(k.machine.tpm.Device())
	require.NoError(t, err)
	return tao.Quote{Statement: q.Quoted.Bytes(), Signature: tpm2.Marshal(q.Signature)}
}

// hash is TPM2_Hash: the ticket says that the TPM has seen that what was hashed is nothing that it says of itself.
func (m *machine) hash(t testing.TB, message []byte) (digest []byte, ticket tpm2.TPMTTKHashCheck) {
	t.Helper()
	h, err := tpm2.Hash{
		Data: tpm2.TPM2BMaxBuffer{Buffer: message}, HashAlg: tpm2.TPMAlgSHA256, Hierarchy: tpm2.TPMRHEndorsement,
	}.Execute(m.tpm.Device())
	require.NoError(t, err)
	sum := sha256.Sum256(message)
	require.Equal(t, sum[:], h.OutHash.Buffer)
	return h.OutHash.Buffer, h.Validation
}

// sign is TPM2_Sign of any message, as far as the key is allowed to sign it.
func (k *chipKey) sign(t testing.TB, message []byte) ([]byte, error) {
	t.Helper()
	digest, ticket := k.machine.hash(t, message)
	return k.signDigest(digest, ticket)
}

func (k *chipKey) signDigest(digest []byte, ticket tpm2.TPMTTKHashCheck) ([]byte, error) {
	s, err := tpm2.Sign{
		KeyHandle: k.handle, Digest: tpm2.TPM2BDigest{Buffer: digest}, InScheme: keyScheme, Validation: ticket,
	}.Execute(k.machine.tpm.Device())
	if err != nil {
		return nil, err
	}
	return tpm2.Marshal(s.Signature), nil
}

// changeSeed is TPM2_ChangeEPS (TPM 2.0 Library, part 3, 24.5) with the platform's empty password: every key of the endorsement
// hierarchy is another one after it.
func (m *machine) changeSeed(t testing.TB) {
	t.Helper()
	command := "\x80\x02\x00\x00\x00\x1b\x00\x00\x01\x24\x40\x00\x00\x0c\x00\x00\x00\x09\x40\x00\x00\x09\x00\x00\x00\x00\x00"
	response, err := m.tpm.Device().Send([]byte(command))
	require.NoError(t, err)
	require.Equal(t, []byte{0, 0, 0, 0}, response[6:10])
}

// claim is what the node has to quote.
func (s *scene) claim() [32]byte {
	c := tao.Claim{
		Identity: s.subject.Identity, Role: s.subject.Role, Keys: s.subject.Keys,
		Configuration: s.settings.Digest(), Stamp: tao.StampDigest(s.stamp),
	}
	return c.Digest()
}

// rogue returns the evidence of the machine's node with a part replaced.
func (m *machine) rogue(t testing.TB, edit func(*tao.Evidence)) []byte {
	t.Helper()
	e, err := tao.ParseEvidence(m.attest(t, m.prover(t)))
	require.NoError(t, err)
	edit(e)
	encoded, err := e.Encode()
	require.NoError(t, err)
	return encoded
}

// requote returns it with another quote.
func (m *machine) requote(t testing.TB, quote func(honest tao.Quote) tao.Quote) []byte {
	t.Helper()
	return m.rogue(t, func(e *tao.Evidence) { e.Quote = quote(e.Quote) })
}
