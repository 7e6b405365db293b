package node

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/directory"
)

// operatorStats are those of a node in good health.
func operatorStats() Stats {
	now := time.Date(2026, 7, 1, 12, 30, 0, 0, time.UTC)
	hour := now.Truncate(time.Hour)
	return Stats{
		Node: directory.NodeID{0xab, 0xcd}, Address: "mix.example.org:7400", Version: "v1.2.3", Strategy: "pool",
		State: Serving, Started: now.Add(-24 * time.Hour), Now: now,
		Counts: Counts{
			Received: 1000, Sent: 600, Served: 200, Delivered: 100, Batches: 50, Covered: 30,
			Dropped:   map[Drop]uint64{DropMAC: 7, DropPeer: 2},
			LoopsSent: 40, LoopsReturned: 37, LoopsLost: 2, DropsSent: 80,
		},
		Held: 12, Memory: 1 << 20,
		View:        &ViewStats{Version: 9, Published: now.Add(-10 * time.Second), Expires: now.Add(time.Hour), Mixes: 6, Listed: true, Refused: 2, Policy: &PolicyStats{Version: 3, Expires: now.Add(240 * time.Hour)}},
		Attestation: &AttestationStats{Kind: "tpm", Until: now.Add(24 * time.Hour), LogUsed: 0.25},
		Epochs: []EpochStats{
			{Number: 11, Begins: hour.Add(-time.Hour), Ends: hour, Tags: 900, MaxTags: 1000},
			{Number: 12, Begins: hour, Ends: hour.Add(time.Hour), Current: true, Tags: 100, MaxTags: 1000},
			{Number: 13, Begins: hour.Add(time.Hour), Ends: hour.Add(2 * time.Hour), MaxTags: 1000},
		},
		Peers: []PeerStats{{Node: directory.NodeID{0x12, 0x34}, Address: "203.0.113.77:7400", Connected: true, Queue: 3, Sent: 500, Lost: 2}},
		Links: LinkStats{Mixes: 5, Others: 8},
		History: []Sample{
			{At: now.Add(-2 * time.Minute), Received: 9, Batches: 1, MinSenders: 1, MaxSenders: 99, MeanSenders: 50},
			{At: now.Add(-20 * time.Second), Received: 9, Batches: 1, MinSenders: 6, MaxSenders: 6, MeanSenders: 6},
			{At: now.Add(-10 * time.Second), Received: 9, Batches: 3, MinSenders: 4, MaxSenders: 12, MeanSenders: 10},
			{At: now},
		},
	}
}

// ask sends one request to the operator's port of a node with those stats.
func ask(t *testing.T, s Stats, method, host, path string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequest(method, "http://localhost"+path, nil)
	request.Host = host
	answer := httptest.NewRecorder()
	NewOperator(func() Stats { return s }).ServeHTTP(answer, request)
	return answer
}

var operatorPaths = []string{"/", "/stats", "/metrics", "/healthz"}

// TestOperatorKnowsOnlyThisMachine: a web page whose name points to this machine must not read what is there.
func TestOperatorKnowsOnlyThisMachine(t *testing.T) {
	for _, path := range operatorPaths {
		for _, host := range []string{"localhost", "localhost:9090", "LocalHost:1", "127.0.0.1", "127.0.0.1:9090", "127.8.9.10", "[::1]", "[::1]:9090", "[::ffff:127.0.0.1]:80"} {
			require.Equal(t, http.StatusOK, ask(t, operatorStats(), "GET", host, path).Code, "%s of %s", path, host)
		}
		for _, host := range []string{
			"", "attacker.example", "attacker.example:9090", "localhost.attacker.example", "127.0.0.1.attacker.example:9090", "attacker.example:localhost",
			"192.0.2.1:9090", "0.0.0.0:9090", "[::]:9090", "10.0.0.1", "127.1", "2130706433", "[fe80::1]", "[::1", "::1]:", "[::1]x", "localhost:80:80", "user@localhost", "notlocalhost",
		} {
			answer := ask(t, operatorStats(), "GET", host, path)
			require.Equal(t, http.StatusMisdirectedRequest, answer.Code, "%s of %q", path, host)
			require.NotContains(t, answer.Body.String(), "abcd", "of %q", host)
		}
	}
}

