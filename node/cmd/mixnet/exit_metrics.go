package main

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"sphinxmix.example/client/exit"
)

// exitMetrics shows to Prometheus what an exit does, beside the metrics of its mix. All labels have closed sets of
// values.
type exitMetrics struct {
	stats func() exit.Stats

	sessions, streams, memory, opened, refused, ended, bytes *prometheus.Desc
}

func newExitMetrics(stats func() exit.Stats) *exitMetrics {
	define := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("mixnet_exit_"+name, help, labels, nil)
	}
	return &exitMetrics{
		stats:    stats,
		sessions: define("sessions", "Sessions of clients at this exit."),
		streams:  define("streams", "Connections through this exit, with those that are being made."),
		memory:   define("memory_bytes", "Memory that they take."),
		opened:   define("streams_opened_total", "Connections that were made."),
		refused:  define("streams_refused_total", "Connections that were not made, by reason.", "reason"),
		ended:    define("sessions_ended_total", "Sessions that have ended, by reason.", "reason"),
		bytes:    define("bytes_total", "Bytes that went through connections.", "direction"),
	}
}

// Describe implements prometheus.Collector.
func (m *exitMetrics) Describe(into chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{m.sessions, m.streams, m.memory, m.opened, m.refused, m.ended, m.bytes} {
		into <- desc
	}
}

// Collect implements prometheus.Collector. It asks for the exit's Stats once.
func (m *exitMetrics) Collect(into chan<- prometheus.Metric) {
	s := m.stats()
	gauge := func(desc *prometheus.Desc, value float64) {
		into <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value)
	}
	counter := func(desc *prometheus.Desc, value uint64, labels ...string) {
		into <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(value), labels...)
	}
	gauge(m.sessions, float64(s.Sessions))
	gauge(m.streams, float64(s.Streams))
	gauge(m.memory, float64(s.Memory))
	counter(m.opened, s.Opened)
	for _, reason := range slices.Sorted(maps.Keys(s.Refused)) {
		counter(m.refused, s.Refused[reason], reason)
	}
	for _, reason := range slices.Sorted(maps.Keys(s.Ended)) {
		counter(m.ended, s.Ended[reason], reason)
	}
	counter(m.bytes, s.FromClients, "from_clients")
	counter(m.bytes, s.ToClients, "to_clients")
}
