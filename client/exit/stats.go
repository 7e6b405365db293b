package exit

import (
	"sync/atomic"

	"sphinxmix.example/client/stream"
)

// Stats is what a TCP service has done since it was made. It says nothing about any one client or target.
type Stats struct {
	Sessions, Streams int   // there are; streams that are being dialled are among them
	Memory            int64 // bytes that they take

	Opened  uint64            // streams that were connected
	Refused map[string]uint64 // streams that were not, by reason; all reasons are there
	Ended   map[string]uint64 // sessions, by why they ended; all reasons are there

	FromClients, ToClients uint64 // bytes
}

// counters are the parts of Stats that only grow.
type counters struct {
	opened, fromClients, toClients atomic.Uint64

	refused [len(reasons)]atomic.Uint64 // by [stream.Code]
	ended   [endings]atomic.Uint64
}

// reasons has a word for each code that a stream may be refused with.
var reasons = [...]string{
	stream.Overloaded:  "overloaded",
	stream.NotAllowed:  "policy",
	stream.NotFound:    "name",
	stream.Refused:     "refused",
	stream.Unreachable: "host",
	stream.NoNetwork:   "network",
	stream.TimedOut:    "timeout",
	stream.Failed:      "failed",
}

var endingNames = [endings]string{
	endedByClient:  "client",
	endedBroken:    "protocol",
	endedIdle:      "idle",
	endedSilent:    "silent",
	endedForPlace:  "place",
	endedForMemory: "memory",
	endedByClose:   "closed",
}

func (c *counters) refuse(code stream.Code) { c.refused[code].Add(1) }

// Stats returns what the service has done so far.
func (t *TCP) Stats() Stats {
	t.mu.Lock()
	s := Stats{Sessions: len(t.sessions), Streams: t.streams, Memory: t.memory}
	t.mu.Unlock()
	s.Opened = t.counts.opened.Load()
	s.FromClients, s.ToClients = t.counts.fromClients.Load(), t.counts.toClients.Load()
	s.Refused = make(map[string]uint64, len(reasons))
	for code := stream.Overloaded; int(code) < len(reasons); code++ {
		s.Refused[reasons[code]] = t.counts.refused[code].Load()
	}
	s.Ended = make(map[string]uint64, endings)
	for why, name := range endingNames {
		s.Ended[name] = t.counts.ended[why].Load()
	}
	return s
}
