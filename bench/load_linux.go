package bench

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// machineTimesNow returns what the processors of the whole machine did since it started. Where other machines on the
// same hardware took their time, and the system was told so, they worked.
func machineTimesNow() (m machineTimes, known bool) {
	content, err := os.ReadFile("/proc/stat")
	line, _, _ := bytes.Cut(content, []byte("\n"))
	fields := bytes.Fields(line) // cpu user nice system idle iowait irq softirq steal ..., and guests that user has, too
	var usage unix.Rusage
	if err != nil || len(fields) < 9 || unix.Getrusage(unix.RUSAGE_SELF, &usage) != nil {
		return m, false
	}
	const tick = 10 * time.Millisecond // on every Linux, for what it tells programs
	for i, field := range fields[1:9] {
		ticks, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return m, false
		}
		m.total += time.Duration(ticks) * tick
		if i != 3 && i != 4 {
			m.busy += time.Duration(ticks) * tick
		}
	}
	m.own = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	return m, m.total > 0
}
