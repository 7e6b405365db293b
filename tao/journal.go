package tao

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// journal is the log of what has been measured into one register, in step with it. Each event is on disk before it is
// measured: an event that is only on disk shows at the next start, and one that is only in the register could not be
// explained to anybody.
//
// The file is the value of the register before the first event(32), and the events.
type journal struct {
	path     string // empty where nothing is kept
	register uint8
	attestor Attestor
	start    [32]byte
	events   EventLog
}

// openJournal returns the log of the register. It begins a new one where the machine was started anew.
func openJournal(path string, register uint8, a Attestor) (*journal, error) {
	j := &journal{path: path, register: register, attestor: a}
	value, err := a.Read(register)
	if err != nil {
		return nil, err
	}
	known, err := j.load()
	if err != nil {
		return nil, err
	}
	switch {
	case known && j.events.Replay(j.start) == value:
	case known && len(j.events) > 0 && j.events[:len(j.events)-1].Replay(j.start) == value:
		j.events = j.events[:len(j.events)-1] // written, and then not measured
	case !known || value == j.start || value == [32]byte{}:
		j.start, j.events = value, nil
	default:
		return nil, fmt.Errorf("tao: register %d has been extended by something that %s does not know: start the machine anew, or if that was done, remove the file",
			register, path)
	}
	return j, j.rewrite() // without what a crash may have left behind the last event
}

// load reads the file, and reports whether there is one. What a crash has left of an event that was being written is left
// out.
func (j *journal) load() (bool, error) {
	if j.path == "" {
		return false, nil
	}
	b, err := os.ReadFile(j.path)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && len(b) < 32:
		return false, nil
	case err != nil:
		return false, err
	}
	j.start = [32]byte(b)
	if j.events, _, err = parseEvents(b[32:]); err != nil {
		return false, fmt.Errorf("tao: %s: %w: if the machine was started anew, remove the file", j.path, err)
	}
	return true, nil
}

// rewrite makes the file be what the journal is.
func (j *journal) rewrite() error {
	if j.path == "" {
		return nil
	}
	next := j.path + ".new"
	if err := writeSynced(next, os.O_CREATE|os.O_TRUNC, append(j.start[:], j.events.Encode()...)); err != nil {
		return err
	}
	if err := os.Rename(next, j.path); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(j.path))
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

// measure writes an event down and extends the register with it. Where it fails the journal must not be used any more: it
// may be one event ahead of the register.
func (j *journal) measure(e Event) error {
	if len(j.events.Encode())+len(e.append(nil)) > maxLogSize {
		return ErrLogFull
	}
	if j.path != "" {
		if err := writeSynced(j.path, os.O_APPEND, e.append(nil)); err != nil {
			return err
		}
	}
	if err := j.attestor.Extend(j.register, e.Measure()); err != nil {
		return err
	}
	j.events = append(j.events, e)
	return nil
}

func writeSynced(path string, flags int, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|flags, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
