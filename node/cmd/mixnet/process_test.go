package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/nodetest/loopback"
)

// asProgram makes the test's own binary be the program, so that tests run what users do, as processes.
const asProgram = "MIXNET_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// patience is how long a test waits for what must come, on machines that are busy, too.
const patience = 2 * time.Minute

// process is a running program.
type process struct {
	cmd    *exec.Cmd
	out    output
	exited chan struct{} // closed when it has ended
	err    error         // of Wait; read after exited
}

// output keeps what a process prints on both its outputs.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed at the next write
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
	return o.text.Write(p)
}

// now returns what there is, and what is closed when there is more.
func (o *output) now() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed == nil {
		o.changed = make(chan struct{})
	}
	return o.text.String(), o.changed
}

// start starts the program. It is killed when the test ends.
func start(t *testing.T, arguments ...string) *process {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	return startCommand(t, exec.Command(self, arguments...))
}

// startFull starts the program on a disk without any space: no file may grow.
func startFull(t *testing.T, arguments ...string) *process {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	return startCommand(t, exec.Command("/bin/sh", append([]string{"-c", `ulimit -f 0 && exec "$0" "$@"`, self}, arguments...)...))
}

func startCommand(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, exited: make(chan struct{})}
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Stdout, cmd.Stderr = &p.out, &p.out
	require.NoError(t, cmd.Start())
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-p.exited
		if t.Failed() {
			text, _ := p.out.now()
			t.Logf("%s printed:\n%s", strings.Join(cmd.Args[1:], " "), text)
		}
	})
	return p
}

// says waits until the process has printed text.
func (p *process) says(t *testing.T, text string) string {
	t.Helper()
	deadline := time.After(patience)
	for {
		printed, more := p.out.now()
		if strings.Contains(printed, text) {
			return printed
		}
		select {
		case <-more:
		case <-p.exited:
			printed, _ := p.out.now()
			require.Contains(t, printed, text, "the process ended without it")
			return printed
		case <-deadline:
			require.Contains(t, printed, text, "the process does not say it")
		}
	}
}

// ends waits for the end and returns the exit status, -1 for a signal, and all that was printed.
func (p *process) ends(t *testing.T) (int, string) {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		require.Fail(t, "the process does not end")
	}
	printed, _ := p.out.now()
	return p.cmd.ProcessState.ExitCode(), printed
}

func (p *process) signal(t *testing.T, signal syscall.Signal) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(signal))
}

// result runs the program to its end.
func result(t *testing.T, arguments ...string) (int, string) {
	t.Helper()
	return start(t, arguments...).ends(t)
}

// succeeds runs a command until it does, which it must within the test's patience.
func succeeds(t *testing.T, arguments ...string) string {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		status, printed := result(t, arguments...)
		if status == 0 {
			return printed
		}
		require.True(t, time.Now().Before(deadline), "%s: %s", strings.Join(arguments, " "), printed)
	}
}

// calmEpoch returns a length of epochs, of 24 h or a little less, with which no epoch begins within the next two hours.
func calmEpoch() string {
	now := time.Now()
	for hours := 24; ; hours-- {
		network := directory.Network{Epoch: time.Duration(hours) * time.Hour}
		if network.EpochStart(network.EpochAt(now)+1).Sub(now) > 2*time.Hour {
			return fmt.Sprintf("%dh", hours)
		}
	}
}

// edit changes settings in a configuration that init has made: each line, commented out or not, becomes the given one.
// Those whose name is not unique are named with the line of their section before them.
func edit(t *testing.T, file string, lines ...string) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, line := range lines {
		section, line, found := strings.Cut(line, "\n")
		if !found {
			section, line = "", section
		}
		name, _, _ := strings.Cut(line, " = ")
		at := 0
		if section != "" {
			at = bytes.Index(text, []byte("\n"+section+"\n"))
			require.GreaterOrEqual(t, at, 0, section)
		}
		setting := regexp.MustCompile(`(?m)^#?` + name + ` = .*$`).FindIndex(text[at:])
		require.NotNil(t, setting, name)
		text = append(append(append([]byte(nil), text[:at+setting[0]]...), line...), text[at+setting[1]:]...)
	}
	require.NoError(t, os.WriteFile(file, text, 0o600))
}