func TestOperatorChangesNothing(t *testing.T) {
	for _, path := range operatorPaths {
		require.Equal(t, http.StatusOK, ask(t, operatorStats(), "HEAD", "localhost", path).Code, path)
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"} {
			require.Equal(t, http.StatusMethodNotAllowed, ask(t, operatorStats(), method, "localhost", path).Code, "%s %s", method, path)
		}
	}
	for _, path := range []string{"/favicon.ico", "/stats/", "/metrics/x", "/debug/pprof/", "/page.js"} {
		require.Equal(t, http.StatusNotFound, ask(t, operatorStats(), "GET", "localhost", path).Code, path)
	}
}

// TestHealth: what is wrong is said, and nothing else is.
func TestHealth(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Stats)
		want   []string // in the answer, line by line; none where all is well
	}{
		{"well", func(*Stats) {}, nil},
		{"before it has anything", func(s *Stats) { *s = Stats{State: Starting, Now: s.Now} }, []string{"starting: it has no view", "no key"}},
		{"not listed yet", func(s *Stats) { s.State, s.View.Listed = Starting, false }, []string{"starting: the view of the network does not list it"}},
		{"listed with keys that are lost", func(s *Stats) { s.State = Starting }, []string{"lists this node with other keys than it has now: packets for it are lost"}},
		{"listed no more", func(s *Stats) { s.State, s.View.Listed = Unlisted, false }, []string{"in the network no more: the view does not list it"}},
		{"listed no more, and why", func(s *Stats) {
			s.State, s.View.Listed = Unlisted, false
			s.Attestation.Failure = "the directory refuses it: revoked"
		}, []string{"no more", "the directory refuses it: revoked."}},
		{"refused by what it sees itself", func(s *Stats) { s.State, s.View.Listed, s.View.Refusal = Unlisted, false, "expired" }, []string{
			"policy refuses this node, and nobody sends it packets: expired.",
		}},
		{"leaving", func(s *Stats) { s.State = Leaving }, []string{"leaving"}},
		{"the view just expired", func(s *Stats) { s.View.Expires = s.Now }, []string{"view of the network expired 0s ago"}},
		{"the view expired, so that nothing lists it", func(s *Stats) { s.State, s.View.Expires = Starting, s.Now.Add(-90*time.Second) }, []string{"expired 1m30s ago"}},
		{"the view is about to expire", func(s *Stats) { s.View.Expires = s.Now.Add(time.Nanosecond) }, nil},
		{"the replay set failed", func(s *Stats) { s.Epochs[1].Failed = true }, []string{"replay set of the current key, of epoch 12,"}},
		{"that of another epoch failed", func(s *Stats) { s.Epochs[0].Failed, s.Epochs[2].Failed = true, true }, nil},
		{"no key for this epoch", func(s *Stats) { s.Epochs = slices.Delete(s.Epochs, 1, 2) }, []string{"no key for the current epoch"}},
		{"the policy just expired", func(s *Stats) { s.State, s.View.Policy.Expires = Starting, s.Now }, []string{"policy expired 0s ago"}},
		{"no evidence", func(s *Stats) { s.Attestation.Until, s.Attestation.Failure = s.Now, "no TPM answers" }, []string{"cannot show what it runs: no TPM answers."}},
		{"no newer evidence", func(s *Stats) { s.Attestation.Failure = "no TPM answers" }, nil},
		{"no evidence yet", func(s *Stats) { s.State, s.View.Listed, s.Attestation.Failure = Starting, false, "no TPM answers" }, []string{"does not list it", "no TPM answers"}},
		{"without attestation and policy", func(s *Stats) { s.Attestation, s.View.Policy = nil, nil }, nil},
		{"two things", func(s *Stats) { s.State, s.Epochs = Leaving, nil }, []string{"leaving", "no key"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := operatorStats()
			test.change(&s)
			answer := ask(t, s, "GET", "localhost:9090", "/healthz")
			if test.want == nil {
				require.Equal(t, http.StatusOK, answer.Code)
				require.Equal(t, "ok\n", answer.Body.String())
				return
			}
			require.Equal(t, http.StatusServiceUnavailable, answer.Code)
			lines := strings.Split(strings.TrimSuffix(answer.Body.String(), "\n"), "\n")
			require.Len(t, lines, len(test.want), "%q", lines)
			for i, want := range test.want {
				require.Contains(t, lines[i], want)
			}
		})
	}
}

