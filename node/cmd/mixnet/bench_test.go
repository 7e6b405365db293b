package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBench measures a little, shows it, and writes what was asked for.
func TestBench(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	out, err := run(t, "", "bench", "--quick", "--only", "^(Unwrap|UnwrapBatch)/r=5/P=256",
		"--json", at("all.json"), "--text", at("all.txt"), "--plots", at("plots"))
	require.NoError(t, err)
	require.Contains(t, out, "U, the unit, is one crypto/ecdh X25519")
	require.Contains(t, out, "The same for other payloads and batches")
	require.Contains(t, out, "Drawn in "+at("plots")+": hop.svg")

	content, err := os.ReadFile(at("all.json"))
	require.NoError(t, err)
	var report struct {
		Machine      struct{ Version string }
		Measurements []struct{ Name string }
	}
	require.NoError(t, json.Unmarshal(content, &report))
	require.Len(t, report.Measurements, 8)
	require.Equal(t, version(), report.Machine.Version)
	content, err = os.ReadFile(at("all.txt"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, strings.Count(string(content), "\n"), 4+8*3)
	require.FileExists(t, at("plots/hop.svg"))

	shown, err := run(t, "", "bench", "--from", at("all.json"))
	require.NoError(t, err)
	require.Equal(t, out[:strings.Index(out, "\nDrawn in")], shown)
}

// TestBenchLeavesNothingHalf: where measuring fails, a file that was there is as it was.
func TestBenchLeavesNothingHalf(t *testing.T) {
	file := filepath.Join(t.TempDir(), "old.json")
	require.NoError(t, os.WriteFile(file, []byte("old"), 0o600))
	_, err := run(t, "", "bench", "--only", "nothing has this name", "--json", file)
	require.ErrorContains(t, err, "nothing has this name")
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "old", string(content))
	left, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	require.Len(t, left, 1)
}
