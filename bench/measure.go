package bench

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"time"
)

// The lengths of a run: as long as figures need that are to be believed, and as short as shows that all of it works.
var (
	Long  = Config{Rounds: 31, Slice: 2 * time.Millisecond, CoreSlice: 50 * time.Millisecond}
	Quick = Config{Rounds: 3, Slice: 200 * time.Microsecond, CoreSlice: 5 * time.Millisecond}
)

// Config says how much is measured.
type Config struct {
	Rounds    int            // slices of each operation, at least 1; up to four times as many where the machine is busy
	Slice     time.Duration  // how long an operation is called for in a round, at least once
	CoreSlice time.Duration  // the same for many cores, and for peers
	Only      *regexp.Regexp // operations whose names match; nil: all
	Progress  func(Progress) // called now and then; nil: not at all
}

// progress tells whoever wants to know.
func (cfg Config) progress(p Progress) {
	if cfg.Progress != nil {
		cfg.Progress(p)
	}
}

// Progress says how far a run is.
type Progress struct {
	Stage string // what is done now, like "measuring 79 operations"
	Step  string // what of: "round", "operation", "program"
	Done  int    // steps
	Total int
	Left  time.Duration // about how long this stage still takes; 0: not known
}

// coresName is what Config.Only must match for the measurement of many cores.
const coresName = "Cores"

// Run measures the operations of the plan, in rounds: each round calls all of them, one slice each, with a slice of U
// after each, so that the rounds of every operation are spread over the whole run and whatever happens to the machine
// meanwhile happens to all. It returns ctx's error soon after ctx ends.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	if cfg.Rounds < 1 {
		return nil, errors.New("bench: at least one round is needed")
	}
	r := &Report{Time: time.Now(), Machine: describeMachine(), Rounds: cfg.Rounds, Slice: cfg.Slice}
	makers := plan(cfg.Only)
	cores := cfg.Only == nil || cfg.Only.MatchString(coresName)
	if len(makers) == 0 && !cores {
		return nil, fmt.Errorf("bench: nothing that is measured has a name that matches %q", cfg.Only)
	}
	if len(makers) > 0 {
		if err := measure(ctx, cfg, r, makers); err != nil {
			return nil, err
		}
	} else {
		units, err := unitsNow(cfg.Rounds)
		if err != nil {
			return nil, err
		}
		r.setUnits(units)
		r.Unit = r.UnitOfAll
	}
	r.Shares = shares(r)
	if cores {
		var err error
		if r.Cores, err = measureCores(ctx, cfg, coreCounts(runtime.GOMAXPROCS(0))); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// measure fills r with what makers make.
func measure(ctx context.Context, cfg Config, r *Report, makers []maker) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	unit, err := newYardstick()
	if err != nil {
		return err
	}
	all := make([]*comparison, len(makers))
	for i, m := range makers {
		cfg.progress(Progress{Stage: "preparing", Step: "operation", Done: i, Total: len(makers)})
		if err := ctx.Err(); err != nil {
			return err
		}
		op, err := m.make()
		if err != nil {
			return fmt.Errorf("bench: %s: %w", m.Name(), err)
		}
		if all[i], err = compare(unit, op, cfg.Slice); err != nil {
			return err
		}
	}
	began := startLoad()
	var each time.Duration // of a round
	for _, c := range all {
		each += c.both
	}
	left := cfg.countdown(fmt.Sprintf("measuring %d operations", len(all)), cfg.Rounds, each)
	for round := range cfg.Rounds {
		left(round)
		for _, c := range all {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := c.slice(); err != nil {
				return err
			}
		}
	}
	units := func() (units []float64) {
		for _, c := range all {
			units = append(units, c.units()...)
		}
		return units
	}
	if err := again(ctx, cfg, all, quietLimit(units())); err != nil {
		return err
	}
	r.Took, r.Load = began.took(), began.load()
	r.setUnits(units())
	var counted []float64
	for _, c := range all {
		m := c.measurement(r.QuietLimit)
		r.Measurements = append(r.Measurements, m)
		for _, round := range m.Rounds {
			if round.Counts {
				counted = append(counted, round.Unit)
			}
		}
	}
	r.Unit = summarize(counted)
	return nil
}

// setUnits says what U was in all rounds, and in how many of them it was within the limit.
func (r *Report) setUnits(units []float64) {
	r.UnitOfAll, r.QuietLimit = summarize(units), quietLimit(units)
	r.Quiet = float64(quietRounds(units, r.QuietLimit)) / float64(len(units))
}

// again gives operations that had too few quiet rounds more of them, in three times as many rounds again at most.
func again(ctx context.Context, cfg Config, all []*comparison, limit float64) error {
	rounds := 3 * cfg.Rounds
	left := cfg.countdown("measuring again what the machine was busy for", rounds, 0)
	for round := range rounds {
		lacking := 0
		for _, c := range all {
			if quietRounds(c.units(), limit) >= min(quietEnough, cfg.Rounds) {
				continue
			}
			if lacking++; lacking == 1 {
				left(round)
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := c.slice(); err != nil {
				return err
			}
		}
		if lacking == 0 {
			break
		}
	}
	return nil
}

// countdown returns a function that reports, before each round of a stage, how far it is and how long the rest takes:
// by what a round is expected to take, and by what those before it took.
func (cfg Config) countdown(stage string, rounds int, expected time.Duration) func(round int) {
	start := time.Now()
	return func(round int) {
		if round > 0 {
			expected = time.Since(start) / time.Duration(round)
		}
		cfg.progress(Progress{
			Stage: stage, Step: "round", Done: round, Total: rounds, Left: expected * time.Duration(rounds-round),
		})
	}
}

// unitsNow returns so many samples of U by itself, of a few milliseconds each.
func unitsNow(count int) ([]float64, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	unit, err := newYardstick()
	if err != nil {
		return nil, err
	}
	samples := make([]float64, count)
	for i := range samples {
		if samples[i], err = unit.slice(50); err != nil {
			return nil, err
		}
	}
	return samples, nil
}
