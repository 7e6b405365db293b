package node

import (
	"bytes"
	"slices"
	"sync"
	"time"

	"sphinxmix.example/node/directory"
)

// State is where a node stands between its start and its end.
type State string

// The states, in their order.
const (
	Starting State = "starting" // has had no view of the network yet that lists it with a key that it has
	Serving  State = "serving"
	Unlisted State = "unlisted" // has no such view any more
	Leaving  State = "leaving"  // out of the directory, and sending what it still holds
)

// Stats is what a node has done since it started and how it stands. Nothing in it is about one packet or one client. In
// JSON it is an object whose members have the names of the fields, with those of Counts among them; a reason that is
// missing in Dropped is zero.
type Stats struct {
	Node     directory.NodeID
	Address  string
	Version  string // of the program; empty where the caller gave none
	Strategy string // of the mix, as it is configured
	State    State
	Started  time.Time
	Now      time.Time

	Counts
	Held   int   // packets that wait for their batch
	Memory int64 // bytes of all packets in the node

	View        *ViewStats        // nil before the first
	Attestation *AttestationStats // nil where the node makes no evidence
	Epochs      []EpochStats      // with a key, ascending
	Peers       []PeerStats       // that this node has sent something, by id
	Links       LinkStats

	History []Sample // of the last hour, oldest first; the last one is not over yet
}

// ViewStats describes the newest view of the network.
type ViewStats struct {
	Version            uint64
	Published, Expires time.Time
	Mixes              int
	Listed             bool         // this node is among them, be it with keys that it does not have
	Refused            int          // more that the policy does not trust
	Refusal            string       // why it does not trust this node, which is one of these; empty where it is not
	Policy             *PolicyStats // nil where the node goes by none
}

// PolicyStats describes the policy that the node goes by.
type PolicyStats struct {
	Version uint64
	Expires time.Time
}

// AttestationStats describes the evidence that the node makes of what it runs.
type AttestationStats struct {
	Kind    string    // of the attestor: "tpm" or "soft"
	Until   time.Time // when the evidence is good no more that the directory has; zero where it has none that is
	LogUsed float64   // part of the log's room that is taken, 0 to 1; it becomes free when the machine is started anew
	Failure string    // why there was no evidence the last time, or the directory refused it; empty where all is well
}

// EpochStats describes a mix key.
type EpochStats struct {
	Number       uint64
	Begins, Ends time.Time // of its epoch
	Current      bool
	Tags         int  // packets that were opened with it
	MaxTags      int  // how many it can open
	Failed       bool // its replay set is full or cannot be written, so that everything for it is refused
}

// PeerStats describes the link to another mix.
type PeerStats struct {
	Node      directory.NodeID
	Address   string
	Connected bool
	Queue     int    // packets that wait for it
	Sent      uint64 // packets
	Lost      uint64 // packets, on their way or while it could not be reached
}

// LinkStats counts the links that others have made.
type LinkStats struct{ Mixes, Others int }

// SamplePeriod is how long a Sample lasts.
const SamplePeriod = 10 * time.Second

// maxSamples are an hour's.
const maxSamples = int(time.Hour / SamplePeriod)

// Sample is what happened in one SamplePeriod.
type Sample struct {
	At       time.Time // when it began
	Received uint64    // packets
	Sent     uint64    // packets: to mixes, services and clients
	Dropped  uint64    // packets
	Batches  uint64    // that were released

	// The anonymity sets of those batches: how many distinct senders had a packet in the node when it was released. All
	// zero without a batch.
	MinSenders, MaxSenders int
	MeanSenders            float64

	LoopsSent, LoopsLost uint64 // of the node's own cover traffic
}

// Since returns the samples of the History that began at start or later as one: At is when the first of them did, and
// MeanSenders is of all their batches. It is the zero Sample where there are none.
func (s Stats) Since(start time.Time) Sample {
	var sum Sample
	var senders float64
	for _, sample := range s.History {
		if sample.At.Before(start) {
			continue
		}
		if sum.At.IsZero() {
			sum.At = sample.At
		}
		sum.Received += sample.Received
		sum.Sent += sample.Sent
		sum.Dropped += sample.Dropped
		sum.LoopsSent += sample.LoopsSent
		sum.LoopsLost += sample.LoopsLost
		if sample.Batches == 0 {
			continue
		}
		if sum.Batches == 0 || sample.MinSenders < sum.MinSenders {
			sum.MinSenders = sample.MinSenders
		}
		sum.MaxSenders = max(sum.MaxSenders, sample.MaxSenders)
		sum.Batches += sample.Batches
		senders += float64(sample.Batches) * sample.MeanSenders
		sum.MeanSenders = senders / float64(sum.Batches)
	}
	return sum
}

// history keeps the samples of the last hour.
type history struct {
	mu      sync.Mutex
	samples []Sample // the last one is being taken; guarded by mu
	before  Counts   // when it began; guarded by mu
	sum     uint64   // of the senders of its batches; guarded by mu
}

