package bench

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// brief is as little as can be measured.
var brief = Config{Rounds: 2, Slice: time.Microsecond, CoreSlice: time.Microsecond}

// TestRunMeasuresEverything that is planned, in every round, and knows all the parts of a hop.
func TestRunMeasuresEverything(t *testing.T) {
	if testing.Short() {
		t.Skip("the operations are those of the benchmarks, which run elsewhere")
	}
	stages := map[string]bool{}
	cfg := brief
	cfg.Progress = func(p Progress) {
		require.Less(t, p.Done, p.Total)
		stages[p.Stage] = true
	}
	r, err := Run(t.Context(), cfg)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(stages), 3)
	require.Len(t, r.Measurements, len(plan(nil)))
	names := map[string]bool{}
	for _, m := range r.Measurements {
		require.False(t, names[m.Name], "%s is measured twice", m.Name)
		names[m.Name] = true
		require.GreaterOrEqual(t, len(m.Rounds), cfg.Rounds, m.Name)
		require.Positive(t, m.Nanoseconds.Median, m.Name)
		require.Positive(t, m.Units.Median, m.Name)
	}
	require.Len(t, r.Shares, 4)
	for _, s := range r.Shares {
		require.Positive(t, s.Whole)
		require.Len(t, s.Parts, 3)
	}
	require.Equal(t, 1, r.Cores[0].Cores)
	require.Positive(t, r.Cores[0].Rate.Median)
	require.Positive(t, r.Took)
	require.Positive(t, r.QuietLimit)
	require.Equal(t, r.Machine.Cores, r.Cores[len(r.Cores)-1].Cores)
	require.NotEmpty(t, r.Machine.X25519)

	var written bytes.Buffer
	require.NoError(t, r.WriteJSON(&written))
	back, err := ReadJSON(&written)
	require.NoError(t, err)
	require.True(t, r.Time.Equal(back.Time))
	back.Time = r.Time
	require.Equal(t, r, back)

	_, err = ReadJSON(strings.NewReader("{}"))
	require.ErrorContains(t, err, "no measurement")
}

func TestRunOnly(t *testing.T) {
	cfg := brief
	cfg.Only = regexp.MustCompile("^Unwrap/r=5/P=256$")
	r, err := Run(t.Context(), cfg)
	require.NoError(t, err)
	require.Len(t, r.Measurements, 1)
	require.Empty(t, r.Cores)
	require.Empty(t, r.Shares, "a hop was divided whose parts nobody measured")

	cfg.Only = regexp.MustCompile("^Cores$")
	r, err = Run(t.Context(), cfg)
	require.NoError(t, err)
	require.NotEmpty(t, r.Cores)
	require.Positive(t, r.Unit.Median)

	cfg.Only = regexp.MustCompile("nothing like this")
	_, err = Run(t.Context(), cfg)
	require.ErrorContains(t, err, "nothing like this")
	_, err = Run(t.Context(), Config{})
	require.ErrorContains(t, err, "one round")
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cfg := brief
	cfg.Rounds, cfg.Only = 1_000_000_000, regexp.MustCompile("^ChaCha20/size=208/")
	cfg.Progress = func(p Progress) {
		if p.Step == "round" && p.Done == 3 {
			cancel()
		}
	}
	_, err := Run(ctx, cfg)
	require.ErrorIs(t, err, context.Canceled)
}

// TestWrongResultsAreNoMeasurements: an operation that fails in any round, or did not do what it should have, makes the
// run fail, with its name.
func TestWrongResultsAreNoMeasurements(t *testing.T) {
	broken := errors.New("broken")
	s := Subject{Kind: "Broken", Items: 3}
	calls := 0
	for name, op := range map[string]*Operation{
		"at once": {Subject: s, call: func() error { return broken }},
		"later": {Subject: s, call: func() error {
			if calls++; calls > 10 {
				return broken
			}
			return nil
		}},
		"unseen": {Subject: s, call: func() error { return nil }, verify: func() error { return broken }},
	} {
		cfg := brief
		cfg.Rounds = 20
		err := measure(t.Context(), cfg, new(Report), []maker{{s, func() (*Operation, error) { return op, nil }}})
		require.ErrorIs(t, err, broken, name)
		require.ErrorContains(t, err, "Broken/n=3", name)
	}
}

// TestCopiesAreFresh: what one call does to its copy is not seen by any other.
func TestCopiesAreFresh(t *testing.T) {
	c := copies{original: []byte("packet")}
	for range 3 {
		c.restore(2)
		for range 2 {
			taken := c.take()
			require.Equal(t, "packet", string(taken))
			clear(taken)
		}
		require.Panics(t, func() { c.take() })
	}
	require.Equal(t, "packet", string(c.original))
}

func TestCoreCounts(t *testing.T) {
	require.Equal(t, []int{1}, coreCounts(1))
	require.Equal(t, []int{1, 2}, coreCounts(2))
	require.Equal(t, []int{1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 16}, coreCounts(16))
	counts := coreCounts(256)
	require.Less(t, len(counts), 30)
	require.Equal(t, 256, counts[len(counts)-1])
}

func TestNames(t *testing.T) {
	require.Equal(t, "UnwrapBatch/r=5/P=1024/n=64", unwrapBatch(5, 1024, 64).Name())
	require.Equal(t, "X25519/point=base/impl=sphinx/n=8", multiply("base", 8).Name())
	require.Equal(t, "BLAKE2b/size=992/impl=xcrypto", digestOther(992).Name())
	for _, m := range plan(nil) {
		require.False(t, strings.ContainsAny(m.Name(), " -"), "benchstat takes what follows for something else: %s", m.Name())
	}
}
