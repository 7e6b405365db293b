package main

import (
	"fmt"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

// plots draws entropy against mean latency, a file for each load and in it a line for each strategy.
func plots(folder string, results []result) error {
	loads := map[float64]map[string]plotter.XYs{}
	for _, r := range results {
		if loads[r.Rate] == nil {
			loads[r.Rate] = map[string]plotter.XYs{}
		}
		loads[r.Rate][r.Strategy] = append(loads[r.Rate][r.Strategy], plotter.XY{X: r.MeanLatency, Y: r.Entropy})
	}
	for load, lines := range loads {
		p := plot.New()
		p.Title.Text = fmt.Sprintf("One mix, %v packets a second from %d senders", load, senders)
		p.X.Label.Text = "mean latency, seconds"
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
		p.Y.Label.Text = "what an observer does not know of the sender, bits"
		p.Y.Min = 0
		p.Legend.Top, p.Legend.Left = true, true
		p.Add(plotter.NewGrid())
		var named []any
		for _, strategy := range []string{"threshold", "timed", "pool", "poisson"} {
			if points := lines[strategy]; points != nil {
				named = append(named, strategy, points)
			}
		}
		if err := plotutil.AddLinePoints(p, named...); err != nil {
			return err
		}
		if err := p.Save(16*vg.Centimeter, 11*vg.Centimeter, filepath.Join(folder, fmt.Sprintf("linkability-%v.svg", load))); err != nil {
			return err
		}
	}
	return nil
}
