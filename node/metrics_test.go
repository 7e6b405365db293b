package node

import (
	"fmt"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/directory"
)

// scrape returns the value of each metric of a node with those stats, by its name and labels as Prometheus writes them.
func scrape(t *testing.T, s Stats) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(newMetrics(func() Stats { return s }))
	families, err := registry.Gather()
	require.NoError(t, err)
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)

	values := make(map[string]float64)
	for _, family := range families {
		for _, metric := range family.Metric {
			var labels []string
			for _, label := range metric.Label {
				labels = append(labels, fmt.Sprintf("%s=%q", label.GetName(), label.GetValue()))
			}
			name := family.GetName()
			if len(labels) > 0 {
				name += "{" + strings.Join(labels, ",") + "}"
			}
			values[name] = metric.Gauge.GetValue() + metric.Counter.GetValue()
		}
	}
	return values
}

func TestMetrics(t *testing.T) {
	values := scrape(t, operatorStats())
	for name, want := range map[string]float64{
		`mixnet_node_info{node="abcd00000000000000000000",strategy="pool",version="v1.2.3"}`: 1,
		`mixnet_node_start_time_seconds`:                                  float64(time.Date(2026, 6, 30, 12, 30, 0, 0, time.UTC).Unix()),
		`mixnet_node_state{state="starting"}`:                             0,
		`mixnet_node_state{state="serving"}`:                              1,
		`mixnet_node_state{state="unlisted"}`:                             0,
		`mixnet_packets_received_total`:                                   1000,
		`mixnet_packets_sent_total{to="mix"}`:                             600,
		`mixnet_packets_sent_total{to="service"}`:                         200,
		`mixnet_packets_sent_total{to="client"}`:                          100,
		`mixnet_packets_dropped_total{reason="mac"}`:                      7,
		`mixnet_packets_dropped_total{reason="replay"}`:                   0,
		`mixnet_batches_total`:                                            50,
		`mixnet_batch_senders{of="min"}`:                                  4,
		`mixnet_batch_senders{of="mean"}`:                                 9, // of one batch with 6 and three with 10
		`mixnet_batch_senders{of="max"}`:                                  12,
		`mixnet_packets_held`:                                             12,
		`mixnet_packets_memory_bytes`:                                     1 << 20,
		`mixnet_cover_packets_sent_total{kind="loop"}`:                    40,
		`mixnet_cover_packets_sent_total{kind="drop"}`:                    80,
		`mixnet_cover_packets_received_total`:                             30,
		`mixnet_loops_returned_total`:                                     37,
		`mixnet_loops_lost_total`:                                         2,
		`mixnet_view_version`:                                             9,
		`mixnet_view_mixes`:                                               6,
		`mixnet_view_expires_timestamp_seconds`:                           float64(time.Date(2026, 7, 1, 13, 30, 0, 0, time.UTC).Unix()),
		`mixnet_view_refused_mixes`:                                       2,
		`mixnet_policy_version`:                                           3,
		`mixnet_policy_expires_timestamp_seconds`:                         float64(time.Date(2026, 7, 11, 12, 30, 0, 0, time.UTC).Unix()),
		`mixnet_attestor{kind="tpm"}`:                                     1,
		`mixnet_attestor{kind="soft"}`:                                    0,
		`mixnet_attested_until_timestamp_seconds`:                         float64(time.Date(2026, 7, 2, 12, 30, 0, 0, time.UTC).Unix()),
		`mixnet_attestation_failed`:                                       0,
		`mixnet_attestation_log_used_ratio`:                               0.25,
		`mixnet_epoch_number{epoch="previous"}`:                           11,
		`mixnet_epoch_number{epoch="current"}`:                            12,
		`mixnet_epoch_number{epoch="next"}`:                               13,
		`mixnet_epoch_ends_timestamp_seconds{epoch="current"}`:            float64(time.Date(2026, 7, 1, 13, 0, 0, 0, time.UTC).Unix()),
		`mixnet_replay_tags{epoch="previous"}`:                            900,
		`mixnet_replay_tags_limit{epoch="current"}`:                       1000,
		`mixnet_links{from="mix"}`:                                        5,
		`mixnet_links{from="other"}`:                                      8,
		`mixnet_peer_connected{peer="123400000000000000000000"}`:          1,
		`mixnet_peer_queue_packets{peer="123400000000000000000000"}`:      3,
		`mixnet_peer_packets_sent_total{peer="123400000000000000000000"}`: 500,
		`mixnet_peer_packets_lost_total{peer="123400000000000000000000"}`: 2,
	} {
		require.Contains(t, values, name)
		require.Equal(t, want, values[name], name)
	}
}

