package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"sphinxmix.example/tao/swtpm"
)

// softwareTPMs are the machines of a network in which each is a program, of one maker.
type softwareTPMs struct {
	maker  *swtpm.Factory
	folder *passingFolder // with their state

	mu      sync.Mutex
	running []*swtpm.TPM // guarded by mu
}

// newSoftwareTPMs returns none yet, where they can be started.
func newSoftwareTPMs() (*softwareTPMs, error) {
	if err := swtpm.Found(); err != nil {
		return nil, fmt.Errorf("%w; without --tpm, none is needed", err)
	}
	s := new(softwareTPMs)
	var err error
	if s.maker, err = swtpm.NewFactory(time.Now()); err != nil {
		return nil, err
	}
	if s.folder, err = makePassingFolder("mixnet-tpm-*"); err != nil {
		return nil, fmt.Errorf("no folder for the software TPMs: %w", err)
	}
	return s, nil
}

// start starts one, with a certificate of its maker.
func (s *softwareTPMs) start(number int) (*machine, error) {
	t, err := swtpm.Start(filepath.Join(s.folder.name, fmt.Sprint(number)))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.running = append(s.running, t)
	s.mu.Unlock()
	device := t.Device()
	if err := s.maker.Certify(device); err != nil {
		return nil, err
	}
	m := &machine{activate: device.Activate}
	if m.endorsement, err = device.Endorsement(); err != nil {
		return nil, err
	}
	m.attestor, err = device.Attestor()
	return m, err
}

// close ends them, and removes what was theirs.
func (s *softwareTPMs) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ending sync.WaitGroup
	for _, t := range s.running {
		ending.Go(func() { _ = t.Close() }) // of which nothing is kept
	}
	ending.Wait()
	s.running = nil
	s.folder.remove()
}

// passingFolder is a folder that goes when this process does, whichever way that ends.
type passingFolder struct {
	name    string
	remover *exec.Cmd
	hold    *os.File // that is held open until the folder is to go
}

// removing waits until nobody holds its input any more, and removes a folder, into which others may still be writing
// for a moment.
const removing = `trap '' HUP INT QUIT TERM
read -r _
for _ in 1 2 3 4 5 6 7 8 9 10; do rm -rf -- "$0" 2>/dev/null && exit; sleep 0.1; done`

// makePassingFolder makes one among the system's temporary files, with a name of this pattern.
func makePassingFolder(pattern string) (_ *passingFolder, err error) {
	f := new(passingFolder)
	temporary, err := filepath.Abs(os.TempDir()) // as the remover is elsewhere
	if err != nil {
		return nil, err
	}
	if f.name, err = os.MkdirTemp(temporary, pattern); err != nil {
		return nil, err
	}
	input, hold, err := os.Pipe()
	if err == nil {
		defer input.Close()
		f.hold = hold
		f.remover = exec.Command("/bin/sh", "-c", removing, f.name)
		f.remover.Stdin = input
		f.remover.Dir = "/"
		f.remover.SysProcAttr = ownSession()
		if err = f.remover.Start(); err != nil {
			hold.Close()
		}
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(f.name))
	}
	return f, nil
}

// remove removes the folder now.
func (f *passingFolder) remove() {
	f.hold.Close()
	_ = f.remover.Wait()
}
