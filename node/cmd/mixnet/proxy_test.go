package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/client"
	"sphinxmix.example/client/exit"
	"sphinxmix.example/node/nodetest/loopback"
	"sphinxmix.example/sphinx"
)

// TestProxyOfANetwork is a user's way: init, check, run before the network is there, use, stop.
func TestProxyOfANetwork(t *testing.T) {
	n := install(t, 4)
	for _, mix := range n.nodes {
		edit(t, mix.config, "[exit]\nenabled = true", "[exit]\n"+`allow = ["127.0.0.1"]`)
	}
	config, listen := filepath.Join(n.dir, "proxy", "proxy.toml"), loopback.Free(t)
	status, printed := result(t, n.access("init", "proxy", "--dir", filepath.Dir(config), "--listen", listen)...)
	require.Zero(t, status, printed)
	status, printed = result(t, "proxy", "--config", config, "--check")
	require.Zero(t, status, printed)
	require.Equal(t, "ok\n", printed)

	proxy := start(t, "proxy", "--config", config)
	proxy.says(t, "the proxy runs")
	by := through("socks5h://" + listen)
	_, err := by.Get("http://welcome.mix/")
	require.ErrorContains(t, err, "network unreachable", "at once, and not after a wait")

	_, mixes := n.startAll(t)
	proxy.says(t, "connected to the network")
	page := get(t, by, "http://welcome.mix/")
	id := regexp.MustCompile(`at the exit <span class="id">([0-9a-f]{24})</span>`).FindStringSubmatch(page)
	require.NotNil(t, id, page)
	require.Regexp(t, id[1], fmt.Sprint(n.nodes), "an exit says who it is, and knows no more")

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "from outside") }))
	defer server.Close()
	require.Equal(t, "from outside", get(t, by, server.URL))
	_, err = by.Get("http://10.0.0.1/")
	require.ErrorContains(t, err, "not allowed")

	// Operators see how much went through, and nothing of where.
	var metrics strings.Builder
	for _, mix := range n.nodes {
		answer, err := http.Get("http://" + mix.operator + "/metrics")
		require.NoError(t, err)
		_, err = io.Copy(&metrics, answer.Body)
		require.NoError(t, err)
		answer.Body.Close()
	}
	require.Regexp(t, `\nmixnet_exit_streams_opened_total [1-9]`, metrics.String())
	require.Regexp(t, `\nmixnet_exit_bytes_total\{direction="to_clients"\} [1-9]`, metrics.String())
	require.Regexp(t, `\nmixnet_exit_streams_refused_total\{reason="policy"\} 1\n`, metrics.String())
	require.NotContains(t, metrics.String(), "10.0.0.1")

	for _, mix := range mixes {
		mix.signal(t, syscall.SIGKILL)
		_, logged := mix.ends(t)
		require.NotContains(t, logged, ":"+portOf(server.URL))
	}
	proxy.says(t, "the gateway is lost; looking for another")

	proxy.signal(t, syscall.SIGTERM)
	status, printed = proxy.ends(t)
	require.Zero(t, status, printed)
	require.Contains(t, printed, "msg=stopped")
	require.NotContains(t, printed, "127.0.0.1:"+portOf(server.URL), "what programs want is in no log")
}

func portOf(url string) string { return url[strings.LastIndexByte(url, ':')+1:] }

// TestProxyInOneLine takes its network from flags or from a file, as 'mixnet send' does.
func TestProxyInOneLine(t *testing.T) {
	n := install(t, 4)
	for _, mix := range n.nodes {
		edit(t, mix.config, "[exit]\nenabled = true")
	}
	n.startAll(t)
	listen := loopback.Free(t)
	proxy := start(t, n.access("proxy", "--listen", listen)...)
	proxy.says(t, "Programs reach the network by the proxy at "+listen)
	require.Contains(t, get(t, through("socks5h://"+listen), "http://welcome.mix/"), "You came through a mix network")

	status, printed := result(t, n.access("proxy", "--listen", listen)...)
	require.Equal(t, 1, status)
	require.Regexp(t, `^mixnet: --listen `+listen+`: cannot be used: .*in use; .*another port.*\n$`, printed)

	proxy.signal(t, syscall.SIGINT)
	status, printed = proxy.ends(t)
	require.Zero(t, status, printed)
}

// TestProxyThatAsksForTooMuch of the network names the setting, when it has seen the network.
func TestProxyThatAsksForTooMuch(t *testing.T) {
	n := install(t, 0)
	start(t, "directory", "--config", n.directory).says(t, "the directory runs")
	status, printed := result(t, n.access("proxy", "--listen", "127.0.0.1:0")...)
	require.Equal(t, 1, status, printed)
	require.Regexp(t, `take 4 mixes, and it has 0: start more mixes, or wait [^()]*\n$`, printed)
	config := filepath.Join(n.dir, "proxy", "proxy.toml")
	status, printed = result(t, n.access("init", "proxy", "--dir", filepath.Dir(config), "--listen", "127.0.0.1:0")...)
	require.Zero(t, status, printed)
	edit(t, config, "hops = 6")
	status, printed = result(t, "proxy", "--config", config)
	require.Equal(t, 1, status, printed)
	require.Regexp(t, `(?m)^`+regexp.QuoteMeta(config)+`:\d+: hops: is 6, more than the 5 .*; give fewer$`, printed)
}

