package render

import (
	"cmp"
	"errors"
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"sphinxmix.example/bench"
)

// Plots draws r into files of folder, which it makes where there is none: hop.svg, µs per hop by size of batch and
// payload; cores.svg, packets per second; shares.svg, what a hop consists of; peers.svg, a hop beside the peers'. What r
// has no figures for is not drawn; where that is all, no folder is made. It returns the names of the files.
func Plots(folder string, r *bench.Report) ([]string, error) {
	var names []string
	for name, drawn := range map[string]func(*bench.Report) (*plot.Plot, error){
		"hop.svg": hopPlot, "cores.svg": coresPlot, "shares.svg": sharesPlot, "peers.svg": peersPlot,
	} {
		p, err := drawn(r)
		if err == nil && p != nil {
			names = append(names, name)
			err = save(folder, name, p, r)
		}
		if err != nil {
			return nil, fmt.Errorf("plot %s: %w", name, err)
		}
	}
	slices.Sort(names)
	return names, nil
}

// save writes p, with room around it for letters that another font makes wider, and below it where r was measured.
func save(folder, name string, p *plot.Plot, r *bench.Report) error {
	const margin = 3 * vg.Millimeter
	svg, err := draw.NewFormattedCanvas(16*vg.Centimeter, 11.5*vg.Centimeter, "svg")
	if err != nil {
		return err
	}
	page := draw.New(svg)
	page.SetColor(color.White)
	page.Fill(page.Rectangle.Path())
	style := p.X.Tick.Label // as small as these
	style.Color, style.XAlign, style.YAlign = color.Gray{0x60}, draw.XLeft, draw.YBottom
	page.FillText(style, vg.Point{X: page.Min.X + margin, Y: page.Min.Y + margin}, where(r))
	p.Draw(draw.Crop(page, margin, -2*margin, 2*margin+style.Height("U"), -margin))

	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(folder, name))
	if err != nil {
		return err
	}
	_, err = svg.WriteTo(file)
	return errors.Join(err, file.Close())
}

// where says what figures in µs depend on.
func where(r *bench.Report) string {
	m := r.Machine
	return fmt.Sprintf("%s, %s; %s; U = %s µs", m.Model, plural(m.Cores, "core"), m.X25519, micro(r.Unit.Median))
}

func newPlot(title string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.Title.Padding = title, vg.Millimeter
	p.Legend.Top, p.Legend.Padding = true, vg.Millimeter
	p.Add(plotter.NewGrid())
	return p
}

// add draws points, joined, and names them in the legend.
func add(p *plot.Plot, i int, name string, points plotter.XYs) error {
	line, glyphs, err := plotter.NewLinePoints(points)
	if err != nil {
		return err
	}
	line.Color, line.Width = colour(i), vg.Points(1.2)
	shapes := plotutil.DefaultGlyphShapes
	glyphs.Color, glyphs.Shape, glyphs.Radius = colour(i), shapes[i%len(shapes)], vg.Points(3)
	p.Add(line, glyphs)
	p.Legend.Add(name, line, glyphs)
	return nil
}

func colour(i int) color.Color { return plotutil.DarkColors[i%len(plotutil.DarkColors)] }

// ticks marks these values, as they are.
func ticks(values []int) plot.Ticker {
	return plot.TickerFunc(func(_, _ float64) (all []plot.Tick) {
		for _, v := range values {
			all = append(all, plot.Tick{Value: float64(v), Label: fmt.Sprint(v)})
		}
		return all
	})
}

