package client

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"slices"
	"sync/atomic"

	"sphinxmix.example/node/directory"
)

// decoys are mixes that never stand beside the exits of one client's packets, on no way there and back, because the gateway
// never does: no path has a mix twice. An exit that gets many cells of one session sees who is missing there, and would know
// the gateway by it, and by that which sessions may be of one client. So the gateway hides among a quarter of all that take
// clients.
//
// They are the same for all packets of one isolation through one gateway, or what all exits see together would leave fewer;
// and others for each isolation, or they would show which isolations are of one client.
type decoys struct {
	secret [sha256.Size]byte // of the client and the isolation; never changed
	last   atomic.Pointer[decoySet]
}

// decoySet is the decoys in one chart.
type decoySet struct {
	chart *chart
	mixes map[*directory.Descriptor]bool
}

// newDecoys returns the decoys of an isolation.
func newDecoys(client [sha256.Size]byte, isolation string) *decoys {
	d := new(decoys)
	mac := hmac.New(sha256.New, client[:])
	mac.Write([]byte(isolation))
	mac.Sum(d.secret[:0])
	return d
}

// in returns the decoys in a chart with a gateway; none where d is nil.
func (d *decoys) in(ch *chart) map[*directory.Descriptor]bool {
	if d == nil || ch.gateway == nil {
		return nil
	}
	if last := d.last.Load(); last != nil && last.chart == ch {
		return last.mixes
	}
	type ranked struct {
		mix  *directory.Descriptor
		rank []byte
	}
	var willing []ranked
	gateway := ch.gateway.ID()
	for _, l := range ch.others {
		if takesClients(l.Mix) {
			id := l.Mix.ID()
			mac := hmac.New(sha256.New, d.secret[:])
			mac.Write(gateway[:])
			mac.Write(id[:])
			willing = append(willing, ranked{l.Mix, mac.Sum(nil)})
		}
	}
	slices.SortFunc(willing, func(a, b ranked) int { return bytes.Compare(a.rank, b.rank) })
	set := &decoySet{ch, make(map[*directory.Descriptor]bool)}
	for _, r := range willing[:len(willing)/4] {
		set.mixes[r.mix] = true
	}
	d.last.Store(set)
	return set.mixes
}
