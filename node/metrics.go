package node

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sphinxmix.example/tao"
)

// metrics shows Stats to Prometheus. Every label has a closed set of values, which are all there from the start so that
// alerts can be written before anything happened; only peers come and go with the view. Nothing is per client or packet.
type metrics struct {
	stats func() Stats
	all   []*prometheus.Desc

	info, state, started metric

	received, sent, dropped metric
	batches, senders        metric
	held, memory            metric
	coverSent, covered      metric
	returned, loopsLost     metric

	viewVersion, viewPublished, viewExpires, viewMixes metric

	refused, policyVersion, policyExpires               metric
	attestor, attestedUntil, attestationFailed, logUsed metric

	epoch, key, ends, tags, maxTags, failed metric

	links, connected, queue, peerSent, peerLost metric
}

// metric is a name with what goes with it.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

// is returns the metric with a value; labels are in the order in which it was defined. It never panics.
func (m metric) is(value float64, labels ...string) prometheus.Metric {
	made, err := prometheus.NewConstMetric(m.desc, m.kind, value, labels...)
	if err != nil {
		return prometheus.NewInvalidMetric(m.desc, err)
	}
	return made
}

func newMetrics(stats func() Stats) *metrics {
	m := &metrics{stats: stats}
	define := func(kind prometheus.ValueType) func(name, help string, labels ...string) metric {
		return func(name, help string, labels ...string) metric {
			desc := prometheus.NewDesc("mixnet_"+name, help, labels, nil)
			m.all = append(m.all, desc)
			return metric{desc, kind}
		}
	}
	gauge, counter := define(prometheus.GaugeValue), define(prometheus.CounterValue)

	m.info = gauge("node_info", "Always 1. The node's id, the program's version, and the strategy of the mix.", "node", "version", "strategy")
	m.state = gauge("node_state", "1 for the state that the node is in, 0 for the others.", "state")
	m.started = gauge("node_start_time_seconds", "When the node started, in seconds since 1970.")

	m.received = counter("packets_received_total", "Packets that came over links.")
	m.sent = counter("packets_sent_total", "Packets that went out: to other mixes, to this node's services, or to its clients.", "to")
	m.dropped = counter("packets_dropped_total", "Packets that ended before they reached anyone, by reason.", "reason")
	m.batches = counter("batches_total", "Batches that were released.")
	m.senders = gauge("batch_senders", "Distinct senders with a packet in the node as batches were released in the last minute: the fewest, the mean of all batches, the most. 0 without a batch.", "of")
	m.held = gauge("packets_held", "Packets that wait for their batch.")
	m.memory = gauge("packets_memory_bytes", "Size of all packets in the node.")
	m.coverSent = counter("cover_packets_sent_total", "Packets of the node's own cover traffic: loops, which come back to it, and drops, which end elsewhere.", "kind")
	m.covered = counter("cover_packets_received_total", "Cover packets of others that ended here, as they should.")
	m.returned = counter("loops_returned_total", "Loops that came back.")
	m.loopsLost = counter("loops_lost_total", "Loops that did not come back in time.")

	m.viewVersion = gauge("view_version", "Version of the newest view of the network, 0 before the first.")
	m.viewPublished = gauge("view_published_timestamp_seconds", "When the directory published that view, in seconds since 1970, 0 before the first.")
	m.viewExpires = gauge("view_expires_timestamp_seconds", "When that view expires, in seconds since 1970, 0 before the first.")
	m.viewMixes = gauge("view_mixes", "Mixes in that view.")

	m.refused = gauge("view_refused_mixes", "Mixes that the directory lists beside them and the policy does not trust.")
	m.policyVersion = gauge("policy_version", "Version of the policy that the node goes by, 0 without one.")
	m.policyExpires = gauge("policy_expires_timestamp_seconds", "When that policy expires, in seconds since 1970, 0 without one.")

	m.attestor = gauge("attestor", "1 for the kind of attestor that vouches for the node, 0 for the others.", "kind")
	m.attestedUntil = gauge("attested_until_timestamp_seconds", "When the node's evidence is good no more that the directory has, in seconds since 1970, 0 without any.")
	m.attestationFailed = gauge("attestation_failed", "1 where the last attempt to make evidence failed, or the directory refused it.")
	m.logUsed = gauge("attestation_log_used_ratio", "Part of the room for what is measured that is taken, from 0 to 1. It becomes free when the machine is started anew.")

	m.key = gauge("epoch_key", "1 where the node has a mix key for that epoch, otherwise 0, as are the other metrics of that epoch.", "epoch")
	m.epoch = gauge("epoch_number", "Number of the epoch.", "epoch")
	m.ends = gauge("epoch_ends_timestamp_seconds", "When the epoch ends, in seconds since 1970.", "epoch")
	m.tags = gauge("replay_tags", "Packets that were opened with the epoch's key.", "epoch")
	m.maxTags = gauge("replay_tags_limit", "Packets that the epoch's key can open.", "epoch")
	m.failed = gauge("replay_failed", "1 where the replay set of the epoch's key is full or cannot be written, so that every packet for it is refused.", "epoch")

	m.links = gauge("links", "Links that others have made to this node.", "from")
	m.connected = gauge("peer_connected", "1 where there is a link to that mix, otherwise 0.", "peer")
	m.queue = gauge("peer_queue_packets", "Packets that wait for that mix.", "peer")
	m.peerSent = counter("peer_packets_sent_total", "Packets that were sent to that mix.", "peer")
	m.peerLost = counter("peer_packets_lost_total", "Packets for that mix that were lost, on their way or while it could not be reached.", "peer")
	return m
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(into chan<- *prometheus.Desc) {
	for _, desc := range m.all {
		into <- desc
	}
}

// Collect implements prometheus.Collector. It asks for Stats once.
func (m *metrics) Collect(into chan<- prometheus.Metric) {
	s := m.stats()
	into <- m.info.is(1, s.Node.String(), s.Version, s.Strategy)
	for _, state := range []State{Starting, Serving, Unlisted, Leaving} {
		into <- m.state.is(one(s.State == state), string(state))
	}
	into <- m.started.is(seconds(s.Started))
	m.collectPackets(into, s)
	m.collectView(into, s)
	m.collectAttestation(into, s)
	m.collectEpochs(into, s)
	m.collectPeers(into, s)
}

func (m *metrics) collectPackets(into chan<- prometheus.Metric, s Stats) {
	into <- m.received.is(float64(s.Received))
	into <- m.sent.is(float64(s.Sent), "mix")
	into <- m.sent.is(float64(s.Served), "service")
	into <- m.sent.is(float64(s.Delivered), "client")
	for reason := range drops {
		into <- m.dropped.is(float64(s.Dropped[reason]), reason.String())
	}
	into <- m.batches.is(float64(s.Batches))
	lately := s.Since(s.Now.Add(-time.Minute))
	into <- m.senders.is(float64(lately.MinSenders), "min")
	into <- m.senders.is(lately.MeanSenders, "mean")
	into <- m.senders.is(float64(lately.MaxSenders), "max")
	into <- m.held.is(float64(s.Held))
	into <- m.memory.is(float64(s.Memory))
	into <- m.coverSent.is(float64(s.LoopsSent), "loop")
	into <- m.coverSent.is(float64(s.DropsSent), "drop")
	into <- m.covered.is(float64(s.Covered))
	into <- m.returned.is(float64(s.LoopsReturned))
	into <- m.loopsLost.is(float64(s.LoopsLost))
}

func (m *metrics) collectView(into chan<- prometheus.Metric, s Stats) {
	var view ViewStats
	if s.View != nil {
		view = *s.View
	}
	into <- m.viewVersion.is(float64(view.Version))
	into <- m.viewPublished.is(seconds(view.Published))
	into <- m.viewExpires.is(seconds(view.Expires))
	into <- m.viewMixes.is(float64(view.Mixes))
	into <- m.refused.is(float64(view.Refused))
	var policy PolicyStats
	if view.Policy != nil {
		policy = *view.Policy
	}
	into <- m.policyVersion.is(float64(policy.Version))
	into <- m.policyExpires.is(seconds(policy.Expires))
}

func (m *metrics) collectAttestation(into chan<- prometheus.Metric, s Stats) {
	var attestation AttestationStats
	if s.Attestation != nil {
		attestation = *s.Attestation
	}
	for _, kind := range []tao.Kind{tao.TPM, tao.Soft} {
		into <- m.attestor.is(one(attestation.Kind == kind.String()), kind.String())
	}
	into <- m.attestedUntil.is(seconds(attestation.Until))
	into <- m.attestationFailed.is(one(attestation.Failure != ""))
	into <- m.logUsed.is(attestation.LogUsed)
}

func (m *metrics) collectEpochs(into chan<- prometheus.Metric, s Stats) {
	for place, epoch := range s.epochsByPlace() {
		name := epochPlaces[place]
		into <- m.key.is(one(epoch != nil), name)
		if epoch == nil {
			epoch = &EpochStats{}
		}
		into <- m.epoch.is(float64(epoch.Number), name)
		into <- m.ends.is(seconds(epoch.Ends), name)
		into <- m.tags.is(float64(epoch.Tags), name)
		into <- m.maxTags.is(float64(epoch.MaxTags), name)
		into <- m.failed.is(one(epoch.Failed), name)
	}
}

func (m *metrics) collectPeers(into chan<- prometheus.Metric, s Stats) {
	into <- m.links.is(float64(s.Links.Mixes), "mix")
	into <- m.links.is(float64(s.Links.Others), "other")
	for _, peer := range s.Peers {
		id := peer.Node.String()
		into <- m.connected.is(one(peer.Connected), id)
		into <- m.queue.is(float64(peer.Queue), id)
		into <- m.peerSent.is(float64(peer.Sent), id)
		into <- m.peerLost.is(float64(peer.Lost), id)
	}
}

// epochPlaces are where an epoch can be, seen from now.
var epochPlaces = [...]string{"previous", "current", "next"}

// epochsByPlace returns the epochs nearest to now that the node has keys for, nil where it has none.
func (s Stats) epochsByPlace() (places [len(epochPlaces)]*EpochStats) {
	for i := range s.Epochs {
		epoch := &s.Epochs[i]
		switch {
		case epoch.Current:
			places[1] = epoch
		case !s.Now.Before(epoch.Ends):
			places[0] = epoch
		case places[2] == nil:
			places[2] = epoch
		}
	}
	return places
}

func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// seconds returns the time since 1970, and 0 for the zero time.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
