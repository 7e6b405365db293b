package nodetest

import (
	"context"
	"crypto/ed25519"
	"net"
	"sync"

	"sphinxmix.example/node/link"
)

// Frame is one frame on a link between mixes, or between a mix and a client.
type Frame struct {
	From, To string // the names of its two ends
	Kind     link.Kind
	Arg      byte
	Body     []byte
}

// A Tap sees every frame that is not padding, once it has left its sender, and returns what reaches the receiver in its
// place: nothing, that frame, or any others of its size. Frames of one direction of one link come one by one, each when
// the Tap has returned from the one before; those of others come meanwhile. So a Tap that waits holds up a link.
//
// A network with a Tap knows the keys of its mixes and breaks the TLS of its links to get at the frames, which doubles
// what they cost. A link without frames is given up after 10 minutes, since padding does not get through.
type Tap func(Frame) []Frame

// tap puts a Tap into the connection to a mix and returns the dialer's new end of it.
func (n *Network) tap(host string, key ed25519.PrivateKey, to *listener, inner net.Conn) net.Conn {
	near, far := n.pipe(host, to.address)
	ctx, cancel := context.WithCancel(context.Background())
	outer := &single{Conn: far, done: ctx, end: cancel}
	n.running.Go(func() {
		defer cancel()
		defer inner.Close()
		cfg := link.Config{Key: to.identity, FrameSize: n.Params.PacketSize()}
		_ = link.Serve(ctx, outer, cfg, func(ctx context.Context, dialer *link.Conn) {
			cfg.Key = key
			mix, err := link.Dial(ctx, inner, to.identity.Public().(ed25519.PublicKey), cfg)
			if err != nil {
				return
			}
			var back sync.WaitGroup
			back.Go(func() { n.forward(to.name, mix, host, dialer) })
			n.forward(host, dialer, to.name, mix)
			back.Wait()
		})
	})
	return near
}

// forward takes frames from one link to another until one of them ends, and then ends the other.
func (n *Network) forward(from string, in *link.Conn, to string, out *link.Conn) {
	defer in.Close()
	defer out.Close()
	for {
		f := Frame{From: from, To: to, Body: make([]byte, n.Params.PacketSize())}
		var err error
		if f.Kind, f.Arg, err = in.ReadFrame(f.Body); err != nil {
			return
		}
		for _, g := range n.cfg.Tap(f) {
			if err := out.WriteFrame(g.Kind, g.Arg, g.Body); err != nil {
				return
			}
		}
		if err := out.Flush(); err != nil {
			return
		}
	}
}

// single is a listener for one connection, which ends when that connection does.
type single struct {
	net.Conn
	done  context.Context
	end   context.CancelFunc
	taken sync.Once
}

func (s *single) Accept() (conn net.Conn, err error) {
	s.taken.Do(func() { conn = s })
	if conn == nil {
		<-s.done.Done()
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (s *single) Addr() net.Addr { return s.LocalAddr() }

func (s *single) Close() error {
	s.end()
	return s.Conn.Close()
}
