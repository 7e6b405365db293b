package sphinx

// Replay remembers the tags of the packets that one key has opened, for as long as that key lives.
type Replay interface {
	// Fresh stores all tags and sets fresh[i], for each of them, to whether tags[i] was new: neither stored by an
	// earlier call, by anyone, nor equal to one before it in tags. Looking up and storing is one step, and what
	// Fresh has called new is new to no later call. Where tags are to survive a crash, they must be on disk before
	// anything leaves of what was opened; whether Fresh sees to that or a later step is the caller's choice. An error
	// refuses all of the packets.
	//
	// tags and fresh have one length and belong to the caller again after the call.
	Fresh(tags []Tag, fresh []bool) error
}

// TagSet is a Replay in memory that grows without bound: right for a key that opens few packets and dies with the
// process. It is not safe for concurrent use. Use make.
type TagSet map[Tag]struct{}

// Fresh implements Replay.
func (s TagSet) Fresh(tags []Tag, fresh []bool) error {
	for i, tag := range tags {
		_, seen := s[tag]
		fresh[i] = !seen
		s[tag] = struct{}{}
	}
	return nil
}
