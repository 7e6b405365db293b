package mix_test

import (
	"bytes"
	"io"
	"math"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/mix"
)

func TestExponentialHasItsDistribution(t *testing.T) {
	if testing.Short() {
		t.Skip("long, and nothing here is concurrent")
	}
	const draws, bins = 100_000, 100
	for _, q := range []float64{0.5, 0.95, 0.9999} {
		random := seeded(1)
		longest := mix.Quantile(time.Second, q)
		var counts [bins]int
		for range draws {
			delay, err := mix.Exponential(random, time.Second, longest)
			require.NoError(t, err)
			require.GreaterOrEqual(t, delay, time.Duration(0))
			require.LessOrEqual(t, delay, longest)
			p := (1 - math.Exp(-delay.Seconds())) / q // of a shorter delay
			counts[min(int(p*bins), bins-1)]++
		}
		var sum float64
		for _, n := range counts {
			sum += float64(n-draws/bins) * float64(n-draws/bins) / (draws / bins)
		}
		assert.Less(t, sum, 148.2, "at most the %v quantile", q) // once in 1000 seeds: 99 degrees of freedom
	}
}

func TestExponentialReadsEightBytes(t *testing.T) {
	for _, c := range []struct {
		random []byte
		mean   time.Duration
		max    time.Duration
		want   time.Duration
	}{
		{[]byte{0, 0, 0, 0, 0, 0, 0, 0}, time.Second, time.Hour, 0},
		{[]byte{255, 7, 0, 0, 0, 0, 0, 0}, time.Second, time.Hour, 0}, // 11 bits do not count
		{[]byte{0, 0, 0, 0, 0, 0, 0, 128}, time.Second, 1000 * time.Second, 693147180},
		{bytes.Repeat([]byte{255}, 8), time.Second, 1000 * time.Second, 36736800569},
		{bytes.Repeat([]byte{255}, 8), time.Second, 1, 0},
		{[]byte{0, 0, 0, 0, 0, 0, 0, 128}, math.MaxInt64, time.Hour, 1799999824359}, // a little less than half of it
		{bytes.Repeat([]byte{255}, 8), 1 << 62, math.MaxInt64, math.MaxInt64},
	} {
		random := bytes.NewReader(append(c.random, 1, 2, 3))
		delay, err := mix.Exponential(iotest.OneByteReader(random), c.mean, c.max)
		require.NoError(t, err)
		assert.InDelta(t, c.want, delay, 1e-15*float64(c.want)+1, "%+v", c)
		assert.LessOrEqual(t, delay, c.max)
		assert.Equal(t, 3, random.Len())
	}
	delay, err := mix.Exponential(nil, time.Hour, 1000*time.Hour)
	require.NoError(t, err)
	again, err := mix.Exponential(nil, time.Hour, 1000*time.Hour)
	require.NoError(t, err)
	assert.NotEqual(t, delay, again)
}

func TestExponentialSaysWhatIsWrong(t *testing.T) {
	for _, random := range []io.Reader{bytes.NewReader(nil), bytes.NewReader(make([]byte, 7)), iotest.ErrReader(errNoRandomness)} {
		_, err := mix.Exponential(random, time.Second, time.Second)
		assert.ErrorContains(t, err, "randomness")
	}
	for _, d := range []time.Duration{0, -1} {
		_, err := mix.Exponential(nil, d, time.Second)
		assert.Error(t, err)
		_, err = mix.Exponential(nil, time.Second, d)
		assert.Error(t, err)
	}
}

func TestQuantile(t *testing.T) {
	assert.Equal(t, 693147180*time.Nanosecond, mix.Quantile(time.Second, 0.5))
	assert.InDelta(t, 9210340371, mix.Quantile(time.Second, 0.9999), 1)
	assert.InDelta(t, 10*time.Second, mix.Quantile(time.Second, 1-1/22026.465794806718), 1000, "the default of MaxDelay")
	assert.Equal(t, time.Duration(math.MaxInt64), mix.Quantile(time.Second, 1))
	assert.Equal(t, time.Duration(math.MaxInt64), mix.Quantile(time.Second, 2))
	assert.Equal(t, time.Duration(math.MaxInt64), mix.Quantile(math.MaxInt64, 0.9))
	for _, q := range []float64{0, -1, math.Inf(-1), math.NaN()} {
		assert.Zero(t, mix.Quantile(time.Second, q))
	}
	assert.Zero(t, mix.Quantile(-time.Second, 0.5))
}