// TestMetricsAreThereFromTheStart, so that alerts can be written, and are numbers when nothing happened yet.
func TestMetricsAreThereFromTheStart(t *testing.T) {
	first := scrape(t, Stats{})
	for name, value := range first {
		if !strings.HasPrefix(name, "mixnet_node_info") {
			require.Zero(t, value, name)
		}
	}
	for reason := range drops {
		require.Contains(t, first, fmt.Sprintf("mixnet_packets_dropped_total{reason=%q}", reason))
	}
	for name := range scrape(t, operatorStats()) {
		if !strings.HasPrefix(name, "mixnet_peer_") && !strings.HasPrefix(name, "mixnet_node_info") {
			require.Contains(t, first, name)
		}
	}
	idle := operatorStats()
	idle.History = []Sample{{At: idle.Now}}
	for name, value := range scrape(t, idle) {
		require.False(t, math.IsNaN(value) || math.IsInf(value, 0), name)
	}
}

// TestMetricsGrowWithNothingButPeers: a label that somebody else chooses would let them fill the operator's store.
func TestMetricsGrowWithNothingButPeers(t *testing.T) {
	s := operatorStats()
	one := scrape(t, s)
	s.Peers = append(s.Peers, PeerStats{Node: directory.NodeID{1}, Address: "attacker.example:1"})
	s.Received, s.Links.Others = math.MaxUint64, math.MaxInt
	for reason := range drops {
		s.Dropped[reason] = math.MaxUint64
	}
	for number := range uint64(9) {
		s.Epochs = append(s.Epochs, EpochStats{Number: 100 + number, Begins: s.Now.Add(time.Hour), Ends: s.Now.Add(2 * time.Hour)})
	}
	two := scrape(t, s)
	require.Len(t, two, len(one)+4)
	for name := range two {
		require.NotContains(t, name, "203.0.113.77")
		require.NotContains(t, name, "attacker")
	}
	require.EqualValues(t, 13, two[`mixnet_epoch_number{epoch="next"}`], "the nearest")
}

// TestMetricsSpoiltByAName: no name that a caller gives ends the process.
func TestMetricsSpoiltByAName(t *testing.T) {
	s := operatorStats()
	s.Version = "\xff"
	body := ask(t, s, "GET", "localhost", "/metrics").Body.String()
	require.Contains(t, body, "\nmixnet_packets_received_total 1000\n", "the other metrics are there")
	require.Contains(t, body, "\ngo_goroutines ", "as are those of the process")
}

func TestStatsAreReadOncePerScrape(t *testing.T) {
	asked := 0
	registry := prometheus.NewRegistry()
	registry.MustRegister(newMetrics(func() Stats { asked++; return operatorStats() }))
	require.Zero(t, asked)
	_, err := registry.Gather()
	require.NoError(t, err)
	require.Equal(t, 1, asked)
}

// TestAlertsAreAboutMetrics that exist, with labels that they have.
func TestAlertsAreAboutMetrics(t *testing.T) {
	rules, err := os.ReadFile("examples/prometheus-alerts.yml")
	require.NoError(t, err)
	known := strings.Join(slices.Collect(maps.Keys(scrape(t, operatorStats()))), "\n")
	named := regexp.MustCompile(`(mixnet_\w+)(?:\{([^}]*)\})?`).FindAllStringSubmatch(string(rules), -1)
	require.NotEmpty(t, named)
	for _, metric := range named {
		require.Regexp(t, `(?m)^`+metric[1]+`(\{.*`+regexp.QuoteMeta(metric[2])+`.*\})?$`, known)
	}
}
