package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// NewOperator returns what a node shows to the person who runs it. All of it comes from stats, which is called for each
// request, at the same time by several. Only /metrics has more: what further collectors tell, of services of the node.
//
//	GET /         a page for people; it reads /stats and /healthz every few seconds
//	GET /stats    Stats as JSON; a client can read it into a Stats
//	GET /metrics  the same for Prometheus, with what the Go runtime and the operating system tell of the process
//	GET /healthz  200 and "ok", or 503 and the Problems of Stats, one a line
//
// Nothing there changes anything or is about one packet or one client. It is meant for who is on this machine: requests
// whose Host is neither "localhost" nor a loopback address get status 421, whatever their port. Without that, a web page
// that the operator visits could have its own name point here, and read the answers.
func NewOperator(stats func() Stats, further ...prometheus.Collector) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(further...)
	registry.MustRegister(
		newMetrics(stats),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	page := newPage()
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", page)
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) { serveStats(w, stats()) })
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { serveHealth(w, stats()) })
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorHandling:      promhttp.ContinueOnError,
		DisableCompression: true, // it does not leave the machine
		CoalesceGather:     true,
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Cache-Control", "no-store")
		header.Set("Content-Security-Policy", page.policy)
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("X-Content-Type-Options", "nosniff")
		if !isLoopback(hostname(r.Host)) {
			http.Error(w, "this port answers only to localhost and to loopback addresses", http.StatusMisdirectedRequest)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// The limits of an OperatorServer.
const (
	operatorTimeout = 10 * time.Second // of reading a request, and of writing an answer
	operatorIdle    = 2 * time.Minute  // of a connection without a request
	operatorHeader  = 8 << 10          // bytes of a request's header
)

// OperatorServer returns a server for the handler that NewOperator makes of stats and further, with deadlines for all that
// it does. The caller gives it a listener, of ListenOperator, and shuts it down. log gets the server's own errors; nil
// discards them.
func OperatorServer(stats func() Stats, log *slog.Logger, further ...prometheus.Collector) *http.Server {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &http.Server{
		Handler:        NewOperator(stats, further...),
		ReadTimeout:    operatorTimeout,
		WriteTimeout:   operatorTimeout,
		IdleTimeout:    operatorIdle,
		MaxHeaderBytes: operatorHeader,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// ErrNotLoopback is returned for an address that others than this machine may reach.
var ErrNotLoopback = errors.New("node: the operator's port must be on localhost or a loopback address")

// ListenOperator listens on address, "host:port", for an OperatorServer. The error wraps ErrNotLoopback where host is
// neither "localhost" nor a loopback address, as when it is empty, which stands for all addresses of the machine.
func ListenOperator(address string) (net.Listener, error) {
	if err := CheckOperator(address); err != nil {
		return nil, err
	}
	return net.Listen("tcp", address)
}

// CheckOperator returns what ListenOperator has against address, without listening: that it is not "host:port", or that
// others may reach it, with an error that wraps ErrNotLoopback.
func CheckOperator(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("node: the operator's port: %w", err)
	}
	if !isLoopback(host) {
		return fmt.Errorf("%w, not on %q", ErrNotLoopback, address)
	}
	return nil
}

// hostname returns the Host of a request without its port and without the brackets of an IPv6 address.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		return host[1 : len(host)-1]
	}
	return host
}

func isLoopback(host string) bool {
	return strings.EqualFold(host, "localhost") || net.ParseIP(host).IsLoopback()
}

func serveStats(w http.ResponseWriter, s Stats) {
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(s); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = body.WriteTo(w)
}

func serveHealth(w http.ResponseWriter, s Stats) {
	problems := s.Problems()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if len(problems) == 0 {
		_, _ = io.WriteString(w, "ok\n")
		return
	}
	w.WriteHeader(http.StatusServiceUnavailable)
	for _, problem := range problems {
		fmt.Fprintln(w, problem)
	}
}

// Problems returns why the node does not do its work, in plain words, one sentence each; none where it does. It does its
// work when it is serving, its view has not expired, and the key of the current epoch opens packets.
func (s Stats) Problems() []string {
	var problems []string
	say := func(format string, values ...any) { problems = append(problems, fmt.Sprintf(format, values...)) }
	switch {
	case s.State == Leaving:
		say("The node is leaving: it is out of the directory, and sends what it still holds.")
	case s.View == nil:
		say("The node is starting: it has no view of the network yet.")
	case !s.Now.Before(s.View.Expires):
		say("The view of the network expired %v ago, and no newer one came from the directory.",
			s.Now.Sub(s.View.Expires).Round(time.Second))
	case s.View.Policy != nil && !s.Now.Before(s.View.Policy.Expires):
		say("The network's policy expired %v ago: nobody is trusted until whoever has the policy key has signed another.",
			s.Now.Sub(s.View.Policy.Expires).Round(time.Second))
	case s.State != Serving && s.View.Listed:
		say("The view of the network lists this node with other keys than it has now: packets for it are lost.")
	case s.State != Serving && s.View.Refusal != "":
		say("The network's policy refuses this node, and nobody sends it packets: %s.", s.View.Refusal)
	case s.State == Unlisted:
		say("The node is in the network no more: the view does not list it.")
	case s.State != Serving:
		say("The node is starting: the view of the network does not list it yet.")
	}
	if a := s.Attestation; a != nil && a.Failure != "" && (s.State != Serving || !s.Now.Before(a.Until)) {
		say("The node cannot show what it runs: %s.", a.Failure)
	}
	current := s.epochsByPlace()[1]
	switch {
	case current == nil:
		say("The node has no key for the current epoch.")
	case current.Failed:
		say("The replay set of the current key, of epoch %d, is full or cannot be written: all packets for this key are refused.",
			current.Number)
	}
	return problems
}
