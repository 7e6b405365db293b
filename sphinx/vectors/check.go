package vectors

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
)

// Checker checks vector files. The zero value is ready to use.
type Checker struct {
	// Long also checks the cases that take minutes: accumulated hashes over more than 10,000 packets. Without it they
	// count as skipped.
	Long bool

	quick bool // skip those over more than 100 packets, too
}

// Report is the outcome of one file. Failures are in the order of the cases, those of the file as a whole first.
type Report struct {
	Passed   int
	Skipped  int
	Failures []Failure
}

// Failure says what is wrong with one case, or with the file as a whole where Case is empty.
type Failure struct {
	Case string
	Err  error
}

// CheckFiles checks files, writes a line for each failed case and one for each file to out, and returns how many cases
// passed and failed. What is wrong with a file as a whole, which includes that it cannot be read, counts as one failed
// case.
func (c Checker) CheckFiles(out io.Writer, files []string) (passed, failed int) {
	for _, file := range files {
		var report Report
		if data, err := os.ReadFile(file); err != nil {
			report.Failures = []Failure{{Err: err}}
		} else {
			report = c.Check(data)
		}
		for _, failure := range report.Failures {
			fmt.Fprintf(out, "FAIL %s: %s\n", file, failure)
		}
		fmt.Fprintf(out, "%s: %s\n", file, report)
		passed += report.Passed
		failed += len(report.Failures)
	}
	return passed, failed
}

// Check checks the cases of the vector file data. A file that is not one, or that has no cases, has failed.
func (c Checker) Check(data []byte) Report {
	f, err := readFile(data)
	if err != nil {
		return Report{Failures: []Failure{{Err: fmt.Errorf("not a vector file: %w", err)}}}
	}
	f.packets = c.packets()
	var report Report
	for _, problem := range f.problems {
		report.Failures = append(report.Failures, Failure{Err: problem})
	}
	results := make([]error, len(f.cases))
	parallel(len(f.cases), func(i int) { results[i] = f.checkCase(&f.cases[i]) })
	for i, err := range results {
		switch {
		case err == nil:
			report.Passed++
		case errors.Is(err, errSkipped):
			report.Skipped++
		default:
			report.Failures = append(report.Failures, Failure{f.cases[i].label(), err})
		}
	}
	return report
}

// String is the failure in one line.
func (f Failure) String() string {
	text := f.Err.Error()
	if f.Case != "" {
		text = f.Case + ": " + text
	}
	const longest = 400
	if len(text) > longest {
		text = text[:longest] + "…"
	}
	for _, r := range text {
		if !strconv.IsPrint(r) {
			return strconv.Quote(text)
		}
	}
	return text
}

// String is the outcome in one line: "3 passed, 0 failed".
func (r Report) String() string {
	text := fmt.Sprintf("%d passed, %d failed", r.Passed, len(r.Failures))
	if r.Skipped > 0 {
		text += fmt.Sprintf(", %d skipped for the time they take", r.Skipped)
	}
	return text
}

var (
	errSkipped = errors.New("skipped")
	errPanic   = errors.New("panic")
)

// packets is the longest accumulated hash that is checked.
func (c Checker) packets() int {
	switch {
	case c.Long:
		return accumulatedLongest
	case c.quick:
		return accumulatedShort
	}
	return accumulatedLong
}

// checkCase runs one case. A panic, which no vector must be able to cause, is that case's failure.
func (f *file) checkCase(v *vector) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("%w: %v", errPanic, cause)
		}
	}()
	check, err := f.recognise(v)
	if err != nil {
		return err
	}
	return check(&f.setting, v.raw)
}

// parallel calls do(0) to do(n−1) on all processors and returns when all are done.
func parallel(n int, do func(i int)) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	workers.Wait()
}
