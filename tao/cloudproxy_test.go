package tao_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

// What CloudProxy, whose idea the Tao is, took for good, by the number under which reviews of it know each. All of it is refused here.

// TestCloudProxyW1SpeakerIsNotDelegator: the outer statement's speaker was never tied to who delegated, so that any key could claim any
// name. Here nobody speaks for a node but the key in its record, and nobody makes a record but who may.
func TestCloudProxyW1SpeakerIsNotDelegator(t *testing.T) {
	for _, kind := range anyKind {
		t.Run(kind.String(), func(t *testing.T) {
			impostor := func(s *scene) { s.key, s.softKey, s.record.Key = newForger(9), strangerKey, nil }
			s := newScene(kind)
			s.judge(t, s.show(t, change{before: func(s *scene) { impostor(s); s.signer = strangerKey }})).
				requireRefused(t, byEnrolment, tao.ErrEnroller) // it enrols itself
			s = newScene(kind)
			s.judge(t, s.show(t, change{before: func(s *scene) { s.record.Key = s.attestationKey(); s.key, s.softKey = newForger(9), strangerKey }})).
				requireRefused(t, bySignature, tao.ErrSignature, speaker(kind)...) // it speaks for a key that it does not have
			s = newScene(kind)
			evidence := s.show(t, change{})
			s.subject.Identity = public(otherNodeKey)
			s.judge(t, evidence).requireRefused(t, byIdentity, tao.ErrIdentity, byClaim) // it claims another name

			// A record says who has signed it: whoever else does, signs another record.
			r := goodRecord()
			r.Signer = public(policyKey)
			_, err := tao.ParseRecord(signedWith(strangerKey, recordContext, recordBody(&r)))
			require.ErrorIs(t, err, tao.ErrRecord)
		})
	}
}

// speaker are the rules that notice another signer besides the signature: a TPM's statement says who signs it.
func speaker(kind tao.Kind) []string {
	if kind == tao.TPM {
		return []string{byOrigin}
	}
	return nil
}

// TestCloudProxyW2Expiry: dates were never looked at. Here each counts to the second, and the verdict says when the first is over.
func TestCloudProxyW2Expiry(t *testing.T) {
	for name, c := range map[string]struct {
		end    func(*scene) *time.Time
		rule   string
		err    error
		signer ed25519.PrivateKey
	}{
		"record":     {func(s *scene) *time.Time { return &s.record.Expires }, byDates, tao.ErrExpired, policyKey},
		"policy":     {func(s *scene) *time.Time { return &s.policy.Expires }, "evidence", tao.ErrPolicy, policyKey},
		"delegation": {func(s *scene) *time.Time { return &s.policy.Enrollers[0].Expires }, byEnrolment, tao.ErrEnroller, enrollerKey},
	} {
		for _, kind := range anyKind {
			t.Run(name+", "+kind.String(), func(t *testing.T) {
				s := newScene(kind)
				s.signer = c.signer
				end := start.Add(5 * time.Minute)
				*c.end(s) = end
				evidence := s.show(t, change{})
				j := s.judge(t, evidence)
				j.requireAccepted(t)
				require.Equal(t, end, j.verdict.Until)
				s.now = end.Add(-time.Nanosecond)
				s.judge(t, evidence).requireAccepted(t)
				s.now = end
				s.judge(t, evidence).requireRefused(t, c.rule, c.err)
			})
		}
	}
	s := newScene(tao.TPM)
	evidence := s.show(t, change{})
	s.now = start.Add(50 * time.Minute)
	s.judge(t, evidence).requireRefused(t, byStamp, tao.ErrStale)
	s.now = s.now.Add(-time.Nanosecond)
	s.judge(t, evidence).requireAccepted(t)
}

