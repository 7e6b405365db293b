package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node"
)

// TestFromNothingToANetwork is an operator's way: init, check, run, look, stop one mix and start it again.
func TestFromNothingToANetwork(t *testing.T) {
	n := install(t, 4)
	for _, check := range [][]string{{"directory", "--config", n.directory, "--check"}, {"node", "--config", n.nodes[0].config, "--check"}} {
		status, printed := result(t, check...)
		require.Zero(t, status, printed)
		require.Equal(t, "ok\n", printed)
	}
	_, mixes := n.startAll(t)

	status, printed := result(t, n.access("send", "hello there")...)
	require.Zero(t, status, printed)
	require.True(t, strings.HasPrefix(printed, "hello there"), printed)
	via := strings.Join([]string{n.nodes[3].id, n.nodes[1].id, n.nodes[0].id}, ",")
	status, printed = result(t, n.access("ping", "-n", "2", "--via", via)...)
	require.Zero(t, status, printed)
	require.Contains(t, printed, "2 of 2 came back")

	printed = succeeds(t, "status", "--config", n.nodes[0].config)
	for _, line := range []string{
		`node +` + n.nodes[0].id + ` at ` + n.nodes[0].address, `state +serving, up for `, `epoch +\d+ \(\d+h\d+m\d+s left\): \d+ of 4194304 tags`,
		`view .*4 mixes`, `packets .*/s in`, `anonymity +\d+ to \d+ senders, \d\.\d on average, in \d+ batches`, `dropped +nothing`, `links +from \d mixes`, `peers +\d of \d connected`,
	} {
		require.Regexp(t, `(?m)^`+line, printed)
	}
	before := tags(t, n.nodes[0])
	require.NotZero(t, before)

	mixes[0].signal(t, syscall.SIGTERM)
	status, printed = mixes[0].ends(t)
	require.Zero(t, status, printed)
	require.Contains(t, printed, "leaving the network")
	require.Contains(t, printed, "stopped")
	require.NotContains(t, listing(t, n), n.nodes[0].id, "it has left the directory")
	for i, mix := range mixes {
		said, _ := mix.out.now()
		requireNoStranger(t, n, said, i)
	}

	start(t, "node", "--config", n.nodes[0].config).says(t, "the mix runs")
	n.awaitMixes(t, n.nodes[0], 4)
	// A message that was sent once more may have come late, but what was known is.
	require.GreaterOrEqual(t, tags(t, n.nodes[0]), before, "it goes on with its keys, and knows what they have opened")
	succeeds(t, n.access("ping", "-n", "1", "--timeout", "2s", "--via", via)...)
}

// requireNoStranger: logs name no address but those of the network's own parts.
func requireNoStranger(t *testing.T, n *installation, said string, mix int) {
	t.Helper()
	known := []string{strings.TrimPrefix(n.url, "http://"), n.nodes[mix].operator}
	for _, node := range n.nodes {
		known = append(known, node.address)
	}
	for _, address := range regexp.MustCompile(`127(\.\d+){3}:\d+`).FindAllString(said, -1) {
		require.Contains(t, known, address, "%s", said)
	}
}

// tags returns how many packets a mix has opened with the current epoch's key.
func tags(t *testing.T, of installed) int {
	t.Helper()
	var stats node.Stats
	require.NoError(t, json.Unmarshal([]byte(succeeds(t, "status", "--config", of.config, "--json")), &stats))
	for _, epoch := range stats.Epochs {
		if epoch.Current {
			return epoch.Tags
		}
	}
	require.Fail(t, "no current epoch")
	return 0
}

// listing is what the directory tells people.
func listing(t *testing.T, n *installation) string {
	t.Helper()
	answer, err := http.Get(n.url)
	require.NoError(t, err)
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return string(page)
}

// TestNodeWaitsForItsDirectory and says so, and can be stopped meanwhile.
func TestNodeWaitsForItsDirectory(t *testing.T) {
	n := install(t, 1)
	mix := start(t, "node", "--config", n.nodes[0].config)
	mix.says(t, "waiting for the directory")
	mix.says(t, "does not answer")
	status, printed := result(t, "status", "--config", n.nodes[0].config)
	require.Equal(t, 1, status, printed)
	require.Regexp(t, `(?m)^state +starting`, printed)
	require.Contains(t, printed, "The node is starting")
	mix.signal(t, syscall.SIGINT)
	status, printed = mix.ends(t)
	require.Zero(t, status, printed)

	mix = start(t, "node", "--config", n.nodes[0].config)
	mix.says(t, "does not answer")
	start(t, "directory", "--config", n.directory)
	mix.says(t, "the mix runs")
	succeeds(t, "status", "--config", n.nodes[0].config)
}