// installation is a network of processes, as operators would install it.
type installation struct {
	dir       string
	url, key  string // of the directory
	policyKey string // of its policy; empty where it has none
	directory string // its configuration
	nodes     []installed
}

// installed is a mix.
type installed struct{ config, id, address, operator string }

// install makes the configurations of a network.
func install(t *testing.T, nodes int) *installation {
	t.Helper()
	listen := loopback.Free(t)
	n := &installation{dir: t.TempDir(), url: "http://" + listen}
	n.directory = filepath.Join(n.dir, "directory", "directory.toml")
	status, printed := result(t, "init", "directory", "--dir", filepath.Dir(n.directory), "--listen", listen, "--url", n.url)
	require.Zero(t, status, printed)
	found := regexp.MustCompile(`key = "([0-9a-f]{64})"`).FindStringSubmatch(printed)
	require.NotNil(t, found, printed)
	n.key = found[1]
	require.Contains(t, printed, `urls = ["`+n.url+`"]`)
	edit(t, n.directory, `epoch = "`+calmEpoch()+`"`)
	for i := range nodes {
		node := installed{
			config:   filepath.Join(n.dir, "node"+string(rune('1'+i)), "node.toml"),
			address:  loopback.Free(t),
			operator: loopback.Free(t),
		}
		status, printed := result(t, "init", "node", "--dir", filepath.Dir(node.config), "--directory", n.url, "--key", n.key, "--address", node.address, "--listen", node.address, "--operator", node.operator)
		require.Zero(t, status, printed)
		found := regexp.MustCompile(`of node ([0-9a-f]{24})\.`).FindStringSubmatch(printed)
		require.NotNil(t, found, printed)
		node.id = found[1]
		edit(t, node.config, `refresh = "100ms"`, `size = 2`, `interval = "20ms"`, `keep = true`, "[limits]\n"+`links_per_address = 1000`)
		n.nodes = append(n.nodes, node)
	}
	return n
}

// access returns the flags by which clients find the network, after a command's arguments.
func (n *installation) access(arguments ...string) []string {
	arguments = append(arguments, "--directory", n.url, "--key", n.key)
	if n.policyKey != "" {
		arguments = append(arguments, "--policy-key", n.policyKey)
	}
	return arguments
}

// startAll starts the network and waits until every mix is well and knows every other.
func (n *installation) startAll(t *testing.T) (server *process, mixes []*process) {
	t.Helper()
	server = start(t, "directory", "--config", n.directory)
	server.says(t, "the directory runs")
	for _, node := range n.nodes {
		mixes = append(mixes, start(t, "node", "--config", node.config))
	}
	for i, node := range n.nodes {
		mixes[i].says(t, "the mix runs")
		n.awaitMixes(t, node, len(n.nodes))
	}
	return server, mixes
}

// awaitMixes waits until a mix is well and its view has that many mixes.
func (n *installation) awaitMixes(t *testing.T, node installed, mixes int) {
	t.Helper()
	awaitStatus(t, node, 0, fmt.Sprintf(`(?m)^view .* %d mixes`, mixes))
}

// awaitStatus waits until a mix shows what a pattern describes, with that exit status, and returns all that it shows
// then.
func awaitStatus(t *testing.T, node installed, want int, pattern string) string {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		status, printed := result(t, "status", "--config", node.config)
		if status == want && regexp.MustCompile(pattern).MatchString(printed) {
			return printed
		}
		require.True(t, time.Now().Before(deadline), "%d, must be %d with %s: %s", status, want, pattern, printed)
	}
}