// TestStatsSurviveJSON, whatever is in them: what `mixnet status` reads is what the node said.
func TestStatsSurviveJSON(t *testing.T) {
	var full Stats
	fill(t, reflect.ValueOf(&full).Elem(), new(int64))
	for _, s := range []Stats{full, operatorStats(), {}} {
		answer := ask(t, s, "GET", "localhost", "/stats")
		require.Equal(t, http.StatusOK, answer.Code)
		require.Equal(t, "application/json", answer.Header().Get("Content-Type"))
		var read Stats
		require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &read))
		require.Equal(t, s, read)
	}
}

// TestStatsNames: other programs read these.
func TestStatsNames(t *testing.T) {
	var members map[string]any
	require.NoError(t, json.Unmarshal(ask(t, operatorStats(), "GET", "localhost", "/stats").Body.Bytes(), &members))
	require.Equal(t, []string{
		"Address", "Attestation.Failure", "Attestation.Kind", "Attestation.LogUsed", "Attestation.Until", "Batches", "Covered", "Delivered", "Dropped.mac", "Dropped.peer", "DropsSent",
		"Epochs.Begins", "Epochs.Current", "Epochs.Ends", "Epochs.Failed", "Epochs.MaxTags", "Epochs.Number", "Epochs.Tags",
		"Held", "History.At", "History.Batches", "History.Dropped", "History.LoopsLost", "History.LoopsSent", "History.MaxSenders",
		"History.MeanSenders", "History.MinSenders", "History.Received", "History.Sent", "Links.Mixes", "Links.Others",
		"LoopsLost", "LoopsReturned", "LoopsSent", "Memory", "Node", "Now",
		"Peers.Address", "Peers.Connected", "Peers.Lost", "Peers.Node", "Peers.Queue", "Peers.Sent",
		"Received", "Sent", "Served", "Started", "State", "Strategy", "Version",
		"View.Expires", "View.Listed", "View.Mixes", "View.Policy.Expires", "View.Policy.Version", "View.Published", "View.Refusal", "View.Refused", "View.Version",
	}, names(members))
	require.Equal(t, "abcd00000000000000000000", members["Node"])
	require.Equal(t, "2026-07-01T12:30:00Z", members["Now"])
	require.Equal(t, "serving", members["State"])
}

func TestStatsOfAnotherProgram(t *testing.T) {
	for _, text := range []string{
		`[]`, `{"Node":"abcd"}`, `{"Node":"zz0000000000000000000000"}`, `{"Node":[1,2,3]}`, `{"Dropped":{"bad_luck":1}}`, `{"Dropped":{"4":1}}`,
		`{"Peers":[{"Node":""}]}`, `{"Received":-1}`, `{"Now":"noon"}`,
	} {
		require.Error(t, json.Unmarshal([]byte(text), new(Stats)), text)
	}
	_, err := json.Marshal(map[Drop]int{drops: 1})
	require.Error(t, err, "a reason that is none")
	require.NoError(t, json.Unmarshal([]byte(`{"Node":"abcd00000000000000000000","Later":{"more":1}}`), new(Stats)), "a newer program")
}