// batch notes that a batch is released while that many senders have packets in the mix.
func (h *history) batch(n *Node, senders int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.current(n, time.Now())
	if s.Batches == 0 || senders < s.MinSenders {
		s.MinSenders = senders
	}
	s.MaxSenders = max(s.MaxSenders, senders)
	s.Batches++
	h.sum += uint64(senders)
	s.MeanSenders = float64(h.sum) / float64(s.Batches)
}

// read returns the samples, with the time and the counts up to which the last one is.
func (h *history) read(n *Node) (now time.Time, counts Counts, samples []Sample) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now = time.Now()
	last := h.current(n, now)
	counts = n.Counts()
	h.fill(last, counts)
	return now, counts, slices.Clone(h.samples)
}

// current returns the sample that is being taken at the time now, and begins it if it is not there yet. It is called with
// mu held since before that time, so that samples are in order and no count is less than the one before.
func (h *history) current(n *Node, now time.Time) *Sample {
	last := len(h.samples) - 1
	if last >= 0 && now.Sub(h.samples[last].At) < SamplePeriod {
		return &h.samples[last]
	}
	counts := n.Counts()
	if last >= 0 {
		h.fill(&h.samples[last], counts)
	}
	h.before, h.sum = counts, 0
	if len(h.samples) == maxSamples {
		h.samples = slices.Delete(h.samples, 0, 1)
	}
	h.samples = append(h.samples, Sample{At: now})
	return &h.samples[len(h.samples)-1]
}

// fill sets what is the difference between two counts.
func (h *history) fill(s *Sample, now Counts) {
	s.Received = now.Received - h.before.Received
	s.Sent = now.Sent + now.Served + now.Delivered - h.before.Sent - h.before.Served - h.before.Delivered
	s.Dropped = now.dropped() - h.before.dropped()
	s.LoopsSent = now.LoopsSent - h.before.LoopsSent
	s.LoopsLost = now.LoopsLost - h.before.LoopsLost
}

func (c *Counts) dropped() (sum uint64) {
	for _, count := range c.Dropped {
		sum += count
	}
	return sum
}

// Stats returns what there is to know about the node. Its parts are read one by one, so they may differ by what is under
// way.
func (n *Node) Stats() Stats {
	now, counts, samples := n.history.read(n)
	s := Stats{
		Node:     n.id,
		Address:  n.cfg.Address,
		Version:  n.cfg.Version,
		Strategy: n.cfg.Mix.Strategy,
		State:    Starting,
		Started:  n.started,
		Now:      now,
		Counts:   counts,
		Held:     int(n.counts.held.Load()),
		Memory:   n.live.Load() * int64(n.cfg.Network.PacketSize()),
		Epochs:   n.epochStats(now),
		Links:    LinkStats{Mixes: int(n.senders.mixes.Load()), Others: int(n.senders.others.Load())},
		History:  samples,
	}
	s.View, s.Attestation = n.viewStats(), n.attested.Load()
	switch {
	case n.leaving.Load():
		s.State = Leaving
	case n.serving():
		s.State = Serving
	case n.served.Load():
		s.State = Unlisted
	}
	if peers := n.peers.Load(); peers != nil {
		for _, p := range *peers {
			s.Peers = append(s.Peers, PeerStats{
				Node: p.desc.ID(), Address: p.desc.Address, Connected: p.connected.Load(), Queue: len(p.queue),
				Sent: p.sent.Load(), Lost: p.lost.Load(),
			})
		}
		slices.SortFunc(s.Peers, func(a, b PeerStats) int { return bytes.Compare(a.Node[:], b.Node[:]) })
	}
	return s
}

func (n *Node) viewStats() *ViewStats {
	good := n.View()
	k := n.view.Load()
	if k == nil {
		return nil
	}
	s := &ViewStats{Version: k.newest.Version, Published: k.newest.Published, Expires: k.newest.Expires}
	if good != nil {
		s.Mixes, s.Refused = len(good.Nodes), len(good.Refused)
		_, s.Listed = good.Node(n.id)
		if i := slices.IndexFunc(good.Refused, func(r directory.Refusal) bool { return r.Node == n.id }); i >= 0 {
			s.Refusal = good.Refused[i].Err.Error()
		}
	}
	if p := k.newest.Policy; p != nil {
		s.Policy = &PolicyStats{Version: p.Version, Expires: p.Expires}
	}
	return s
}

func (n *Node) epochStats(now time.Time) []EpochStats {
	var all []EpochStats
	network := n.cfg.Network
	for _, k := range *n.keys.Load() {
		all = append(all, EpochStats{
			Number: k.Number, Begins: network.EpochStart(k.Number), Ends: network.EpochStart(k.Number + 1),
			Current: k.Number == network.EpochAt(now), Tags: k.Tags.Len(), MaxTags: n.cfg.MaxTags, Failed: k.refusing.Load(),
		})
	}
	return all
}
