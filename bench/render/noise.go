package render

import (
	"fmt"
	"strings"
	"time"

	"sphinxmix.example/bench"
)

// What must be so for words about the machine.
const (
	leastRounds = 11              // below, medians are a matter of luck
	leastTime   = 3 * time.Second // below, a machine that was busy all the time and one that was quiet look the same
	quietLoad   = 0.05            // of the cores' time, for others
	steady      = 0.9             // of the rounds
)

// noise says what U tells of the machine, what else ran on it, and what follows for the figures. It calls a machine quiet
// only where both are known: U alone knows no better time than the run's own best, and the system knows nothing of other
// virtual machines that run on the same cores.
func noise(r *bench.Report) string {
	switch {
	case len(r.Measurements) == 0:
		return "Nothing but cores was measured: what is left of them is how busy the machine was."
	case r.Rounds < leastRounds:
		return "So few rounds show that it works: the figures are worth little."
	}
	var said []string
	say := func(format string, arguments ...any) { said = append(said, fmt.Sprintf(format, arguments...)) }
	low, high := micro(r.UnitOfAll.Low), micro(r.UnitOfAll.High)
	say("What counts are rounds in which U was at most %s µs, near its best: %.0f %% of all, whose quartiles were %s to %s.",
		micro(r.QuietLimit), 100*r.Quiet, low, high)
	switch {
	case r.Took < leastTime:
		say("The run was too short to tell how busy the machine was; on a busy one ratios are smaller by up to a third.")
	case r.Load == nil:
		say("What else ran is not known; where that was much, ratios are smaller by up to a third.")
	case r.Load.Others >= quietLoad || r.Load.Waited >= quietLoad:
		say("The machine was busy: other programs took %.0f %% of its cores' time, and this one waited for %.0f %% of its own.",
			100*r.Load.Others, 100*r.Load.Waited)
		say("If that was so in all rounds, ratios are smaller by up to a third: compare with runs whose U is alike.")
	case r.Quiet >= steady:
		say("The machine was quiet, as far as it knows: other programs took %.0f %% of its cores' time, and U was steady.",
			100*r.Load.Others)
	default:
		say("Other programs took only %.0f %% of its cores' time, but U was not steady: if this machine is a virtual one,",
			100*r.Load.Others)
		say("others may use the same cores unseen. If that was so in all rounds, ratios are smaller by up to a third.")
	}
	switch busy := r.Busy(); {
	case len(busy) == 0:
	case len(busy) == len(r.Measurements):
		say("The figures are worth little: for none were there %d such rounds.", leastRounds)
	case len(busy) <= 3:
		say("Worth little, for want of %d such rounds, and marked %s: %s.", leastRounds, worthLittle, strings.Join(busy, ", "))
	default:
		say("%d of the %d operations had fewer than %d such rounds, and their figures, marked %s, are worth little.",
			len(busy), len(r.Measurements), leastRounds, worthLittle)
	}
	return strings.Join(said, "\n")
}

// worthLittle stands before the figures that noise says are worth little, where others are not.
const worthLittle = "*"

// marks returns what stands before the figures of each measurement, by its name: worthLittle or nothing.
func marks(r *bench.Report) map[string]string {
	marked := make(map[string]string)
	busy := r.Busy()
	if r.Rounds < leastRounds || len(busy) == len(r.Measurements) {
		return marked // all are alike
	}
	for _, name := range busy {
		marked[name] = worthLittle
	}
	return marked
}
