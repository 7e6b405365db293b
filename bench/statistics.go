package bench

import (
	"math"
	"slices"
)

// Summary is what many samples come to: their median, and the quartiles, between which half of them lie.
type Summary struct {
	Median float64 `json:"median"`
	Low    float64 `json:"q1"`
	High   float64 `json:"q3"`
}

// summarize returns the summary of samples, which it leaves as they are. Between two samples it interpolates. No
// samples have no summary: all three are NaN.
func summarize(samples []float64) Summary {
	sorted := slices.Sorted(slices.Values(samples))
	return Summary{quantile(sorted, 0.5), quantile(sorted, 0.25), quantile(sorted, 0.75)}
}

// quantile returns the value below which the part q of sorted lies.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := q * float64(len(sorted)-1)
	below := int(at)
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (at-float64(below))*(sorted[above]-sorted[below])
}

// Spread is the distance of the quartiles, as a part of the median.
func (s Summary) Spread() float64 { return (s.High - s.Low) / s.Median }

func median(samples []float64) float64 { return summarize(samples).Median }
