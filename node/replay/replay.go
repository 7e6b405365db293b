// Package replay remembers the tags of packets that a key has opened, for as long as the key lives: a [Set] does so in
// memory, for a key that dies with the process, and a [Log] on disk, for a key that is kept there too.
package replay

import "errors"

// ErrFull is returned by Fresh when a Set or Log has no room for all tags. Nothing more is opened with its key once it
// is full.
var ErrFull = errors.New("replay: the set is full; the key must be replaced")

// What is wrong with the file of a Log, or with the Log. The errors returned wrap these and say more.
var (
	ErrCorrupt = errors.New("replay: the log is damaged; its key must not be used any more")
	ErrBinding = errors.New("replay: the log belongs to another key")
	ErrVersion = errors.New("replay: the log has another version than this program can read")
	ErrClosed  = errors.New("replay: the log is closed")
)
