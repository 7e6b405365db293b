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
		p.X.Label.Text, p.X.Min, p.X.Max = "mean latency, seconds", 0.01, 30 // the same for every load
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
		p.Y.Label.Text, p.Y.Min, p.Y.Max = "unknown to an observer of the sender, bits", 0, 10
		p.Y.Tick.Marker = plot.TickerFunc(func(_, _ float64) (ticks []plot.Tick) {
			for bits := range 11 {
				ticks = append(ticks, plot.Tick{Value: float64(bits), Label: fmt.Sprint(bits)})
			}
			return ticks
		})
		p.Title.Padding = vg.Millimeter
		p.Legend.Top, p.Legend.Left, p.Legend.Padding = true, true, vg.Millimeter
		p.Add(plotter.NewGrid())
		for i, strategy := range []string{"threshold", "timed", "pool", "poisson"} {
			line, points, err := plotter.NewLinePoints(lines[strategy])
			if err != nil {
				return fmt.Errorf("plot of %s: %w", strategy, err)
			}
			line.Color, line.Width = plotutil.DarkColors[i], vg.Points(1.2)
			points.Color, points.Shape, points.Radius = plotutil.DarkColors[i], plotutil.DefaultGlyphShapes[i], vg.Points(3)
			p.Add(line, points)
			p.Legend.Add(strategy, line, points)
		}
		file := filepath.Join(folder, fmt.Sprintf("linkability-%v.svg", load))
		if err := p.Save(16*vg.Centimeter, 11*vg.Centimeter, file); err != nil {
			return err
		}
	}
	return nil
}
