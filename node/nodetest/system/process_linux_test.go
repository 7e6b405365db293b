package system_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// process is a program under a name, which may run several times, one after the other. It ends with the test.
type process struct {
	t    *testing.T
	name string
	log  string // file of what it says on standard error, in all its lives

	command *exec.Cmd
	ended   chan struct{} // closed once the process has
}

// starts are done by one thread that lives as long as the program: Linux ends a process with the thread that made it.
var starts = func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
}()

// newProcess returns one that does not run yet. folder is where its log goes.
func newProcess(t *testing.T, name, folder string) *process {
	p := &process{t: t, name: name, log: filepath.Join(folder, name+".log")}
	t.Cleanup(func() {
		p.kill()
		for _, fault := range []string{"DATA RACE", "panic: ", "fatal error: "} {
			if at := strings.Index(p.said(1<<30), fault); at >= 0 {
				t.Errorf("%s has a fault:\n%.4000s", name, p.said(1 << 30)[at:])
			}
		}
		if t.Failed() && p.said(10) != "" {
			t.Logf("%s said last:\n%s", name, p.said(2048))
		}
	})
	return p
}

// start runs a command.
func (p *process) start(command *exec.Cmd) {
	p.t.Helper()
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(p.t, err)
	defer log.Close()
	command.Stderr = log
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	failed := make(chan error)
	starts <- func() { failed <- command.Start() }
	require.NoError(p.t, <-failed, p.name)
	p.command, p.ended = command, make(chan struct{})
	go func(ended chan<- struct{}) {
		defer close(ended)
		_ = command.Wait() // what became of it stands in ProcessState
	}(p.ended)
}

func (p *process) runs() bool {
	if p.command == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// kill ends the process as a crash does, if it runs, and waits until it is gone.
func (p *process) kill() {
	if p.command != nil {
		_ = p.command.Process.Kill() // which may have ended
		<-p.ended
	}
}

// signal sends a signal to a process that runs.
func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.command.Process.Signal(s), p.name)
}

// state says how the process ended: its exit status, or -1 if a signal ended it.
func (p *process) state() (status int, text string) {
	return p.command.ProcessState.ExitCode(), p.command.ProcessState.String()
}

// said returns the last of what the process said on standard error, that many bytes at most.
func (p *process) said(last int) string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(text[max(0, len(text)-last):]))
}

// memory returns how much of the machine's memory the process has now, and has had at most, in bytes.
func (p *process) memory() (now, most int64) {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	require.NoError(p.t, err)
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kilobytes, _ := strconv.ParseInt(fields[1], 10, 64)
		switch fields[0] {
		case "VmRSS:":
			now = kilobytes << 10
		case "VmHWM:":
			most = kilobytes << 10
		}
	}
	require.Positive(p.t, now)
	return now, most
}

// files returns how many files and connections the process has open.
func (p *process) files() int {
	p.t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.command.Process.Pid))
	require.NoError(p.t, err)
	return len(entries)
}