// fill sets everything in v to something of its own.
func fill(t *testing.T, v reflect.Value, next *int64) {
	t.Helper()
	*next++
	switch at := v.Addr().Interface().(type) {
	case *time.Time:
		*at = time.Unix(*next, *next).UTC()
		return
	case *directory.NodeID:
		at[11] = byte(*next)
		return
	case *map[Drop]uint64:
		*at = make(map[Drop]uint64)
		for reason := range drops {
			(*at)[reason] = uint64(*next)
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), next)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0), next)
		fill(t, v.Index(1), next)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), next)
	case reflect.String:
		v.SetString(strings.Repeat("x", int(*next)))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(*next)
	case reflect.Uint64:
		v.SetUint(uint64(*next))
	case reflect.Float64:
		v.SetFloat(float64(*next) + 0.5)
	default:
		t.Fatalf("no value for a %v", v.Type())
	}
}

// names returns the names of all members, each after those that it is in, sorted and once.
func names(value any) []string {
	var all []string
	switch value := value.(type) {
	case map[string]any:
		for name, member := range value {
			within := names(member)
			if within == nil {
				all = append(all, name)
			}
			for _, inner := range within {
				all = append(all, name+"."+inner)
			}
		}
	case []any:
		for _, element := range value {
			all = append(all, names(element)...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func TestEveryDropIsExplained(t *testing.T) {
	page := ask(t, operatorStats(), "GET", "localhost", "/").Body.String()
	meanings := make(map[string]Drop)
	for reason := range drops {
		meaning, advice := reason.Explain()
		for _, text := range []string{meaning, advice} {
			require.Regexp(t, `^[A-Z].*\.$`, text, reason)
		}
		other, known := meanings[meaning]
		require.False(t, known, "%v has the words of %v", reason, other)
		meanings[meaning] = reason
		require.Contains(t, page, `<tr data-reason="`+reason.String()+`">`)
	}
	require.NotEmpty(t, meanings)
}

// TestPageStandsAlone: it loads nothing, runs nothing but its own script, and shows what the node says as text.
func TestPageStandsAlone(t *testing.T) {
	answer := ask(t, operatorStats(), "GET", "localhost", "/")
	require.Equal(t, "text/html; charset=utf-8", answer.Header().Get("Content-Type"))
	page := answer.Body.String()

	for _, reference := range regexp.MustCompile(`(?i)\s(?:src|href|action|srcset|data|poster|background)\s*=\s*"([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if !strings.HasPrefix(reference[1], "data:image/svg+xml,") {
			require.Contains(t, operatorPaths, reference[1])
		}
	}
	bare := strings.NewReplacer("http://www.w3.org/2000/svg", "").Replace(page) // the name of a namespace, which nobody asks for
	require.NotRegexp(t, `(?i)https?:|url\(|@import|<iframe|<object|<embed|<base|<form`, bare)
	require.NotRegexp(t, `(?i)<[^>]+\s(on[a-z]+|style)\s*=`, page, "no script or style in attributes")
	require.NotRegexp(t, `innerHTML|outerHTML|insertAdjacentHTML|document\.write|setHTML|srcdoc|DOMParser|\beval\b|\bFunction\b|createContextualFragment|import\(`, page)

	policy := answer.Header().Get("Content-Security-Policy")
	directives := make(map[string]string)
	for _, directive := range strings.Split(policy, "; ") {
		name, value, _ := strings.Cut(directive, " ")
		directives[name] = value
	}
	require.Equal(t, map[string]string{
		"default-src": "'none'", "connect-src": "'self'", "img-src": "data:",
		"script-src": hashOf(t, page, "script"), "style-src": hashOf(t, page, "style"),
		"base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'",
		"require-trusted-types-for": "'script'", "trusted-types": "'none'",
	}, directives)
}

// hashOf returns what a policy calls the one element of that name.
func hashOf(t *testing.T, page, name string) string {
	t.Helper()
	elements := regexp.MustCompile(`(?s)<`+name+`>(.*?)</`+name+`>`).FindAllStringSubmatch(page, -1)
	require.Len(t, elements, 1)
	sum := sha256.Sum256([]byte(elements[0][1]))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// TestPageKnowsItsParts: the script finds the elements that it fills, and the members of Stats that it shows.
func TestPageKnowsItsParts(t *testing.T) {
	for _, id := range regexp.MustCompile(`\b(?:at|tile)\("([^"]+)"`).FindAllStringSubmatch(pageScript, -1) {
		require.Contains(t, pageHTML, `id="`+id[1]+`"`)
	}
	types := map[string]reflect.Type{
		"stats": reflect.TypeFor[Stats](), "s": reflect.TypeFor[Sample](), "epoch": reflect.TypeFor[EpochStats](),
		"view": reflect.TypeFor[ViewStats](), "peer": reflect.TypeFor[PeerStats](), "p": reflect.TypeFor[PeerStats](),
		"evidence": reflect.TypeFor[AttestationStats](), "policy": reflect.TypeFor[PolicyStats](),
	}
	found := make(map[string]bool)
	for _, read := range regexp.MustCompile(`\b(\w+)\??\.([A-Z]\w+)`).FindAllStringSubmatch(pageScript, -1) {
		if of, ok := types[read[1]]; ok {
			_, known := of.FieldByName(read[2])
			require.True(t, known, read[0])
			found[read[1]] = true
		}
	}
	require.Len(t, found, len(types))
}

func TestOperatorHeaders(t *testing.T) {
	for _, path := range append(slices.Clone(operatorPaths), "/none") {
		header := ask(t, operatorStats(), "GET", "localhost", path).Header()
		require.Equal(t, "no-store", header.Get("Cache-Control"), path)
		require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"), path)
		require.Equal(t, "no-referrer", header.Get("Referrer-Policy"), path)
		require.Equal(t, "same-origin", header.Get("Cross-Origin-Resource-Policy"), path)
		require.Contains(t, header.Get("Content-Security-Policy"), "default-src 'none'", path)
		require.Empty(t, header.Get("Access-Control-Allow-Origin"), path)
	}
}

func TestListenOperatorOnlyOnLoopback(t *testing.T) {
	for _, address := range []string{":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:0", "mix.example.org:0", "localhost.example.org:0"} {
		require.ErrorIs(t, CheckOperator(address), ErrNotLoopback, address)
		_, err := ListenOperator(address)
		require.ErrorIs(t, err, ErrNotLoopback, address)
	}
	_, err := ListenOperator("localhost")
	require.Error(t, err, "without a port")
	for _, address := range []string{"127.0.0.1:0", "localhost:0", "LOCALHOST:0"} {
		require.NoError(t, CheckOperator(address), address)
		listener, err := ListenOperator(address)
		require.NoError(t, err, address)
		require.True(t, listener.Addr().(*net.TCPAddr).IP.IsLoopback())
		require.NoError(t, listener.Close())
	}
}

// TestOperatorServer: it answers over TCP, takes no large headers, and waits for nobody for ever.
func TestOperatorServer(t *testing.T) {
	listener, err := ListenOperator("127.0.0.1:0")
	require.NoError(t, err)
	server := OperatorServer(operatorStats, nil)
	require.Positive(t, server.ReadTimeout)
	require.Positive(t, server.WriteTimeout)
	require.Positive(t, server.IdleTimeout)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	url := "http://" + listener.Addr().String()

	answer, err := http.Get(url + "/stats")
	require.NoError(t, err)
	var read Stats
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&read))
	require.NoError(t, answer.Body.Close())
	require.Equal(t, operatorStats(), read)

	request, err := http.NewRequest("GET", url, nil)
	require.NoError(t, err)
	request.Header.Set("X-Long", strings.Repeat("x", 64<<10))
	answer, err = http.DefaultClient.Do(request)
	require.NoError(t, err)
	_, _ = io.Copy(io.Discard, answer.Body)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, answer.StatusCode)

	require.NoError(t, server.Close())
	require.ErrorIs(t, <-ended, http.ErrServerClosed)
	http.DefaultClient.CloseIdleConnections()
}
