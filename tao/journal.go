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
	known    bool // the log of this start of the machine, or of one before
	start    [32]byte
	events   EventLog
	last     *Event // written down, and perhaps measured; nil where all were
}

// openJournal returns the log of the register. It begins a new one where the machine was started anew.
func openJournal(path string, register uint8, a Attestor) (*journal, error) {
	j := &journal{path: path, register: register, attestor: a}
	if err := j.load(); err != nil {
		return nil, err
	}
	return j, j.sync()
}

// load reads the file, if there is one. What a crash has left where an event was being written, a part of it or zeros,
// is left out: if more is missing, the register shows it.
func (j *journal) load() error {
	if j.path == "" {
		return nil
	}
	b, err := os.ReadFile(j.path)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && len(b) < 32:
		return nil
	case err != nil:
		return err
	}
	j.known, j.start = true, [32]byte(b)
	j.events, _, _ = parseEvents(b[32:])
	if n := len(j.events); n > 0 {
		j.events, j.last = j.events[:n-1], &j.events[n-1]
	}
	return nil
}

// sync brings the log, and its file, in step with the register.
func (j *journal) sync() error {
	value, err := j.attestor.Read(j.register)
	if err != nil {
		return err
	}
	before := j.events.Replay(j.start)
	switch {
	case j.known && j.last != nil && Extend(before, j.last.Measure()) == value:
		j.events = append(j.events, *j.last)
	case j.known && before == value:
	case !j.known || value == j.start || value == [32]byte{}:
		j.known, j.start, j.events = true, value, nil
	default:
		return j.foreign()
	}
	j.last = nil
	return j.rewrite()
}

// foreign is the error of a register that this log does not explain.
func (j *journal) foreign() error {
	return fmt.Errorf("tao: register %d has been extended by something that the log %s does not know: start the machine anew, or if that was done, remove the log",
		j.register, j.path)
}

// rewrite makes the file be what the journal is.
func (j *journal) rewrite() error {
	if j.path == "" {
		return nil
	}
	next := j.path + ".partial"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeSynced(next, os.O_CREATE|os.O_EXCL, append(j.start[:], j.events.Encode()...)); err != nil {
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

// measure writes an event down and extends the register with it. Where it fails, sync tells how far it came.
func (j *journal) measure(e Event) error {
	if len(j.events.Encode())+len(e.append(nil)) > maxLogSize {
		return ErrLogFull
	}
	j.last = &e
	if j.path != "" {
		if err := writeSynced(j.path, os.O_APPEND, e.append(nil)); err != nil {
			return err
		}
	}
	if err := j.attestor.Extend(j.register, e.Measure()); err != nil {
		return err
	}
	j.events, j.last = append(j.events, e), nil
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
