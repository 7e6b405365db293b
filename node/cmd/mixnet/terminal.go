package main

import (
	"fmt"
	"os"
	"time"
)

// statusLine is one line of a terminal that is written over and over. Where the output is no terminal, only progress
// shows anything, and seldom.
type statusLine struct {
	out      *os.File
	terminal bool
	shown    time.Time
}

func newStatusLine(out *os.File) *statusLine {
	info, err := out.Stat()
	return &statusLine{out: out, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

func (s *statusLine) show(text string) {
	if s.terminal {
		fmt.Fprintf(s.out, "\r\x1b[K%s", text)
	}
}

func (s *statusLine) clear() { s.show("") }

// progress shows how much of total bytes is done: on a terminal a few times a second, elsewhere a line every few
// seconds.
func (s *statusLine) progress(what string, done, total int64, start time.Time) {
	every := 100 * time.Millisecond
	if !s.terminal {
		every = 2 * time.Second
	}
	if s.shown.IsZero() {
		s.shown = start
	}
	if now := time.Now(); now.Sub(s.shown) >= every {
		s.shown = now
		rate := float64(done) / 1e6 / max(now.Sub(start).Seconds(), 1e-3)
		text := fmt.Sprintf("%s %3d %%  %.1f of %.1f MB, %.2f MB/s", what, 100*done/max(total, 1), float64(done)/1e6, float64(total)/1e6, rate)
		if s.terminal {
			s.show(text)
		} else {
			fmt.Fprintln(s.out, text)
		}
	}
}