// TestSecondSignalStopsAtOnce, and what is left behind keeps nobody from starting again.
func TestSecondSignalStopsAtOnce(t *testing.T) {
	n := install(t, 1)
	edit(t, n.nodes[0].config, `refresh = "10m"`, `drain = "10m"`)
	server := start(t, "directory", "--config", n.directory)
	mix := start(t, "node", "--config", n.nodes[0].config)
	mix.says(t, "the mix runs")
	mix.signal(t, syscall.SIGTERM)
	mix.says(t, "leaving the network")
	mix.signal(t, syscall.SIGTERM)
	mix.ends(t)
	ended := mix.cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ended.Signaled() && ended.Signal() == syscall.SIGTERM, mix.cmd.ProcessState.String())
	require.FileExists(t, filepath.Join(filepath.Dir(n.nodes[0].config), holderFile))
	start(t, "node", "--config", n.nodes[0].config).says(t, "the mix runs")

	server.signal(t, syscall.SIGTERM)
	status, printed := server.ends(t)
	require.Zero(t, status, printed)
	require.Contains(t, printed, "stopped")
}

// TestDrainHasALimit, after which the mix stops, and says so.
func TestDrainHasALimit(t *testing.T) {
	n := install(t, 1)
	edit(t, n.nodes[0].config, `refresh = "10m"`, `drain = "10ms"`)
	start(t, "directory", "--config", n.directory)
	mix := start(t, "node", "--config", n.nodes[0].config)
	mix.says(t, "the mix runs")
	mix.signal(t, syscall.SIGTERM)
	status, printed := mix.ends(t)
	require.Zero(t, status, printed)
	require.Contains(t, printed, "the time to leave is over")
}

// TestSecondStartSaysWhoIsThere, of a node and of a directory.
func TestSecondStartSaysWhoIsThere(t *testing.T) {
	n := install(t, 1)
	server := start(t, "directory", "--config", n.directory)
	server.says(t, "the directory runs")
	mix := start(t, "node", "--config", n.nodes[0].config)
	mix.says(t, "the mix runs")
	for _, test := range []struct {
		first        *process
		role, config string
	}{{server, "directory", n.directory}, {mix, "node", n.nodes[0].config}} {
		status, printed := result(t, test.role, "--config", test.config)
		require.Equal(t, 1, status)
		require.Regexp(t, `^`+regexp.QuoteMeta(test.config)+`:\d+: identity: `, printed)
		require.Contains(t, printed, fmt.Sprintf("process %d (mixnet %s)", test.first.cmd.Process.Pid, test.role))
		require.Contains(t, printed, "; stop that one")
		require.Equal(t, 1, strings.Count(printed, "\n"), printed)
	}
}

// TestPortInUseNamesTheSetting, and another try may do better, so it is not as if the configuration were wrong.
func TestPortInUseNamesTheSetting(t *testing.T) {
	n := install(t, 2)
	start(t, "directory", "--config", n.directory)
	start(t, "node", "--config", n.nodes[0].config).says(t, "the mix runs")
	for _, line := range []string{`listen = "` + n.nodes[0].address + `"`, "[operator]\n" + `listen = "` + n.nodes[0].operator + `"`} {
		edit(t, n.nodes[1].config, `listen = "`+n.nodes[1].address+`"`, line)
		status, printed := result(t, "node", "--config", n.nodes[1].config)
		require.Equal(t, 1, status, printed)
		require.Regexp(t, `node\.toml:\d+: (operator\.)?listen: cannot be used: .*in use; stop what listens there`, printed)
	}
}

// TestWrongConfigurationEndsWithItsOwnStatus, by which a supervisor knows that another try is in vain.
func TestWrongConfigurationEndsWithItsOwnStatus(t *testing.T) {
	n := install(t, 1)
	edit(t, n.nodes[0].config, `size = -2`, `interval = 3`)
	for _, check := range [][]string{nil, {"--check"}} {
		status, printed := result(t, append([]string{"node", "--config", n.nodes[0].config}, check...)...)
		require.Equal(t, exitConfig, status, printed)
		require.Regexp(t, `^.*node\.toml:\d+: mix\.size: .*; .*\n.*node\.toml:\d+: mix\.interval: .*; .*\n$`, printed)
	}
	require.NoFileExists(t, filepath.Join(filepath.Dir(n.nodes[0].config), holderFile))
}

