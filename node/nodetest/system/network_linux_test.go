package system_test

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
)

// plan is what a network is to be like.
type plan struct {
	nodes     int
	directory settings             // of the directory
	node      func(i int) settings // of each node; none if nil
}

// network is a directory and its nodes, each of which is a process.
type network struct {
	t         *testing.T
	folder    string
	number    int // among the networks of this process, from 0
	port      int // of everything, each at an address of its own
	key       ed25519.PublicKey
	directory *process
	nodes     []*mix
}

// mix is a node of a network.
type mix struct {
	*process
	network  *network
	config   string // file
	address  string
	operator string // address
	id       directory.NodeID
	identity ed25519.PublicKey
}

var networks atomic.Int32 // that were made

// start starts a network and waits until its nodes know each other.
func start(t *testing.T, p plan) *network {
	t.Helper()
	skipIfLeft(t)
	n := &network{t: t, folder: t.TempDir(), number: int(networks.Add(1) - 1)}
	n.port = freePort(t)
	at := fmt.Sprintf("%s:%d", n.host(0), n.port)
	config, said := initialize(t, "directory", filepath.Join(n.folder, "directory"), p.directory, "--listen", at, "--url", "http://"+at)
	key := regexp.MustCompile(`key = "([0-9a-f]{64})"`).FindStringSubmatch(said)
	require.NotNil(t, key, said)
	n.key, _ = hex.DecodeString(key[1])
	n.directory = newProcess(t, "directory", n.folder)
	n.directory.start(exec.Command(mixnet, "directory", "--config", config))
	for i := range p.nodes {
		var s settings
		if p.node != nil {
			s = p.node(i)
		}
		n.nodes = append(n.nodes, n.newMix(i, s))
	}
	for _, m := range n.nodes {
		m.start()
	}
	n.settle(p.nodes)
	view := n.view()
	for _, m := range n.nodes {
		for _, d := range view.Nodes {
			if d.Address == m.address {
				m.identity, m.id = d.Identity, d.ID()
			}
		}
		require.NotNil(t, m.identity)
	}
	return n
}

// freePort returns a port that is free at all addresses of this machine, as is the next, and that systems give to no
// connection.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 20000 + rand.IntN(12000)
		if isFree(t, port) && isFree(t, port+1) {
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

func isFree(t *testing.T, port int) bool {
	t.Helper()
	listener, err := net.Listen("tcp", fmt.Sprintf("0.0.0.0:%d", port))
	if err == nil {
		require.NoError(t, listener.Close())
	}
	return err == nil
}

// host returns a loopback address that no other network has while this one runs: 0 is the directory's, and the nodes'
// begin with firstNode.
func (n *network) host(i int) string {
	return fmt.Sprintf("127.%d.%d.%d", 1+os.Getpid()%250, 2*(n.number%128), 1+i)
}

const firstNode = 10

// sender returns a loopback address for a client, from 0 to 249.
func (n *network) sender(i int) string {
	return fmt.Sprintf("127.%d.%d.%d", 1+os.Getpid()%250, 2*(n.number%128)+1, 1+i)
}

// url is where the directory is.
func (n *network) url() string { return fmt.Sprintf("http://%s:%d", n.host(0), n.port) }

// client returns what asks the directory.
func (n *network) client() *directory.Client {
	return &directory.Client{URLs: []string{n.url()}, Key: n.key}
}

// view returns the view of the network.
func (n *network) view() *directory.View {
	n.t.Helper()
	view, err := n.client().Fetch(n.t.Context())
	require.NoError(n.t, err)
	return view
}

// newMix makes the configuration of node i, which is complete.
func (n *network) newMix(i int, s settings) *mix {
	n.t.Helper()
	m := n.prepareMix(i, s)
	require.Equal(n.t, "ok\n", run(n.t, "node", "--config", m.config, "--check"))
	return m
}

// prepareMix makes the configuration of node i, with what more flags of 'mixnet init node' say.
func (n *network) prepareMix(i int, s settings, more ...string) *mix {
	n.t.Helper()
	name := fmt.Sprintf("node%d", i)
	m := &mix{process: newProcess(n.t, name, n.folder), network: n}
	m.address = fmt.Sprintf("%s:%d", n.host(firstNode+i), n.port)
	m.operator = fmt.Sprintf("%s:%d", n.host(firstNode+i), n.port+1)
	all := settings{"operator.listen": fmt.Sprintf("%q", m.operator), "refresh": `"1s"`}
	for key, value := range s {
		all[key] = value
	}
	m.config, _ = prepare(n.t, "node", filepath.Join(n.folder, name), all, append(more,
		"--directory", n.url(), "--key", hex.EncodeToString(n.key), "--address", m.address, "--listen", m.address)...)
	return m
}

func (m *mix) start() {
	m.t.Helper()
	m.process.start(exec.Command(mixnet, "node", "--config", m.config))
}

// crashAndStart ends the node as a crash does, and starts it anew.
func (m *mix) crashAndStart() {
	m.t.Helper()
	m.kill()
	m.start()
}

// stats asks the node how it is.
func (m *mix) stats() (node.Stats, error) {
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + m.operator + "/stats")
	if err != nil {
		return node.Stats{}, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return node.Stats{}, err
	}
	var s node.Stats
	return s, json.Unmarshal(text, &s)
}

// mustStats is stats of a node that must be there.
func (m *mix) mustStats() node.Stats {
	m.t.Helper()
	s, err := m.stats()
	require.NoError(m.t, err, m.name)
	return s
}

// serves reports whether the node serves in a network of that many mixes.
func (m *mix) serves(mixes int) bool {
	s, err := m.stats()
	return err == nil && s.State == node.Serving && s.View.Mixes == mixes
}

// settle waits until all nodes serve in a network of that many mixes.
func (n *network) settle(mixes int) {
	n.t.Helper()
	for _, m := range n.nodes {
		await(n.t, m.name+" serves", func() bool { return !m.runs() || m.serves(mixes) })
		require.True(n.t, m.runs(), "%s ended", m.name)
	}
}

// counts adds up what all nodes have counted that run.
func (n *network) counts() node.Counts {
	n.t.Helper()
	var sum node.Counts
	for _, m := range n.nodes {
		if m.runs() {
			sum.Add(m.mustStats().Counts)
		}
	}
	return sum
}
