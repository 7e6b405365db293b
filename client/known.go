package client

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"sphinxmix.example/node/directory"
)

// known is what the client knows of the network. A directory that has lost its memory lists few mixes until they have
// registered again, and those may be an attacker's. So beside the newest view the client keeps the widest, while it is
// good, and the policy, where there is one, is the same: a mix is trusted by the newest policy or not at all.
type known struct {
	mu      sync.Mutex
	newest  *directory.View // guarded by mu
	widest  *directory.View // which is often the newest; guarded by mu
	changed bool            // the directory's network has become another; guarded by mu
}

// adopt takes over a view that was fetched at the time now, and reports whether it is one of the client's network.
func (k *known) adopt(view *directory.View, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.changed = view.Network != k.newest.Network; k.changed {
		return false
	}
	k.newest = view
	k.widest = k.widestAfter(view, now)
	return true
}

// widestAfter returns the widest view after one that was fetched at the time now: the widest of before, without the mixes
// that the policy refuses by what the new one shows of them, or the new one.
func (k *known) widestAfter(view *directory.View, now time.Time) *directory.View {
	widest, err := k.widest.At(now)
	if err != nil || widest.Policy != view.Policy || len(view.Nodes) >= len(widest.Nodes) {
		return view // a directory.Client has one pointer for one policy
	}
	refused := func(d *directory.Descriptor) bool { return view.Refuses(d.ID()) }
	if !slices.ContainsFunc(widest.Nodes, refused) {
		return widest
	}
	w := *widest
	w.Nodes = slices.DeleteFunc(slices.Clone(w.Nodes), refused)
	return &w
}

// Refused returns the mixes that the network's policy refuses, by the newest view that the client has, which asks nobody. The
// result must not be changed.
func (c *Client) Refused() []directory.Refusal {
	c.known.mu.Lock()
	defer c.known.mu.Unlock()
	return c.known.newest.Refused
}

// epoch returns how long the network's epochs are.
func (k *known) epoch() time.Duration { return k.network().Epoch }

// network returns what the client's network is like.
func (k *known) network() directory.Network {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.newest.Network
}

// views returns those that are good at the time now, at least one, the newest first, and without the mixes that have expired.
// The error wraps ErrView.
func (k *known) views(now time.Time) ([]*directory.View, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var views []*directory.View
	one := k.widest == k.newest
	newest, err := k.newest.At(now)
	if err == nil {
		k.newest, views = newest, append(views, newest)
	}
	if one {
		k.widest = k.newest
	} else if widest, err := k.widest.At(now); err == nil {
		k.widest, views = widest, append(views, widest)
	}
	switch {
	case len(views) > 0:
		return views, nil
	case k.changed:
		return nil, fmt.Errorf("%w: the directory's network is another one now; make a new client", ErrView)
	case errors.Is(err, directory.ErrExpired):
		return nil, fmt.Errorf("%w: the directory has had no newer one since %s", ErrView, k.newest.Expires.UTC().Format(time.RFC3339))
	default:
		return nil, fmt.Errorf("%w: %w", ErrView, err)
	}
}

// route chooses paths for a message to service and its reply, in the network as the client knows it now. s is nil where
// there is no gateway; the paths can then not be used. The error wraps ErrView, ErrNetwork, ErrNoService or errUnfit.
func (c *Client) route(s *session, service string) (route, error) {
	var r route
	err := c.tryCharts(s, func(ch *chart) (err error) {
		r, err = ch.route(&c.cfg, service, c.decoys)
		return err
	})
	return r, err
}

// tryCharts calls choose with one chart after the other, until it returns no error; else it returns that of the first, or
// one that wraps ErrView.
func (c *Client) tryCharts(s *session, choose func(*chart) error) error {
	charts, err := c.charts(s, time.Now())
	if err != nil {
		return err
	}
	for i, ch := range charts {
		failure := choose(ch)
		if failure == nil {
			return nil
		}
		if i == 0 {
			err = failure
		}
	}
	return err
}

// chart returns the best one that paths can be made of now. The error is one of route's.
func (c *Client) chart(s *session) (*chart, error) {
	charts, err := c.charts(s, time.Now())
	if err != nil {
		return nil, err
	}
	for _, ch := range charts {
		if ch.check(c.cfg.Hops) == nil {
			return ch, nil
		}
	}
	return nil, charts[0].check(c.cfg.Hops)
}

// charts returns what paths can be made of at the time now, at least one chart, the best first: that of the newest view,
// unless it has fewer than half of the mixes of a wider one. s is nil where there is no gateway. The error wraps ErrView, or
// errUnfit where the policy does not trust the gateway.
func (c *Client) charts(s *session, now time.Time) ([]*chart, error) {
	views, err := c.known.views(now)
	if err != nil {
		return nil, err
	}
	if s != nil {
		if err := c.trusted(s, views[0], now); err != nil {
			return nil, err
		}
	}
	charts := make([]*chart, len(views))
	for i, view := range views {
		charts[i] = s.chart(view, view.EpochAt(now))
	}
	if len(charts) == 2 && 2*len(charts[0].others) < len(charts[1].others) {
		charts[0], charts[1] = charts[1], charts[0]
	}
	return charts, nil
}