// TestInitOverwritesNothing, and leaves nothing behind that is not whole.
func TestInitOverwritesNothing(t *testing.T) {
	for _, role := range []string{"node", "directory"} {
		dir := filepath.Join(t.TempDir(), "made")
		status, printed := result(t, "init", role, "--dir", dir)
		require.Zero(t, status, printed)
		key, config := filepath.Join(dir, role+".key"), filepath.Join(dir, role+".toml")
		info, err := os.Stat(key)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
		before, err := os.ReadFile(key)
		require.NoError(t, err)
		for _, gone := range []string{"", config} {
			if gone != "" {
				require.NoError(t, os.Remove(gone))
			}
			status, printed = result(t, "init", role, "--dir", dir)
			require.Equal(t, 1, status)
			require.Contains(t, printed, "is there already")
			after, err := os.ReadFile(key)
			require.NoError(t, err)
			require.Equal(t, before, after)
		}
		require.NoFileExists(t, config)
	}
}

// TestInitOfSeveralMixesOnOneMachine: each gets ports of its own, from what it is given.
func TestInitOfSeveralMixesOnOneMachine(t *testing.T) {
	for _, test := range []struct {
		arguments        string
		listen, operator string
	}{
		{"", ":7000", "127.0.0.1:9090"},
		{"--address mix.example.org:7003", ":7003", "127.0.0.1:9090"},
		{"--address 127.0.0.1:7003 --operator localhost:9093", "127.0.0.1:7003", "localhost:9093"},
		{"--address 127.0.0.1:7003 --listen 127.0.0.1:7004", "127.0.0.1:7004", "127.0.0.1:9090"},
	} {
		config := filepath.Join(t.TempDir(), "made", "node.toml")
		_, err := run(t, "", append([]string{"init", "node", "--dir", filepath.Dir(config)}, strings.Fields(test.arguments)...)...)
		require.NoError(t, err)
		edit(t, config, `urls = ["http://127.0.0.1:8080"]`, `key = "`+strings.Repeat("2e", 32)+`"`)
		if test.arguments == "" {
			edit(t, config, `address = "mix.example.org:7000"`)
		}
		loaded, err := loadNode(config)
		require.NoError(t, err, test.arguments)
		require.Equal(t, test.listen, loaded.settings.listen, test.arguments)
		require.Equal(t, test.operator, loaded.settings.operator, test.arguments)
	}
	config := filepath.Join(t.TempDir(), "made", "node.toml")
	_, err := run(t, "", "init", "node", "--dir", filepath.Dir(config), "--operator=")
	require.NoError(t, err)
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	require.Regexp(t, `(?m)^listen = ""$`, string(text), "no operator's page")
}

// TestInitMakesAnExit of a mix where it is told so, and never else.
func TestInitMakesAnExit(t *testing.T) {
	for _, exits := range []bool{false, true} {
		config := filepath.Join(t.TempDir(), "made", "node.toml")
		_, err := run(t, "", "init", "node", "--dir", filepath.Dir(config), "--address", "127.0.0.1:7003", "--directory", "http://127.0.0.1:8080",
			"--key", strings.Repeat("2e", 32), fmt.Sprintf("--exit=%v", exits))
		require.NoError(t, err)
		loaded, err := loadNode(config)
		require.NoError(t, err)
		require.Equal(t, exits, loaded.settings.exit.enabled)
	}
}

// TestInitDirectoryPrintsWhereItListens, or HOST where that is on every address.
func TestInitDirectoryPrintsWhereItListens(t *testing.T) {
	for listen, url := range map[string]string{
		":8080": "http://HOST:8080", "0.0.0.0:8081": "http://HOST:8081", "[::]:8081": "http://HOST:8081",
		"127.0.0.1:8082": "http://127.0.0.1:8082", "[::1]:8083": "http://[::1]:8083",
	} {
		printed, err := run(t, "", "init", "directory", "--dir", filepath.Join(t.TempDir(), "made"), "--listen", listen)
		require.NoError(t, err)
		require.Contains(t, printed, "urls = [\""+url+"\"]")
		require.Contains(t, printed, "--directory "+url+" ")
	}
}

// TestMixesOfUpSayTheirVersion, as those of a configuration do.
func TestMixesOfUpSayTheirVersion(t *testing.T) {
	local, err := listenLocal(&localOptions{nodes: 4})
	require.NoError(t, err)
	defer local.close()
	for _, n := range local.nodes {
		require.Equal(t, version(), n.Stats().Version)
	}
}

// TestOperatorsPageDoesNotEndUnseen, and that it is closed with its mix is no news.
func TestOperatorsPageDoesNotEndUnseen(t *testing.T) {
	var said bytes.Buffer
	log := slog.New(slog.NewTextHandler(&said, nil))
	closed := func() net.Listener {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, listener.Close())
		return listener
	}
	serveOperator(new(http.Server), closed(), log)
	require.Contains(t, said.String(), "the operator's page is gone")
	require.Contains(t, said.String(), "use of closed network connection")

	said.Reset()
	server := new(http.Server)
	require.NoError(t, server.Close())
	serveOperator(server, closed(), log)
	require.Empty(t, said.String())
}
