package nodetest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node"
	"sphinxmix.example/tao"
)

// Authority is who has the policy key of an attested network. It enrols the mixes, each with a soft attestor, and allows what
// mix 0 is configured as, for which Config.Node is called once before all else.
type Authority struct {
	Key     ed25519.PrivateKey // the policy key
	Program [32]byte           // SHA-256 of what the mixes run
	Policy  tao.Policy         // the newest; see Publish
}

// Papers are what a mix of an attested network has to show for itself.
type Papers struct {
	Record tao.Record         // that enrols it
	Signer ed25519.PrivateKey // of the record

	Program  [32]byte
	Attestor tao.Attestor // has measured nothing; the mix has the same key at each start. Without one it shows no evidence
	LogFile  string       // for attestors that have

	// Rogue says that nobody is to know the mix, so that Settle does not wait for that.
	Rogue bool
}

// everyRole is what mixes may be.
var everyRole = tao.RolesOf(tao.Mix, tao.Exit)

func (n *Network) newAuthority() *Authority {
	_, key, err := ed25519.GenerateKey(nil)
	require.NoError(n.t, err)
	a := &Authority{Key: key, Program: sha256.Sum256([]byte("the program of " + n.t.Name()))}
	configuration := node.Configuration(n.configuration(0, nil, nil))
	a.Policy = tao.Policy{
		Version:     1,
		Issued:      time.Now(),
		Expires:     time.Now().AddDate(1, 0, 0),
		Attestors:   []tao.Kind{tao.Soft},
		Programs:    []tao.Allowed{{Digest: a.Program, Roles: everyRole}},
		Settings:    []tao.Allowed{{Digest: configuration.Digest(), Roles: everyRole}},
		LogRegister: tao.DefaultRegister,
		Minimum:     tao.Minimum{Size: 2},
		MaxAge:      24 * time.Hour,
	}
	return a
}

func (a *Authority) sign(t testing.TB) []byte {
	t.Helper()
	signed, err := a.Policy.Sign(a.Key)
	require.NoError(t, err)
	return signed
}

// Publish signs a policy that has been changed, and gives it to the directory.
func (n *Network) Publish(change func(*tao.Policy)) {
	n.t.Helper()
	change(&n.Authority.Policy)
	n.Authority.Policy.Version++
	require.NoError(n.t, n.server.SetPolicy(n.Authority.sign(n.t)))
}

// prover returns what makes the evidence of mix i, from the time on at which it starts.
func (n *Network) prover(i int) *tao.Prover {
	n.t.Helper()
	m, a := n.Mixes[i], n.Authority
	p := Papers{
		Record: tao.Record{
			Identity: m.Identity.Public().(ed25519.PublicKey),
			Kind:     tao.Soft,
			Key:      m.attestation.Public().(ed25519.PublicKey),
			Roles:    everyRole,
			Issued:   a.Policy.Issued,
			Expires:  a.Policy.Issued.AddDate(1, 0, 0),
		},
		Signer:   a.Key,
		Program:  a.Program,
		Attestor: tao.NewSoft(m.attestation),
	}
	if n.cfg.Papers != nil {
		n.cfg.Papers(i, &p)
	}
	m.rogue = p.Rogue
	if p.Attestor == nil {
		return nil
	}
	record, err := p.Record.Sign(p.Signer)
	require.NoError(n.t, err)
	prover, err := tao.NewProver(tao.ProverConfig{Attestor: p.Attestor, Record: record, Program: p.Program, LogFile: p.LogFile})
	require.NoError(n.t, err)
	return prover
}
