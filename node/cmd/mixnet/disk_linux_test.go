package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// fillDisk makes every write of a running process to a file fail, as on a full disk, until freeDisk.
func fillDisk(t *testing.T, p *process) { setFileLimit(t, p, 0) }

func freeDisk(t *testing.T, p *process) { setFileLimit(t, p, math.MaxUint64) }

func setFileLimit(t *testing.T, p *process, bytes uint64) {
	t.Helper()
	var limit unix.Rlimit
	require.NoError(t, unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_FSIZE, nil, &limit))
	limit.Cur = min(bytes, limit.Max) // which only root can raise
	require.NoError(t, unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_FSIZE, &limit, nil))
}

// TestMixOnAFullDiskRefusesPackets rather than let one through twice later. It goes on running, and says what is wrong
// to whoever asks. Others go on, and so does it once there is space.
func TestMixOnAFullDiskRefusesPackets(t *testing.T) {
	n := install(t, 5)
	_, mixes := n.startAll(t)
	via := strings.Join([]string{n.nodes[1].id, n.nodes[0].id, n.nodes[2].id}, ",")
	succeeds(t, n.access("ping", "-n", "1", "--timeout", "2s", "--via", via)...)
	before := tags(t, n.nodes[0])

	fillDisk(t, mixes[0])
	status, printed := result(t, n.access("ping", "-n", "1", "--timeout", "2s", "--via", via)...)
	require.Equal(t, 1, status, printed)
	mixes[0].says(t, "for this epoch's key is refused from now on")
	mixes[0].says(t, "file too large")
	printed = awaitStatus(t, n.nodes[0], 1, `(?m)^dropped .*replay_store [1-9]`)
	require.Contains(t, printed, "REFUSES EVERYTHING")
	require.Contains(t, printed, "full or cannot be written")
	others := strings.Join([]string{n.nodes[1].id, n.nodes[3].id, n.nodes[2].id}, ",")
	succeeds(t, n.access("ping", "-n", "1", "--timeout", "1s", "--via", others)...) // once the reply's random path avoids it

	freeDisk(t, mixes[0])
	mixes[0].signal(t, syscall.SIGTERM)
	status, printed = mixes[0].ends(t)
	require.Zero(t, status, printed)
	start(t, "node", "--config", n.nodes[0].config).says(t, "the mix runs")
	n.awaitMixes(t, n.nodes[0], 5)
	require.GreaterOrEqual(t, tags(t, n.nodes[0]), before, "it knows what it has opened")
	succeeds(t, n.access("ping", "-n", "1", "--timeout", "2s", "--via", via)...)
}

// TestDirectoryOnAFullDiskGoesOn with what it has: it says no to a new mix, and why, until there is space.
func TestDirectoryOnAFullDiskGoesOn(t *testing.T) {
	n := install(t, 5)
	late := n.nodes[4]
	n.nodes = n.nodes[:4]
	server, _ := n.startAll(t)
	fillDisk(t, server)
	mix := start(t, "node", "--config", late.config)
	mix.says(t, "the directory does not take this node")
	require.NotContains(t, listing(t, n), late.id)
	succeeds(t, n.access("ping", "-n", "1", "--timeout", "2s")...)

	freeDisk(t, server)
	mix.says(t, "registered with the directory")
	require.Contains(t, listing(t, n), late.id)
	server.signal(t, syscall.SIGTERM)
	status, printed := server.ends(t)
	require.Zero(t, status, printed)
	start(t, "directory", "--config", n.directory).says(t, "the directory runs")
	require.Contains(t, listing(t, n), late.id, "what was said to be listed is there after a restart")
}

// TestFullDiskAtTheStart is named, and nothing half is left behind.
func TestFullDiskAtTheStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made")
	for _, role := range []string{"node", "directory"} {
		status, printed := startFull(t, "init", role, "--dir", dir).ends(t)
		require.Equal(t, 1, status, printed)
		require.Contains(t, printed, "nothing was made in "+dir)
		require.Contains(t, printed, "file too large")
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Empty(t, left)
	}
	n := install(t, 1)
	for _, command := range [][]string{{"directory", "--config", n.directory}, {"node", "--config", n.nodes[0].config}} {
		status, printed := startFull(t, command...).ends(t)
		require.Equal(t, 1, status, printed)
		require.Regexp(t, `^.*\.toml:\d+: identity: .* cannot be written to \(.*file too large\); give it .* on a disk with space`, printed)
		require.Equal(t, 1, strings.Count(printed, "\n"), printed)
	}
}

// TestStateThatCannotBeWritten is named with its setting, and where the system tells by --check too.
func TestStateThatCannotBeWritten(t *testing.T) {
	n := install(t, 1)
	start(t, "directory", "--config", n.directory).says(t, "the directory runs")
	folder, checks := "/proc", []string{"--check=false"} // root may write anywhere, as far as access(2) knows
	if os.Geteuid() != 0 {
		folder = t.TempDir()
		require.NoError(t, os.Chmod(folder, 0o500))
		checks = append(checks, "--check")
	}
	edit(t, n.nodes[0].config, `folder = "`+folder+`/keys-of-a-mix"`)
	other := install(t, 0).directory
	edit(t, other, `store = "bolt:`+folder+`/directory.db"`)
	for _, command := range [][]string{{"directory", "--config", other}, {"node", "--config", n.nodes[0].config}} {
		for _, check := range checks {
			status, printed := result(t, append(command, check)...)
			require.NotZero(t, status, printed)
			require.Regexp(t, `(?m)^.*\.toml:\d+: (store|keys\.folder): .*`+folder+`.*; .*$`, printed)
		}
	}
}
