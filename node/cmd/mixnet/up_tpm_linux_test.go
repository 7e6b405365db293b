package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
	"sphinxmix.example/tao/swtpm"
)

// needTPMs skips a test where there are no software TPMs, but never where all that is needed must be there.
func needTPMs(t *testing.T) {
	t.Helper()
	if err := swtpm.Found(); err != nil && os.Getenv("CI") == "" {
		t.Skip(err)
	}
}

// childrenOf returns the processes that a process has started, by name.
func childrenOf(t *testing.T, pid int) map[string][]string {
	t.Helper()
	children := make(map[string][]string)
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		before, after, _ := strings.Cut(string(text), " (")
		name, rest, _ := strings.Cut(after, ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == fmt.Sprint(pid) {
			children[name] = append(children[name], before)
		}
	}
	return children
}

// running reports whether a process goes on, and is not only waited for by nobody.
func running(pid string) bool {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	_, rest, _ := strings.Cut(string(text), ") ")
	return err == nil && !strings.HasPrefix(rest, "Z")
}

// TestPassingFolder: it is removed wherever its name starts, by who is not killed with this process and its group.
func TestPassingFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("TMPDIR", ".")
	f, err := makePassingFolder("passing-*")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(f.name, "state"), nil, 0o600))
	group, err := syscall.Getpgid(f.remover.Process.Pid)
	require.NoError(t, err)
	require.Equal(t, f.remover.Process.Pid, group)
	f.remove()
	left, err := os.ReadDir(".")
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestUpWithTPMs: six mixes with a TPM each, a page through three of them, and nothing is left behind, whatever ends
// it.
func TestUpWithTPMs(t *testing.T) {
	needTPMs(t)
	for name, signal := range map[string]syscall.Signal{"interrupted": syscall.SIGINT, "killed": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			temporary := t.TempDir()
			t.Setenv("TMPDIR", temporary)
			file := filepath.Join(t.TempDir(), "network.json")
			began := time.Now()
			up := start(t, "up", "--tpm", "--socks", "0", "--network", file)
			printed := up.says(t, "Stop the network with Ctrl-C")
			t.Logf("ready after %v", time.Since(began).Round(time.Millisecond))
			require.Contains(t, printed, "All mixes are attested, each by a software TPM of its own.\n")
			require.Regexp(t, `"hello, mixnet" went  you → mix \d → mix \d → mix \d → echo\n`, printed)
			tpms := childrenOf(t, up.cmd.Process.Pid)["swtpm"]
			require.Len(t, tpms, 6)
			folders, err := os.ReadDir(temporary)
			require.NoError(t, err)
			require.Len(t, folders, 1)

			if name == "interrupted" {
				page := get(t, through("socks5h://"+curlLine.FindStringSubmatch(printed)[2]), "http://welcome.mix/")
				require.Contains(t, page, "You came through three attested mixes (each by a software TPM).")
				require.Contains(t, page, "A software TPM of each mix")
				known, err := readNetwork(file) // as other commands do
				require.NoError(t, err)
				view, err := known.Fetch(t.Context())
				require.NoError(t, err)
				require.Len(t, view.Nodes, 6)
				require.Equal(t, []tao.Kind{tao.TPM}, view.Policy.Attestors, "soft ones are refused")
				status, said := result(t, "send", "--network", file, "hello")
				require.Zero(t, status, said)
			}
			up.signal(t, signal)
			up.ends(t)
			require.Eventually(t, func() bool {
				left, err := os.ReadDir(temporary)
				gone := err == nil && len(left) == 0
				for _, pid := range tpms {
					gone = gone && !running(pid)
				}
				return gone
			}, patience, 10*time.Millisecond)
		})
	}
}

// TestUpWithoutSoftwareTPMs says what to install, and leaves nothing behind.
func TestUpWithoutSoftwareTPMs(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	t.Setenv("PATH", "/nowhere")
	file := filepath.Join(t.TempDir(), "network.json")
	out, err := run(t, "", "up", "--tpm", "--socks", "0", "--network", file)
	require.Empty(t, out)
	require.ErrorContains(t, err, "package swtpm")
	require.NoFileExists(t, file)
	left, err := os.ReadDir(temporary)
	require.NoError(t, err)
	require.Empty(t, left)
}
