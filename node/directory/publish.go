package directory

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// Views are signed anew for what has changed as soon as they are asked for, but all servers together do so only
// publishBurst times in a row and then once in publishEvery: a thousand nodes that renew their keys within a second
// cost not a thousand views. A large view is signed less often, so that views add publishBytes to the store in a second
// and hardly more, and those who read one at readBytes a second come to its end before it is pushed out; but as often
// as publishShare times in an epoch, and in a view's life.
const (
	publishEvery = time.Second
	publishBurst = 32
	publishBytes = 256 << 10
	publishShare = 8
)

// pacing returns how often a view of size bytes may be followed by another because something has changed.
func (s *Server) pacing(size int) rate {
	every := min(time.Duration(size)*time.Second/publishBytes, s.cfg.Network.Epoch/publishShare, s.cfg.Lifetime/publishShare)
	atOnce := min(publishBurst*publishBytes/max(size, 1), publishBurst)
	return rate{max(every, publishEvery), max(atOnce, 1)}
}

// publication is a view as it goes out.
type publication struct {
	View                          // without its nodes
	descriptors cryptobyte.String // of these; a part of signed
	signed      []byte
	tag         string // entity tag (RFC 9110 §8.8.3)
}

// newPublication checks that signed is a view of the directory, but not the policy and the nodes in it: whoever has the
// key checked those.
func newPublication(signed []byte, key ed25519.PublicKey) (*publication, error) {
	v, nodes, err := openView(signed, key)
	if err != nil {
		return nil, err
	}
	return &publication{*v, nodes, signed, entityTag(sha256.Sum256(signed))}, nil
}

// entityTag makes the ETag of a signed view from its hash.
func entityTag(hash [sha256.Size]byte) string { return `"` + hex.EncodeToString(hash[:]) + `"` }

// nodes returns the descriptors in the view, expired ones too. Their evidence is a part of signed.
func (p *publication) nodes() []*Descriptor {
	signed, _ := splitNodes(p.descriptors)
	nodes := make([]*Descriptor, 0, len(signed))
	for _, b := range signed {
		if len(b) < ed25519.SignatureSize {
			continue
		}
		if d, err := decodeDescriptor(b[ed25519.SignatureSize:]); err == nil && d.validate() == nil {
			nodes = append(nodes, d)
		}
	}
	return nodes
}

// publish returns the view to give out, after it has signed and stored a new one where one is due. Without the store it
// returns the last one until that expires, and then an error that wraps ErrStore.
func (s *Server) publish(ctx context.Context) (*publication, error) {
	select {
	case s.turn <- struct{}{}:
	default:
		// Somebody is at it, and may be for as long as the store takes.
		if p := s.goodEnough(); p != nil {
			return p, nil
		}
		select {
		case s.turn <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer func() { <-s.turn }()
	ctx, cancel := patience(ctx)
	defer cancel()

	var failure error
	for range attempts {
		failure = s.catchUp(ctx, s.published)
		d, current := s.draft(s.review())
		if d == nil {
			return current, nil
		}
		if failure != nil {
			break
		}
		rest := encodeRest(d.header.SignedPolicy, d.descriptors)
		if d.forChanges && bytes.Equal(rest, current.signed[stampSize:]) {
			s.show(nil, d)
			return current, nil
		}
		signed := d.header.sign(s.cfg.Key, rest)
		set, err := s.set(ctx, viewName, signed, d.mark)
		if err != nil {
			failure = err
			break
		}
		s.published = d.mark // of which the store has a later view now, this one or another
		if set {
			nodes := signed[minViewSize+len(d.header.SignedPolicy):]
			p := &publication{*d.header, nodes, signed, entityTag(sha256.Sum256(signed))}
			s.show(p, d)
			return p, nil
		}
		failure = fmt.Errorf("%w: other servers keep publishing", ErrStore)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil && s.current.goodAt(s.cfg.Now()) {
		return s.current, nil
	}
	return nil, failure
}

// goodEnough returns the current view if it has all changes that can be had for now.
func (s *Server) goodEnough() *publication {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.current; p != nil && p.goodAt(s.cfg.Now()) && (s.changes == s.shown || s.failure != nil) {
		return p
	}
	return nil
}

func (p *publication) goodAt(now time.Time) bool { return now.Before(p.Expires) }

// draft is a view that is not signed yet.
type draft struct {
	header      *View
	descriptors [][]byte
	forChanges  bool   // it is of no use if it lists what the current view lists
	changes     uint64 // that it has
	mark        int64  // of what it rests on
}

// draft returns the view that is due, with what review has returned, or nil where the current one, which it returns as
// well, will do.
func (s *Server) draft(by policy, changes uint64) (*draft, *publication) {
	now := s.cfg.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	usable := s.current != nil && s.current.goodAt(now)
	late := usable && s.current.lateAt(now)
	early := usable && s.current.earlyAt(now)
	if usable && !late && (!early && s.changes == s.shown || !s.pace.has(1, now, s.pacing(len(s.current.signed)))) {
		return nil, s.current
	}
	if n := s.roster.dropExpired(now); n > 0 {
		s.cfg.Log.Info("nodes expired", "expired", n, "known", len(s.roster.records))
	}
	published := time.Unix(now.Unix(), 0).UTC()
	d := &draft{
		header: &View{
			Version:   max(uint64(max(now.UnixMilli(), 1)), s.version+1),
			Published: published,
			Expires:   published.Add(s.cfg.Lifetime),
			Network:   s.cfg.Network,

			Policy:       by.Policy,
			SignedPolicy: by.signed,
		},
		forChanges: usable && !late && !early,
		changes:    changes,
		mark:       s.mark,
	}
	for _, r := range s.roster.listed(s.listable(by, now)) {
		d.descriptors = append(d.descriptors, r.signed)
	}
	return d, s.current
}

// show remembers that the current view has what is in d, and makes it p where that is not nil.
func (s *Server) show(p *publication, d *draft) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p != nil {
		s.adopt(p)
	}
	s.shown = d.changes
}

// lateAt reports whether the time has come for a new view whatever has happened: with each epoch, and when half the
// life of this one has gone.
func (p *publication) lateAt(now time.Time) bool {
	half := p.Expires.Sub(p.Published) / 2
	return !now.Before(p.Published.Add(half)) || p.EpochAt(now) > p.EpochAt(p.Published)
}

// earlyAt reports whether p is from a future that a corrected clock has taken back. Servers whose clocks are far apart
// would replace each other's views for that without end, so that it is held to the pace of changes.
func (p *publication) earlyAt(now time.Time) bool {
	half := p.Expires.Sub(p.Published) / 2
	return now.Before(p.Published.Add(-half))
}

// adopt makes p, which is newer than all views seen, the current view. It is called with mu held.
func (s *Server) adopt(p *publication) {
	s.version = p.Version
	s.heed(p)
	if p.Network != s.cfg.Network {
		s.cfg.Log.Warn("the store has a view of another network", "version", p.Version)
		s.current = nil
		return
	}
	s.current = p
	s.pace.take(1, s.cfg.Now(), s.pacing(len(p.signed)))
}
