package tao

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// EventKind says what an Event measures.
type EventKind uint8

// The kinds of events.
const (
	ProgramStarted EventKind = 1 + iota // Digest: the SHA-256 of the program's file
	Configured                          // Digest: of its Configuration
	KeyMade                             // Digest: a Curve25519 key, that of Epoch
)

// An Event is something that a node has done, and measured into a register of its machine before it went on.
type Event struct {
	Kind   EventKind
	Epoch  uint64 // of a KeyMade; zero in others
	Digest [32]byte
}

const eventContext = "sphinxmix event v1\x00"

// Measure returns what the register is extended with.
func (e *Event) Measure() [32]byte { return hash(eventContext, e.append(nil)) }

// append writes the event behind b: kind(1) ‖ digest(32), or for a key, kind(1) ‖ epoch(8) ‖ key(32).
func (e *Event) append(b []byte) []byte {
	b = append(b, byte(e.Kind))
	if e.Kind == KeyMade {
		b = binary.BigEndian.AppendUint64(b, e.Epoch)
	}
	return append(b, e.Digest[:]...)
}

// EventLog is what has been measured since the machine was started, oldest first.
type EventLog []Event

// Encode returns the log as ParseLog reads it: 33 bytes for each event, 41 for keys.
func (l EventLog) Encode() []byte {
	b := make([]byte, 0, 41*len(l))
	for i := range l {
		b = l[i].append(b)
	}
	return b
}

var errLogTorn = errors.New("a part of an event is missing")

// ParseLog is the reverse of [EventLog.Encode].
func ParseLog(b []byte) (EventLog, error) {
	log, rest, err := parseEvents(b)
	if err == nil && len(rest) > 0 {
		err = errLogTorn
	}
	return log, err
}

// parseEvents returns the events that b begins with, and what stands behind them. The error says why that is no event.
func parseEvents(b []byte) (log EventLog, rest []byte, err error) {
	for len(b) > 0 {
		e := Event{Kind: EventKind(b[0])}
		head := 1
		switch e.Kind {
		case ProgramStarted, Configured:
		case KeyMade:
			head += 8
		default:
			return log, b, fmt.Errorf("there is no event of kind %d", b[0])
		}
		if len(b) < head+32 {
			return log, b, nil
		}
		if e.Kind == KeyMade {
			e.Epoch = binary.BigEndian.Uint64(b[1:])
		}
		copy(e.Digest[:], b[head:])
		log, b = append(log, e), b[head+32:]
	}
	return log, nil, nil
}

// Replay returns the value of a register that had the value start, after all events of the log.
func (l EventLog) Replay(start [32]byte) [32]byte {
	for i := range l {
		start = Extend(start, l[i].Measure())
	}
	return start
}

// Extend returns what TPM2_PCR_Extend makes of a register: SHA-256(value ‖ digest).
func Extend(value, digest [32]byte) [32]byte {
	var b [64]byte
	copy(b[:], value[:])
	copy(b[32:], digest[:])
	return sha256.Sum256(b[:])
}

// running returns the events since the program that runs now was started; none if none was.
func (l EventLog) running() EventLog {
	for i := len(l) - 1; i >= 0; i-- {
		if l[i].Kind == ProgramStarted {
			return l[i:]
		}
	}
	return nil
}
