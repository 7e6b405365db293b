package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const examples = "../../examples"

// TestExamplesUseWhatThereIs: every command in the examples is one of this program, with flags that it has.
func TestExamplesUseWhatThereIs(t *testing.T) {
	for _, example := range []struct {
		file, pattern string // whose first group is what the program is called with
		count         int    // how many there are at least
	}{
		{"README.md", `(?m)^    .*?\bmixnet ((?:init|node|directory|proxy|status|ping|send)\b.*)$`, 10},
		{"README.md", `(?m)^    docker compose run --rm \w+ (.*)$`, 3},
		{"mixnet-node.service", `(?m)^ExecStart=/usr/local/bin/mixnet (.*)$`, 1},
		{"mixnet-proxy.service", `(?m)^ExecStart=/usr/local/bin/mixnet (.*)$`, 1},
		{"mixnet-directory.service", `(?m)^ExecStart=/usr/local/bin/mixnet (.*)$`, 1},
		{"compose.yaml", `(?m)command: \[(.*)\]$`, 2},
		{"compose.yaml", `(?m)test: \[CMD, /mixnet, (.*)\]$`, 1},
	} {
		text, err := os.ReadFile(filepath.Join(examples, example.file))
		require.NoError(t, err)
		calls := regexp.MustCompile(example.pattern).FindAllStringSubmatch(string(text), -1)
		require.GreaterOrEqual(t, len(calls), example.count, example.pattern)
		for _, call := range calls {
			root := command()
			cmd, flags, err := root.Find(strings.Fields(strings.ReplaceAll(call[1], ",", " ")))
			require.NoError(t, err, call[0])
			require.NotEqual(t, root, cmd, call[0])
			require.NoError(t, cmd.ParseFlags(flags), call[0])
		}
	}
}

// TestEveryAlertIsExplained in the walk-through of operators.
func TestEveryAlertIsExplained(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(examples, "README.md"))
	require.NoError(t, err)
	alerts, err := os.ReadFile(filepath.Join(examples, "prometheus-alerts.yml"))
	require.NoError(t, err)
	names := regexp.MustCompile(`(?m)- alert: (\w+)$`).FindAllStringSubmatch(string(alerts), -1)
	require.NotEmpty(t, names)
	for _, name := range names {
		require.Contains(t, string(readme), "| "+name[1]+" |")
	}
}