// TestProxySaysOnceThatTheNetworkIsGone, and once that it is back, and nothing of who wanted what.
func TestProxySaysOnceThatTheNetworkIsGone(t *testing.T) {
	var log output
	e := newEntrance(newProxySettings(), slog.New(slog.NewTextHandler(&log, nil)))
	lost := fmt.Errorf("%w: dial tcp: refused", client.ErrView)
	var outcome error
	e.open(func(context.Context, string, string) (net.Conn, error) { return nil, outcome }, nil)
	for _, outcome = range []error{nil, syscall.ECONNREFUSED, lost, syscall.ECONNREFUSED, lost, context.Canceled, nil, nil, lost, nil} {
		_, err := e.connect(t.Context(), "secret isolation", "secret.example.org:80")
		require.ErrorIs(t, err, outcome)
	}
	said, _ := log.now()
	require.Equal(t, 2, strings.Count(said, "no way through the network"), said)
	require.Equal(t, 2, strings.Count(said, "a way through the network again"), said)
	require.Equal(t, 4, strings.Count(said, "\n"))
	require.NotContains(t, said, "secret")
}

// TestProxyOfANetworkWithoutExits says how one is made.
func TestProxyOfANetworkWithoutExits(t *testing.T) {
	e := newEntrance(newProxySettings(), slog.New(slog.DiscardHandler))
	e.open(func(context.Context, string, string) (net.Conn, error) { return nil, client.ErrNoService }, nil)
	_, err := e.connect(t.Context(), "", "a.example.org:80")
	require.ErrorIs(t, err, client.ErrNoService)
	require.ErrorContains(t, err, "mixnet init node --exit")
}

// TestProxyWaitsForAsLongAsItsSettingsSay for a connection.
func TestProxyWaitsForAsLongAsItsSettingsSay(t *testing.T) {
	settings := newProxySettings()
	settings.timeout = 1
	e := newEntrance(settings, slog.New(slog.DiscardHandler))
	_, err := e.connect(t.Context(), "", "a.example.org:80")
	require.ErrorIs(t, err, syscall.ENETUNREACH, "there is no network yet")
	e.open(func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}, nil)
	_, err = e.connect(t.Context(), "", "a.example.org:80")
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// TestProxySaysThatItsGatewayIsLost within a second, and again that there is one, and tells nobody's address. Programs
// wait for 15 s at most, and are told that it is not their destination that failed.
func TestProxySaysThatItsGatewayIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log output
		said := func() string {
			synctest.Wait()
			text, _ := log.now()
			return text
		}
		var mu sync.Mutex
		var why error
		set := func(err error) {
			mu.Lock()
			defer mu.Unlock()
			why = err
		}
		e := newEntrance(newProxySettings(), slog.New(slog.NewTextHandler(&log, nil)))
		e.open(func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, fmt.Errorf("%w (%w: %w)", ctx.Err(), client.ErrGateway, syscall.ECONNREFUSED)
		}, func() error {
			mu.Lock()
			defer mu.Unlock()
			return why
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			e.watch(ctx)
		}()
		refused := func() time.Duration {
			began := time.Now()
			_, err := e.connect(t.Context(), "", "a.example.org:80")
			require.ErrorIs(t, err, syscall.ENETUNREACH)
			require.NotErrorIs(t, err, syscall.ECONNREFUSED)
			require.ErrorContains(t, err, "lost its gateway")
			return time.Since(began)
		}
		user := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 7}
		for round := range 2 {
			<-time.After(3 * time.Second)
			require.Equal(t, 2*round, strings.Count(said(), "\n"), said())
			set(fmt.Errorf("%w: %w", client.ErrGateway, &net.OpError{Op: "read", Net: "tcp", Source: user, Addr: user, Err: syscall.ECONNRESET}))
			<-time.After(time.Second)
			require.Equal(t, round+1, strings.Count(said(), `msg="the gateway is lost; looking for another" error="connection reset by peer"`), said())
			require.LessOrEqual(t, refused(), gatewayPatience)
			require.Zero(t, refused(), "who comes then is refused at once")
			set(nil)
			<-time.After(time.Second)
			require.Equal(t, round+1, strings.Count(said(), `msg="connected again"`), said())
		}
		require.Equal(t, newProxySettings().timeout, refused(), "with a gateway, they wait")
		require.NotContains(t, said(), "192.0.2.7")
		cancel()
		<-ended
	})
}

// TestExitMetrics have names that Prometheus likes, all labels from the start, and what the exit says.
func TestExitMetrics(t *testing.T) {
	e, err := exit.NewTCP(exit.Config{Params: sphinx.Params{MaxHops: 5, PayloadSize: 2048}})
	require.NoError(t, err)
	defer e.Close()
	fresh := e.Stats()
	require.NotEmpty(t, fresh.Refused)
	require.NotEmpty(t, fresh.Ended)
	s := fresh
	s.Sessions, s.Streams, s.Memory, s.Opened, s.FromClients, s.ToClients = 1, 2, 3, 4, 5, 6
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(newExitMetrics(func() exit.Stats { return s }))
	families, err := registry.Gather()
	require.NoError(t, err)
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
	values := make(map[string]float64)
	for _, family := range families {
		for _, metric := range family.Metric {
			name := family.GetName()
			for _, label := range metric.Label {
				name += " " + label.GetValue()
			}
			values[name] = metric.Gauge.GetValue() + metric.Counter.GetValue()
		}
	}
	want := map[string]float64{
		"mixnet_exit_sessions": 1, "mixnet_exit_streams": 2, "mixnet_exit_memory_bytes": 3, "mixnet_exit_streams_opened_total": 4,
		"mixnet_exit_bytes_total from_clients": 5, "mixnet_exit_bytes_total to_clients": 6,
	}
	for reason := range fresh.Refused {
		want["mixnet_exit_streams_refused_total "+reason] = 0
	}
	for reason := range fresh.Ended {
		want["mixnet_exit_sessions_ended_total "+reason] = 0
	}
	require.Equal(t, want, values)
}
