package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/link"
	"sphinxmix.example/tao"
)

// registration is what the directory was told of the node the last time.
type registration struct {
	at      time.Time // when it was; zero where it is to be told
	view    uint64    // version of the newest view then
	policy  uint64    // version of the policy that the evidence is for
	stamped time.Time // of the evidence
}

// maxPause is how long a node that the directory refuses waits at most until it tries again, unless views come less often.
const maxPause = time.Minute

// setback paces a node that registers in vain: it makes evidence each time, and what a directory hears too often it
// refuses for that, whatever else there is to be said. The zero value is that of a node which is listed as it has registered.
type setback struct {
	refused bool   // the directory did, the last time
	said    string // why the last attempt failed, as the log has it, without digits

	pause  time.Duration // after the last attempt
	until  time.Time     // when that is over
	keys   []directory.EpochKey
	policy uint64 // version; with others than these it is worth trying at once
}

// holds reports whether the node is not to try again yet.
func (s *setback) holds(keys []directory.EpochKey, policy uint64, now time.Time) bool {
	return now.Before(s.until) && policy == s.policy && slices.Equal(keys, s.keys)
}

// add takes note of an attempt at that time, of which no view has shown yet that it was of use. Views come every refresh,
// but not to the second: half of that is left to them.
func (s *setback) add(keys []directory.EpochKey, policy uint64, refresh time.Duration, now time.Time) {
	if policy != s.policy || !slices.Equal(keys, s.keys) {
		s.pause = 0
	}
	s.pause = min(max(2*s.pause, refresh), max(maxPause, refresh))
	s.until, s.keys, s.policy = now.Add(s.pause-refresh/2), keys, policy
}

// enlistment is what a node knows of its place in the directory.
type enlistment struct {
	told registration
	back setback
	own  bool // what the directory has of the node, if anything, is of this process
}

// enlist keeps the node in the directory until it is to leave, or ctx ends. It waits for the directory, and for whatever
// makes the node's evidence; nothing waits for it.
func (n *Node) enlist(ctx context.Context) error {
	defer close(n.left)
	var e enlistment
	announce := time.NewTimer(0)
	announce.Stop()
	defer announce.Stop()
	for {
		select {
		case <-n.seen:
			if view := n.View(); view != nil {
				n.keepListed(ctx, &e, view)
			}
		case <-n.keysChanged:
			// All nodes have new keys at once; the directory need not hear of all of them at once.
			announce.Reset(time.Duration(directory.Fraction() * float64(n.cfg.Network.Epoch/16)))
		case <-announce.C:
			e.told.at = time.Time{}
			wake(n.ask) // evidence is of the newest view
		case <-n.leave:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// keepListed registers the node, where the newest view shows that it is time to.
func (n *Node) keepListed(ctx context.Context, e *enlistment, view *directory.View) {
	d, listed := view.Node(n.id)
	if listed && d.Version > n.version {
		n.cfg.Log.Error("the directory lists this node as another process has registered it: is its key in use twice?", "address", d.Address)
	}
	if listed && !e.back.refused {
		e.back.pause, e.back.until = 0, time.Time{}
	}
	now, keys, policy := time.Now(), n.ring.Keys(), policyVersion(view)
	if !n.isDue(&e.told, view, now) || e.back.holds(keys, policy, now) {
		return
	}
	until, err := n.register(ctx, view)
	n.noteEvidence(until, err)
	if !e.own {
		e.own = err == nil || n.takeBack(ctx, err)
	}
	if errors.Is(err, errNoEvidence) { // it was said, and the directory was told nothing
		return
	}
	e.back.refused = errors.Is(err, directory.ErrRefused)
	if e.back.refused || err == nil {
		e.back.add(keys, policy, n.cfg.Refresh, time.Now())
	}
	if err != nil {
		if reason := withoutDigits(err.Error()); e.back.said != reason {
			n.cfg.Log.Warn("the directory does not take this node; trying again", "error", err)
			e.back.said = reason
		}
		return
	}
	e.back.said = ""
	n.cfg.Log.Info("registered with the directory", "node", n.id.String())
	e.told = registration{at: time.Now(), view: view.Version, policy: policy, stamped: view.Published}
	wake(n.ask)
}

// withoutDigits makes one reason of those that differ by the time which they say it is.
func withoutDigits(reason string) string {
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return -1
		}
		return r
	}, reason)
}

// policyVersion returns that of a view's policy, 0 where it has none.
func policyVersion(view *directory.View) uint64 {
	if view.Policy == nil {
		return 0
	}
	return view.Policy.Version
}