// hopPlot has a line for each payload: batches across, µs per packet up.
func hopPlot(r *bench.Report) (*plot.Plot, error) {
	lines := map[int]plotter.XYs{}
	var payloads, sizes []int
	low, high := math.Inf(1), 0.0
	for _, m := range r.Measurements {
		if m.Kind != "UnwrapBatch" {
			continue
		}
		if lines[m.Payload] == nil {
			payloads = append(payloads, m.Payload)
		}
		if !slices.Contains(sizes, m.Items) {
			sizes = append(sizes, m.Items)
		}
		lines[m.Payload] = append(lines[m.Payload], plotter.XY{X: float64(m.Items), Y: m.Nanoseconds.Median / 1000})
		low, high = min(low, m.Nanoseconds.Median/1000), max(high, m.Nanoseconds.Median/1000)
	}
	if len(sizes) == 0 {
		return nil, nil
	}
	slices.Sort(sizes)
	p := newPlot("One hop that relays, paths of 5, one core")
	p.X.Label.Text, p.X.Scale, p.X.Tick.Marker = "packets in a batch", plot.LogScale{}, ticks(sizes)
	p.Y.Label.Text, p.Y.Scale, p.Y.Tick.Marker = "µs per packet", plot.LogScale{}, roundTicks{}
	slices.SortFunc(payloads, func(a, b int) int { return b - a }) // as the lines lie
	for i, payload := range payloads {
		if err := add(p, i, fmt.Sprintf("payload %d B", payload), lines[payload]); err != nil {
			return nil, err
		}
	}
	p.Y.Min, p.Y.Max = roundTicks{}.below(low), 3*high // the legend's room
	return p, nil
}

// roundTicks marks multiples of step, or of the least multiple of ten of it with which they are few; where it is 0, for
// logarithmic scales, such values as there are several of in each power of ten.
type roundTicks struct{ step float64 }

func (t roundTicks) Ticks(low, high float64) (all []plot.Tick) {
	mark := func(value float64) { all = append(all, plot.Tick{Value: value, Label: fmt.Sprintf("%.4g", value)}) }
	if step := t.step; step > 0 {
		for high/step > 15 {
			step *= 10
		}
		for value := 0.0; value <= high; value += step {
			mark(value)
		}
		return all
	}
	for power := 0.001; power <= high; power *= 10 {
		for _, digit := range []float64{1, 1.5, 2, 3, 5, 7} {
			if value := digit * power; value >= 0.999*low && value <= high {
				mark(value)
			}
		}
	}
	return all
}

// below returns the greatest mark of a logarithmic scale that is less than value.
func (t roundTicks) below(value float64) float64 {
	marks := t.Ticks(value/10, value*0.98)
	return marks[len(marks)-1].Value
}

// coresPlot has packets per second by cores, what as many times one core would be, and, where other programs ran, what
// comes of all of the cores' time.
func coresPlot(r *bench.Report) (*plot.Plot, error) {
	if len(r.Cores) == 0 {
		return nil, nil
	}
	var measured, alone plotter.XYs
	var counts []int
	busy := slices.ContainsFunc(r.Cores, func(c bench.Cores) bool { return !c.Free })
	for _, c := range r.Cores {
		x := float64(c.Cores)
		measured = append(measured, plotter.XY{X: x, Y: c.Rate.Median / 1000})
		if busy && c.Got.Median > 0 {
			alone = append(alone, plotter.XY{X: x, Y: c.Each.Median * x / 1000})
		}
		counts = append(counts, c.Cores)
	}
	most := float64(counts[len(counts)-1])
	p := newPlot("Batches of 64, paths of 5, payload 1024 B")
	p.X.Label.Text, p.X.Min, p.X.Max, p.X.Tick.Marker = "cores", 0, most+0.5, ticks(counts)
	p.Y.Label.Text, p.Y.Min, p.Y.Tick.Marker = "thousand packets per second", 0, roundTicks{step: 2}
	p.Legend.Left = true
	one := measured[0].Y
	if len(alone) > 0 {
		one = alone[0].Y
	}
	ideal, err := plotter.NewLine(plotter.XYs{{}, {X: most, Y: most * one / float64(counts[0])}})
	if err != nil {
		return nil, err
	}
	ideal.Dashes = []vg.Length{vg.Points(3), vg.Points(3)}
	p.Add(ideal)
	name := "measured"
	if len(alone) > 0 {
		name = "measured, beside other programs"
	}
	if err := add(p, 0, name, measured); err != nil {
		return nil, err
	}
	if len(alone) > 0 {
		if err := add(p, 1, "reckoned for cores without other programs", alone); err != nil {
			return nil, err
		}
	}
	p.Legend.Add("as many times one core", ideal)
	p.Y.Max *= 1.4 // the legend's room
	return p, nil
}

