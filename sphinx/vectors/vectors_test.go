package vectors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/testvectors"
)

// counts are the cases of every vector file: a file that grows or shrinks does so on purpose.
var counts = map[string]int{
	"accumulated.json": 2, // and one that takes minutes
	"forward.json":     38,
	"kdf.json":         7,
	"negative.json":    396,
	"surb.json":        38,

	"reference/creation_limits.json": 29,
	"reference/forward_r03.json":     9,
	"reference/forward_r05.json":     10,
	"reference/group.json":           18,
	"reference/kdf.json":             12,
	"reference/lioness.json":         9,
	"reference/lioness_small.json":   10,
	"reference/negative.json":        58,
	"reference/padding.json":         22,
	"reference/prefix.json":          13,
	"reference/prg.json":             9,
	"reference/surb_r03.json":        6,
	"reference/surb_r05.json":        10,
}

func TestVectors(t *testing.T) {
	names := vectorFiles(t)
	require.Len(t, names, len(counts))
	for _, name := range names {
		t.Run(strings.ReplaceAll(name, "/", "-"), func(t *testing.T) {
			t.Parallel()
			report := Checker{quick: slow}.Check(read(t, name))
			want := Report{Passed: counts[name]}
			if name == "accumulated.json" {
				want.Skipped = 1
				if slow {
					want = Report{Passed: 1, Skipped: 2}
				}
			}
			require.Equal(t, want, report)
		})
	}
}

// TestAccumulatedMillion takes minutes, and runs where SPHINX_LONG is set.
func TestAccumulatedMillion(t *testing.T) {
	if os.Getenv("SPHINX_LONG") == "" {
		t.Skip("SPHINX_LONG is not set")
	}
	report := Checker{Long: true}.Check(read(t, "accumulated.json"))
	require.Empty(t, report.Failures)
	require.Equal(t, Report{Passed: 3}, report)
}

// TestOwnIsWhatStandsThere keeps the generator the only writer of the project's own vectors.
func TestOwnIsWhatStandsThere(t *testing.T) {
	t.Parallel()
	files, err := Own(false)
	require.NoError(t, err)
	for name, content := range files {
		require.True(t, bytes.Equal(content, read(t, name)), "%s: run go run ./testvectors/generate", name)
	}
	for _, name := range vectorFiles(t) {
		if !strings.HasPrefix(name, "reference/") {
			require.Contains(t, files, name)
		}
	}
}

// TestEveryFlagIsUsed keeps the explanations and the cases together; that no flag lacks one is the checker's part.
func TestEveryFlagIsUsed(t *testing.T) {
	var file testvectors.File[testvectors.Negative]
	require.NoError(t, json.Unmarshal(read(t, "negative.json"), &file))
	used, names := map[string]bool{}, map[string]bool{}
	for _, c := range file.Cases {
		require.False(t, names[c.Name], "two cases are called %s", c.Name)
		require.NotEmpty(t, c.Comment, c.Name)
		names[c.Name] = true
		for _, flag := range c.Flags {
			used[flag] = true
		}
	}
	for flag, explained := range file.Flags {
		require.True(t, used[flag], flag)
		require.NotEmpty(t, explained.Bug, flag)
		require.NotEmpty(t, explained.Effect, flag)
	}
}

func TestCheckFilesReports(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, data, 0o600))
		return path
	}
	good := write("good.json", read(t, "reference/prefix.json"))
	bad := write("bad.json", bytes.Replace(read(t, "reference/prefix.json"), []byte(`"value": "41"`), []byte(`"value": "40"`), 1))
	none := write("none.json", []byte("{"))
	missing := filepath.Join(dir, "missing.json")

	var out strings.Builder
	passed, failed := Checker{}.CheckFiles(&out, []string{good, bad, none, missing})
	require.Equal(t, 25, passed)
	require.Equal(t, 3, failed)
	require.Equal(t, fmt.Sprintf(`%[1]s: 13 passed, 0 failed
FAIL %[2]s: cases[4]: value: computed 41, the vector has 40 at byte 0 of 1
%[2]s: 12 passed, 1 failed
FAIL %[3]s: not a vector file: unexpected end of JSON input
%[3]s: 0 passed, 1 failed
FAIL %[4]s: open %[4]s: no such file or directory
%[4]s: 0 passed, 1 failed
`, good, bad, none, missing), out.String())
}

func TestRandomCases(t *testing.T) {
	t.Parallel()
	seed, n := [32]byte{1, 2, 3}, 100
	if slow {
		n = 40
	}
	var out, again, other bytes.Buffer
	require.NoError(t, WriteRandom(&out, n, seed))
	require.NoError(t, WriteRandom(&again, n, seed))
	require.True(t, bytes.Equal(out.Bytes(), again.Bytes()), "one seed has two outcomes")
	require.NoError(t, WriteRandom(&other, 2, [32]byte{4}))
	require.NotContains(t, out.String(), strings.Split(other.String(), "\n")[5][:200])
	require.Error(t, WriteRandom(&other, 0, seed))

	report := Checker{}.Check(out.Bytes())
	require.Empty(t, report.Failures)
	require.Equal(t, n, report.Passed)

	var file struct {
		Count int
		Cases []testvectors.SURB
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &file))
	require.Equal(t, n, file.Count)
	kinds, long := map[string]int{}, 0
	for _, c := range file.Cases {
		kinds[c.Kind]++
		overhead := 19 // of a reply: 16 zeros, the count and, in the reference, one byte more
		if c.Kind == "forward" {
			overhead = 20 + len(c.Hops[len(c.Hops)-1].Destination)
		}
		require.GreaterOrEqual(t, c.Params.PayloadSize, 192, c.Name)
		require.NotEmpty(t, c.Text, c.Name)
		require.LessOrEqual(t, len(c.Text), c.Params.PayloadSize-overhead, c.Name)
		if c.Params.MaxHops > 10 {
			long++
		}
	}
	require.Greater(t, kinds["forward"], n/4)
	require.Greater(t, kinds["surb"], n/4)
	require.NotZero(t, long)
}
