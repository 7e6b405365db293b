package replay_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/replay"
	"sphinxmix.example/sphinx"
)

// killedEnvironment holds the path of the log that this program writes until it is killed, and the first tag, instead of
// running tests.
const killedEnvironment = "REPLAY_TEST_KILLED"

func TestMain(m *testing.M) {
	if path, first, asked := strings.Cut(os.Getenv(killedEnvironment), "|"); asked {
		fmt.Fprintln(os.Stderr, writeUntilKilled(path, first))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeUntilKilled lets four goroutines store tags, and prints "given N" before Fresh gets the tag N, and "kept N" after
// Commit.
func writeUntilKilled(path, first string) error {
	l, err := replay.Open(path, binding, 1<<20)
	if err != nil {
		return err
	}
	start, err := strconv.Atoi(first)
	if err != nil {
		return err
	}
	failed := make(chan error)
	for worker := range 4 {
		go func() {
			random := rand.New(rand.NewPCG(uint64(start), uint64(worker)))
			for next := start + worker*100_000; ; {
				numbers := from(next, 1+random.IntN(60))
				next += len(numbers)
				if err := say("given", numbers); err != nil {
					failed <- err
					return
				}
				fresh := make([]bool, len(numbers))
				if err := l.Fresh(tags(numbers...), fresh); err != nil {
					failed <- err
					return
				}
				if err := l.Commit(); err != nil {
					failed <- err
					return
				}
				if err := say("kept", numbers); err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	return <-failed
}

// say prints a line in one write, which comes whole or, at the end, in part.
func say(what string, numbers []int) error {
	_, err := os.Stdout.WriteString(what + " " + strings.Trim(fmt.Sprint(numbers), "[]") + "\n")
	return err
}

// TestKilledProcess kills a process again and again while it stores tags: each that Commit had returned for is there
// when the log is opened again, and none that was never given.
func TestKilledProcess(t *testing.T) {
	path := newPath(t)
	require.NoError(t, create(t, path, 1<<20).Close())
	given, kept := make(map[sphinx.Tag]bool), make(map[sphinx.Tag]bool)
	random := rand.New(rand.NewPCG(1, 2))
	lost := 0
	for round := range 30 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), fmt.Sprintf("%s=%s|%d", killedEnvironment, path, round*1_000_000))
		child.Stderr = os.Stderr
		stdout, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		lines := bufio.NewReader(stdout)
		for left := random.IntN(60); ; left-- {
			if left == 0 {
				require.NoError(t, child.Process.Kill())
			}
			line, err := lines.ReadString('\n')
			if err == io.EOF {
				break // what there is of a line is not one
			}
			require.NoError(t, err)
			words := strings.Fields(line)
			for _, word := range words[1:] {
				n, err := strconv.Atoi(word)
				require.NoError(t, err)
				switch words[0] {
				case "given":
					given[tag(n)] = true
				case "kept":
					kept[tag(n)] = true
				}
			}
		}
		require.ErrorContains(t, child.Wait(), "killed")

		l, err := replay.Open(path, binding, 1<<20)
		require.NoError(t, err)
		there := make(map[sphinx.Tag]bool)
		for _, tag := range l.Tags() {
			require.True(t, given[tag], "round %d: a tag that was never given", round)
			there[tag] = true
		}
		require.NoError(t, l.Close())
		for tag := range kept {
			require.True(t, there[tag], "round %d: a tag that was committed is not there", round)
		}
		lost += len(given) - len(there)
	}
	require.NotEmpty(t, kept)
	require.Positive(t, lost, "no process was killed before a commit")
	t.Logf("%d tags given, %d committed", len(given), len(kept))
}