// isDue reports whether the directory is to be told of the node again.
func (n *Node) isDue(told *registration, view *directory.View, now time.Time) bool {
	age := now.Sub(told.at)
	if told.at.IsZero() || age < 0 || age >= n.cfg.Lifetime/2 {
		return true
	}
	if _, listed := view.Node(n.id); !listed && view.Version != told.view && age > n.cfg.Refresh/2 {
		return true // the directory has forgotten: a view may take it a while, but is another then
	}
	if n.cfg.Prover == nil || view.Policy == nil {
		return false
	}
	if view.Policy.Version != told.policy {
		return true
	}
	// Where there is no newer stamp, a registration makes the directory publish a view that has one.
	return now.Sub(told.stamped) >= view.Policy.MaxAge/2 && (view.Published.After(told.stamped) || age > n.cfg.Refresh/2)
}

// register tells the directory of this node, for Lifetime from now, and returns until when the evidence in that is good. The
// error wraps errNoEvidence where there is none to send.
func (n *Node) register(ctx context.Context, view *directory.View) (until time.Time, err error) {
	d := n.descriptor()
	for n.cfg.Prover != nil {
		if until, err = n.prove(&d, view); err != nil {
			return time.Time{}, err
		}
		keys := n.ring.Keys()
		if slices.Equal(keys, d.Keys) {
			break
		}
		d.Keys = keys // there are others since then
	}
	signed, err := n.sign(d, time.Now())
	if err != nil {
		return time.Time{}, err
	}
	return until, n.cfg.Directory.Register(ctx, signed)
}

// descriptor returns what the directory is to say of this node, without evidence, a version and dates.
func (n *Node) descriptor() directory.Descriptor {
	services := slices.Collect(maps.Keys(n.cfg.Handlers))
	if !n.cfg.NoClients {
		services = append(services, link.GatewayService)
	}
	return directory.Descriptor{
		Identity: n.cfg.Identity.Public().(ed25519.PublicKey),
		Address:  n.cfg.Address,
		Keys:     n.ring.Keys(),
		Services: services,
		Network:  n.cfg.Network.Hash(),
		Weight:   uint8(n.cfg.Weight),
	}
}

// sign returns the descriptor as the directory takes it, good for Lifetime from now.
func (n *Node) sign(d directory.Descriptor, now time.Time) ([]byte, error) {
	d.Version, d.Expires = n.nextVersion(now), now.Add(n.cfg.Lifetime)
	return directory.SignDescriptor(n.cfg.Identity, d)
}

// nextVersion counts in milliseconds since 1970, so that versions rise across a restart.
func (n *Node) nextVersion(now time.Time) uint64 {
	n.version = max(n.version+1, uint64(max(now.UnixMilli(), 1)))
	return n.version
}

// errNoEvidence says that there is none of what the node is, so that it cannot be registered anew.
var errNoEvidence = errors.New("node: there is no evidence of what this node runs")

// prove adds evidence to a descriptor, of what that says and for the policy of a view, and returns until when it is good: the
// zero time where it is not. The error wraps errNoEvidence.
func (n *Node) prove(d *directory.Descriptor, view *directory.View) (until time.Time, err error) {
	about := directory.SubjectOf(d, n.cfg.Directory.Key)
	d.Evidence, err = n.cfg.Prover.Attest(tao.Statement{
		Identity: about.Identity, Role: about.Role, Keys: about.Keys, Configuration: Configuration(*n.cfg), Stamp: view.Stamp,
	}, view.Policy)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: %w", errNoEvidence, err)
	}
	if verdict, err := view.Policy.Verify(d.Evidence, about, time.Now()); err == nil {
		until = verdict.Until
	}
	return until, nil // what the policy has against it, the directory says
}

// noteEvidence takes note of what came of the attempt to register with evidence. That there was none is said once.
func (n *Node) noteEvidence(until time.Time, err error) {
	before := n.attested.Load()
	if before == nil {
		return
	}
	now := *before
	now.LogUsed, now.Failure = n.cfg.Prover.Room(), ""
	switch {
	case err == nil:
		now.Until = until
	case errors.Is(err, errNoEvidence), errors.Is(err, directory.ErrRefused):
		now.Failure = err.Error()
	default:
		now.Failure = before.Failure // nobody has looked at the evidence
	}
	n.attested.Store(&now)
	if errors.Is(err, errNoEvidence) && now.Failure != before.Failure {
		n.cfg.Log.Error("this node cannot be registered anew: see whether its TPM answers, and whether nothing else uses it; trying again",
			"evidence_until", now.Until, "error", err)
	}
}
