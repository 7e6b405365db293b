package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"sync"
	"time"

	"sphinxmix.example/node"
	"sphinxmix.example/tao"
)

// localAuthority is whom everybody in a network on one machine trusts: it enrols the mixes and signs the policy, with a
// key in memory. Nobody else is given more of it than the public half.
type localAuthority struct {
	key      ed25519.PrivateKey
	kind     tao.Kind          // of the mixes' attestors
	maker    *x509.Certificate // of their TPMs; nil where they are soft
	program  [32]byte          // that all mixes run
	settings tao.Configuration // of all of them
	life     time.Duration     // of a policy
	version  uint64            // of the last one; belongs to whoever signs
	issued   time.Time         // the last one; belongs to whoever signs
}

// How long the authority's word is good. A policy is signed anew when a quarter of its time is over.
const (
	localPolicyLife = 7 * 24 * time.Hour
	localEnrolment  = 365 * 24 * time.Hour
)

// newLocalAuthority returns one for mixes that run this program.
func newLocalAuthority(kind tao.Kind, maker *x509.Certificate) (*localAuthority, error) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	program, err := tao.ProgramDigest()
	if err != nil {
		return nil, err
	}
	return &localAuthority{key: key, kind: kind, maker: maker, program: program, life: localPolicyLife}, nil
}

func (a *localAuthority) publicKey() ed25519.PublicKey { return a.key.Public().(ed25519.PublicKey) }

// sign returns a policy that is newer than all before: it allows this program with these settings, by these attestors,
// and nothing else.
func (a *localAuthority) sign(now time.Time) ([]byte, error) {
	roles := tao.RolesOf(tao.Mix, tao.Exit)
	p := &tao.Policy{
		Version:     a.version + 1,
		Issued:      now,
		Expires:     now.Add(a.life),
		Attestors:   []tao.Kind{a.kind},
		Programs:    []tao.Allowed{{Digest: a.program, Roles: roles, Name: "the program of this network"}},
		Settings:    []tao.Allowed{{Digest: a.settings.Digest(), Roles: roles, Name: "its mixes"}},
		LogRegister: tao.DefaultRegister,
		Minimum:     tao.Minimum{Size: a.settings.Size, Interval: a.settings.Interval, MeanDelay: time.Second},
		MaxAge:      4 * time.Hour,
	}
	if a.maker != nil {
		p.Roots = [][32]byte{sha256.Sum256(a.maker.Raw)}
	}
	signed, err := p.Sign(a.key)
	if err != nil {
		return nil, err
	}
	a.version, a.issued = p.Version, now
	return signed, nil
}

// due reports whether it is time for another policy. It goes by the clock on the wall, which goes on while a machine
// sleeps.
func (a *localAuthority) due(now time.Time) bool {
	return now.Round(0).Sub(a.issued.Round(0)) >= a.life/4
}

// enrol gives a mix an identity that a machine attests, as its operator and whoever has the policy key would.
func (a *localAuthority) enrol(who *member, m *machine) (err error) {
	if _, who.identity, err = ed25519.GenerateKey(nil); err != nil {
		return err
	}
	roles := tao.RolesOf(who.role)
	asked, err := tao.NewRequest(who.identity, m.attestor, m.endorsement, roles, []uint8{tao.DefaultRegister})
	if err != nil {
		return err
	}
	request, err := tao.ParseRequest(asked)
	if err != nil {
		return err
	}
	var roots tao.Roots
	if a.maker != nil {
		roots.Authorities = []*x509.Certificate{a.maker}
	}
	now := time.Now()
	grant, _, err := tao.Grant(rand.Reader, request, a.key, roots, tao.Terms{Roles: roles, Issued: now, Expires: now.Add(localEnrolment)})
	if err != nil {
		return err
	}
	record, err := tao.OpenGrant(grant, m.activate)
	if err != nil {
		return err
	}
	who.prover, err = tao.NewProver(tao.ProverConfig{Attestor: m.attestor, Record: record, Program: a.program})
	return err
}

// machine is what vouches for one mix.
type machine struct {
	attestor    tao.Attestor
	endorsement tao.Endorsement // zero where it is soft
	activate    func(credential, secret []byte) ([]byte, error)
}

// softMachine returns an attestor that proves nothing.
func softMachine() (*machine, error) {
	_, key, err := ed25519.GenerateKey(nil)
	return &machine{attestor: tao.NewSoft(key)}, err
}

// member is a mix as the authority knows it.
type member struct {
	identity ed25519.PrivateKey
	role     tao.Role
	prover   *tao.Prover
}

// enrol makes the authority of the network, and enrols all mixes of it, all at once.
func (l *localNetwork) enrol(o *localOptions) ([]*member, error) {
	kind, start := tao.Soft, func(int) (*machine, error) { return softMachine() }
	var maker *x509.Certificate
	if o.tpm {
		tpms, err := newSoftwareTPMs()
		if err != nil {
			return nil, err
		}
		l.tpms = tpms
		kind, start, maker = tao.TPM, tpms.start, tpms.maker.Root()
	}
	var err error
	if l.authority, err = newLocalAuthority(kind, maker); err != nil {
		return nil, err
	}
	l.authority.settings = node.Configuration(node.Config{Network: localNet, Mix: localMix()})
	if o.policyLife != 0 {
		l.authority.life = o.policyLife
	}
	members, failures := make([]*member, o.nodes), make([]error, o.nodes)
	var enrolling sync.WaitGroup
	for i := range members {
		members[i] = &member{role: tao.Mix}
		if i < exitsAmong(o.nodes) {
			members[i].role = tao.Exit
		}
		enrolling.Go(func() {
			m, err := start(i)
			if err == nil {
				err = l.authority.enrol(members[i], m)
			}
			failures[i] = err
		})
	}
	enrolling.Wait()
	for _, err := range failures {
		if err != nil {
			return nil, err // which is enough: they are all of one kind
		}
	}
	return members, nil
}

// renewPolicy puts another policy in the place of each that gets old, until ctx ends.
func (l *localNetwork) renewPolicy(ctx context.Context) error {
	tick := time.NewTicker(min(l.authority.life/8, time.Minute))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if now := time.Now(); l.authority.due(now) {
			signed, err := l.authority.sign(now)
			if err == nil {
				err = l.handler.SetPolicy(signed)
			}
			if err != nil {
				return err
			}
		}
	}
}