// sharesPlot has a bar for each hop that was divided, each 100 percent high.
func sharesPlot(r *bench.Report) (*plot.Plot, error) {
	if len(r.Shares) == 0 {
		return nil, nil
	}
	p := newPlot("What a hop consists of")
	p.Y.Label.Text, p.Y.Min = "percent of its time", 0
	p.Legend.YOffs = vg.Millimeter
	var names []string
	for _, s := range r.Shares {
		names = append(names, strings.ReplaceAll(hopName(s), ", ", "\n"))
	}
	var below *plotter.BarChart
	bands := 0
	stack := func(name string, part func(bench.Share) float64) error {
		values := make(plotter.Values, len(r.Shares))
		for i, s := range r.Shares {
			values[i] = 100 * part(s)
		}
		if slices.Max(values) < 0.5 {
			return nil // nobody would see it
		}
		bars, err := plotter.NewBarChart(values, 2*vg.Centimeter)
		if err != nil {
			return err
		}
		bars.Color, bars.LineStyle.Width = colour(bands), 0
		if below != nil {
			bars.StackOn(below)
		}
		below = bars
		bands++
		p.Add(bars)
		p.Legend.Add(name, bars)
		return nil
	}
	for i, primitive := range r.Shares[0].Parts {
		err := stack(primitive.Primitive, func(s bench.Share) float64 { parts, _ := s.Fractions(); return parts[i] })
		if err != nil {
			return nil, err
		}
	}
	if err := stack("all else", func(s bench.Share) float64 { _, rest := s.Fractions(); return rest }); err != nil {
		return nil, err
	}
	p.NominalX(names...)
	p.X.Min, p.X.Max = -0.5, float64(len(names))-0.5
	p.Y.Max = 135 // the legend's room
	p.Y.Tick.Marker = ticks([]int{0, 20, 40, 60, 80, 100})
	return p, nil
}

// peersPlot has a bar for each peer's hop, the slowest at the bottom, and two for this library's. They are in U, as not
// all were measured at the same time.
func peersPlot(r *bench.Report) (*plot.Plot, error) {
	var names []string
	var values plotter.Values
	bar := func(name string, units float64) {
		names, values = append(names, name), append(values, units)
	}
	peers := slices.Clone(r.Peers)
	slices.SortStableFunc(peers, func(a, b bench.Peer) int { return cmp.Compare(b.Units.Median, a.Units.Median) })
	for _, p := range peers {
		if p.Operation == "unwrap" {
			bar(p.Peer, p.Units.Median)
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	theirs := len(names)
	for i, name := range []string{"this, one packet", "this, batch of 64"} {
		if m := r.Find(ours["unwrap"][i]); m != nil {
			bar(name, m.Units.Median)
		}
	}
	p := newPlot("One hop that relays, paths of 5, one core")
	p.X.Label.Text, p.X.Min = "U per packet (U: one X25519 of Go's crypto/ecdh, measured beside each)", 0
	for i := range values { // each a chart of its own, with zeros where the others are, for its colour
		only := make(plotter.Values, len(values))
		only[i] = values[i]
		bars, err := plotter.NewBarChart(only, vg.Points(14))
		if err != nil {
			return nil, err
		}
		bars.Horizontal, bars.LineStyle.Width, bars.Color = true, 0, colour(2)
		if i >= theirs {
			bars.Color = colour(0)
		}
		p.Add(bars)
	}
	labels := plotter.XYLabels{}
	for i, value := range values {
		labels.XYs = append(labels.XYs, plotter.XY{X: value, Y: float64(i)})
		labels.Labels = append(labels.Labels, digits(value))
	}
	written, err := plotter.NewLabels(labels)
	if err != nil {
		return nil, err
	}
	for i := range written.TextStyle {
		written.TextStyle[i].YAlign = draw.YCenter
	}
	written.Offset.X = vg.Millimeter
	p.Add(written)
	p.NominalY(names...)
	p.X.Tick.Marker = roundTicks{step: 1}
	p.X.Max, p.Y.Min, p.Y.Max = 1.15*slices.Max(values), -0.5, float64(len(values))-0.5
	return p, nil
}
