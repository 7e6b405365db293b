package directory

import (
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"sphinxmix.example/tao"
)

// reader reads the views of one directory, one after the other, and does nothing twice: a descriptor that was in the
// view before is neither parsed nor judged again, as long as the policy is the same. It is for one goroutine at a time.
type reader struct {
	policyKey ed25519.PublicKey // nil where nobody is to be judged
	judge     *judge            // nil where policyKey is
	policy    policy            // the newest
	known     map[[sha256.Size]byte]*understood
}

// understood is a descriptor of the last view.
type understood struct {
	id   NodeID
	desc *Descriptor
	judgement
}

// newReader returns one that judges by the policies of policyKey, and nobody if that is nil.
func newReader(directoryKey, policyKey ed25519.PublicKey) *reader {
	if policyKey == nil {
		return &reader{}
	}
	return &reader{policyKey: policyKey, judge: newJudge(directoryKey)}
}

// read completes a view that openView has opened, whose nodes are in list, as far as it does not depend on the time:
// what has expired is for View.At. The error wraps ErrView or ErrPolicy.
func (r *reader) read(v *View, list cryptobyte.String, now time.Time) error {
	if r.policyKey != nil {
		next, err := r.policy.follow(v.SignedPolicy, r.policyKey)
		if err != nil {
			return err
		}
		r.policy = next
		v.Policy, v.judge = next.Policy, r.judge
		v.verdicts = make(map[*Descriptor]*tao.Verdict)
	}
	descriptors, err := splitNodes(list)
	if err != nil {
		return err
	}
	var (
		network = v.Network.Hash()
		known   = make(map[[sha256.Size]byte]*understood, len(descriptors))
		all     = make([]*understood, 0, len(descriptors))
	)
	for i, signed := range descriptors {
		hash := sha256.Sum256(signed)
		u, err := r.understand(signed, hash)
		if err == nil && u.desc.Network != network {
			err = ErrOtherNetwork
		}
		if err != nil {
			return fmt.Errorf("%w: node %d: %w", ErrView, i, err)
		}
		if i > 0 && compare(all[i-1].id, u.id) >= 0 {
			return fmt.Errorf("%w: node %s comes after %s, must be sorted and listed once", ErrView, u.id, all[i-1].id)
		}
		known[hash], all = u, append(all, u)
		if r.judge != nil && !u.stands(v.Policy, now) {
			u.judgement = r.judge.judge(u.desc, v.Policy, now)
		}
	}
	r.known = known
	twice := doubles(all, now)
	for _, u := range all {
		if err := cmp.Or(u.err, twice[u]); err != nil {
			v.Refused = append(v.Refused, Refusal{u.id, u.desc.Address, err})
			continue
		}
		if u.verdict != nil {
			v.verdicts[u.desc] = u.verdict
		}
		v.Nodes = append(v.Nodes, u.desc)
	}
	return nil
}

// understand returns what a signed descriptor with that hash says.
func (r *reader) understand(signed []byte, hash [sha256.Size]byte) (*understood, error) {
	if u := r.known[hash]; u != nil {
		return u, nil
	}
	d, err := parseDescriptor(signed)
	if err != nil {
		return nil, err
	}
	return &understood{id: d.ID(), desc: d}, nil
}