// TestCloudProxyW3SignsWhatNobodyVerified: its authority signed any request. Here a request has to be its node's, its quote the
// request's, its key one that quotes and nothing else, and its TPM one that a root vouches for; and then only that TPM can use the grant.
func TestCloudProxyW3SignsWhatNobodyVerified(t *testing.T) {
	good := ask(t, tao.TPM, asking{})
	known, unknown := newMaker(t, 1), newMaker(t, 5)
	loose := newForger(1)
	loose.public.ObjectAttributes.Restricted = false
	signs := endorsementArea(2)
	signs.ObjectAttributes.SignEncrypt, signs.ObjectAttributes.Decrypt = true, false
	certified := func(by *maker, key byte, edit func(*x509.Certificate)) func(*tao.Request) {
		return func(r *tao.Request) { r.Endorsement.Certificates = [][]byte{by.certify(t, ecKey(key).Public(), edit)} }
	}
	for name, request := range map[string][]byte{
		"without the identity's signature":      append(make([]byte, ed25519.SignatureSize), good[ed25519.SignatureSize:]...),
		"with the quote of another request":     ask(t, tao.TPM, asking{after: func(r *tao.Request) { r.Roles = tao.RolesOf(tao.Mix) }}),
		"with an attestation key that is loose": ask(t, tao.TPM, asking{key: loose}),
		"with an endorsement key that signs":    ask(t, tao.TPM, asking{before: func(r *tao.Request) { r.Endorsement.Public = tpm2.Marshal(signs) }}),
		"of an unknown maker":                   ask(t, tao.TPM, asking{before: certified(unknown, 2, nil)}),
		"with the certificate of another key":   ask(t, tao.TPM, asking{before: certified(known, 3, nil)}),
		"with a certificate of something else":  ask(t, tao.TPM, asking{before: certified(known, 2, func(c *x509.Certificate) { c.UnknownExtKeyUsage = nil })}),
		"with an expired certificate":           ask(t, tao.TPM, asking{before: certified(known, 2, func(c *x509.Certificate) { c.NotAfter = start.Add(-1) })}),
		"without a certificate":                 ask(t, tao.TPM, asking{before: func(r *tao.Request) { r.Endorsement.Certificates = nil }}),
	} {
		t.Run(name, func(t *testing.T) {
			r, err := tao.ParseRequest(request)
			if err == nil {
				_, _, err = tao.Grant(rand.Reader, r, policyKey, rootsOf(known), granted())
			}
			require.ErrorIs(t, err, tao.ErrRequest)
		})
	}
	r, err := tao.ParseRequest(good)
	require.NoError(t, err)
	_, _, err = tao.Grant(rand.Reader, r, policyKey, rootsOf(known), granted())
	require.NoError(t, err)
}

// TestCloudProxyW4SelectionMagicAndPadding: it read a quote without its selection, its magic, and what stands behind it. Here there is
// one way to write each structure, and all of it counts.
func TestCloudProxyW4SelectionMagicAndPadding(t *testing.T) {
	pad := func(b []byte) []byte { return append(bytes.Clone(b), 0) }
	for name, c := range map[string]struct {
		change change
		rule   string
		err    error
		also   []string
	}{
		"selection":                            {quoted(bankOf(tpm2.TPMAlgSHA256, 0, 13)), bySelection, tao.ErrSelection, nil},
		"magic":                                {change{attest: func(a *tpm2.TPMSAttest) { a.Magic = 0 }}, byOrigin, tao.ErrMagic, nil},
		"padding behind the statement, signed": {change{statement: pad}, "evidence", tao.ErrEvidence, nil},
		"padding behind the signature":         {change{signature: pad}, bySignature, tao.ErrSignature, nil},
		"padding behind the attestation key": {
			change{before: func(s *scene) { s.record.Key = pad(s.key.bytes()) }}, "evidence", tao.ErrRecord, nil,
		},
		"padding behind the record": {
			change{evidence: func(e *tao.Evidence) { e.Record = pad(e.Record) }}, "evidence", tao.ErrRecord, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(tao.TPM)
			s.judge(t, s.show(t, c.change)).requireRefused(t, c.rule, c.err, c.also...)
		})
	}
	for _, kind := range anyKind {
		s := newScene(kind)
		s.judge(t, pad(s.show(t, change{}))).requireRefused(t, "evidence", tao.ErrEvidence)
	}
	// A byte that is cut off and read as zero is padding, too.
	s := newScene(tao.TPM)
	e := s.evidence(t, change{statement: func(b []byte) []byte { return b[:len(b)-1] }})
	b, err := e.Encode()
	require.NoError(t, err)
	s.judge(t, b).requireRefused(t, "evidence", tao.ErrEvidence)
}
