package node

import (
	"sync/atomic"

	"sphinxmix.example/node/link"
)

// outlet writes packets to one link and keeps account of them: those that a link's buffer still held when it broke have
// gone nowhere.
type outlet struct {
	conn    *link.Conn
	sent    *atomic.Uint64
	lost    *atomic.Uint64
	pending uint64      // written and not flushed
	release func() bool // stops what watches over conn; may be nil
}

// write sends a frame, at once where nothing is waiting behind it. After an error the outlet is closed.
func (o *outlet) write(kind link.Kind, epoch byte, frame []byte, last bool) error {
	o.pending++
	err := o.conn.WriteFrame(kind, epoch, frame)
	if err == nil && last {
		err = o.conn.Flush()
	}
	switch {
	case err != nil:
		o.close()
	case last:
		o.sent.Add(o.pending)
		o.pending = 0
	}
	return err
}

func (o *outlet) close() {
	o.conn.Close()
	if o.release != nil {
		o.release()
	}
	o.lost.Add(o.pending)
	o.pending = 0
}
