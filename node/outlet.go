package node

import (
	"sync/atomic"

	"sphinxmix.example/node/link"
)

// outlet writes packets to one link and keeps account of them: those that a link's buffer still held when it broke have
// gone nowhere.
type outlet struct {
	conn    *link.Conn
	sent    []*atomic.Uint64 // each counts what was flushed
	lost    []*atomic.Uint64 // each counts what was not
	pending uint64           // written and not flushed
	release func() bool      // stops what watches over conn; may be nil
	padding []byte           // the body of a frame of zeros
}

// write sends a frame, at once where nothing is waiting behind it. After an error all that is left to do is to close.
func (o *outlet) write(kind link.Kind, epoch byte, frame []byte, last bool) error {
	o.pending++
	err := o.conn.WriteFrame(kind, epoch, frame)
	if err == nil && last {
		err = o.conn.Flush()
	}
	if err == nil && last {
		add(o.sent, o.pending)
		o.pending = 0
	}
	return err
}

// pad sends a frame that says nothing. After an error all that is left to do is to close.
func (o *outlet) pad() error {
	err := o.conn.WriteFrame(link.Padding, 0, o.padding)
	if err == nil {
		err = o.conn.Flush()
	}
	return err
}

func (o *outlet) close() {
	o.conn.Close()
	if o.release != nil {
		o.release()
	}
	add(o.lost, o.pending)
	o.pending = 0
}

func add(counters []*atomic.Uint64, count uint64) {
	for _, c := range counters {
		c.Add(count)
	}
}
