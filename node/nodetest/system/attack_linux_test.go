package system_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sphinxmix.example/node/link"
)

// attack is a number of connections to one node, each of which is made anew when the node ends it.
type attack struct {
	t         *testing.T
	target    *mix
	frameSize int

	ctx     context.Context // ends when no connection is made anew any more
	stop    context.CancelFunc
	running sync.WaitGroup

	mu    sync.Mutex
	open  map[string]map[net.Conn]bool // by kind; guarded by mu
	made  map[string]int               // connections, by kind; guarded by mu
	sent  map[string]int               // frames, by kind; guarded by mu
	quiet bool                         // nothing more is sent; guarded by mu
}

// assault does its harm on one connection, and returns when the node ends it or the attack is quiet; then the connection
// stays open.
type assault func(a *attack, conn net.Conn, kind string) error

// assaults are what there is, and whether the node ends such connections by itself soon. Those with links who are
// only silent have ten minutes.
var assaults = map[string]struct {
	do   assault
	ends bool
}{
	"garbage instead of a handshake": {garbage, true},
	"no handshake":                   {silence, true},
	"a byte at a time":               {trickle, true},
	"a key of another kind":          {wrongKey, true},
	"oversized frames":               {oversized, true},
	"frames that make no sense":      {nonsense, true},
	"connect and go":                 {churn, true},
	"silent after the handshake":     {idle, false},
	"a flood of garbage packets":     {flood, false},
	"packets for no epoch":           {wrongEpoch, false},
}

// attackers are the addresses that they come from.
const attackers = 50

// startAttack makes connections of all kinds, that many in all.
func (n *network) startAttack(target *mix, connections int) *attack {
	ctx, cancel := context.WithCancel(context.Background())
	a := &attack{
		t: n.t, target: target, frameSize: n.view().PacketSize(), ctx: ctx, stop: cancel,
		open: make(map[string]map[net.Conn]bool), made: make(map[string]int), sent: make(map[string]int),
	}
	n.t.Cleanup(a.end)
	kinds := slices.Sorted(maps.Keys(assaults))
	for i := range connections {
		kind, from := kinds[i%len(kinds)], n.sender(100+i/len(kinds)%attackers)
		a.running.Go(func() { a.repeat(kind, from) })
	}
	return a
}

// repeat makes one connection after the other.
func (a *attack) repeat(kind, from string) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	pause := time.NewTicker(500 * time.Millisecond)
	defer pause.Stop()
	for {
		if conn, err := dialer.DialContext(a.ctx, "tcp", a.target.address); err == nil {
			a.note(kind, conn)
			if assaults[kind].do(a, conn, kind) == nil {
				_, _ = io.Copy(io.Discard, conn) // until the node ends it, or the test does
			}
			a.forget(kind, conn)
		}
		select {
		case <-pause.C:
		case <-a.ctx.Done():
			return
		}
	}
}

func (a *attack) note(kind string, conn net.Conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open[kind] == nil {
		a.open[kind] = make(map[net.Conn]bool)
	}
	a.open[kind][conn] = true
	a.made[kind]++
}

func (a *attack) forget(kind string, conn net.Conn) {
	conn.Close()
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.open[kind], conn)
}

// opened returns how many connections are open now of the kinds that the node ends by itself, and of the others.
func (a *attack) opened() (ends, others int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for kind, conns := range a.open {
		if assaults[kind].ends {
			ends += len(conns)
		} else {
			others += len(conns)
		}
	}
	return ends, others
}

// goesOn counts a frame, and reports whether the attack goes on.
func (a *attack) goesOn(kind string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sent[kind]++
	return !a.quiet
}

// rest makes no connection anew from now on, and sends nothing more on those that there are, but keeps them.
func (a *attack) rest() {
	a.mu.Lock()
	a.quiet = true
	a.mu.Unlock()
	a.stop()
}

// end ends all connections.
func (a *attack) end() {
	a.rest()
	a.mu.Lock()
	for _, conns := range a.open {
		for conn := range conns {
			conn.Close()
		}
	}
	a.mu.Unlock()
	a.running.Wait()
}

// String says what there was.
func (a *attack) String() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var lines []string
	for _, kind := range slices.Sorted(maps.Keys(a.made)) {
		lines = append(lines, fmt.Sprintf("%-32s %4d open of %6d made, %8d frames", kind, len(a.open[kind]), a.made[kind], a.sent[kind]))
	}
	return strings.Join(lines, "\n")
}

func garbage(_ *attack, conn net.Conn, _ string) error {
	noise := make([]byte, 4096)
	_, _ = rand.Read(noise)
	_, err := conn.Write(noise)
	return err
}

func silence(*attack, net.Conn, string) error { return nil }

// trickle makes a handshake whose every byte goes alone.
func trickle(a *attack, conn net.Conn, kind string) error {
	_, err := a.link(slow{conn}, nil)
	return err
}

// slow is a connection on which every byte is written alone, and slowly.
type slow struct{ net.Conn }

func (s slow) Write(b []byte) (int, error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for i := range b {
		if _, err := s.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
		<-tick.C
	}
	return len(b), nil
}

// wrongKey shows a certificate for a key that is not Ed25519.
func wrongKey(_ *attack, conn net.Conn, _ string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	return tls.Client(conn, &tls.Config{
		InsecureSkipVerify: true,
		NextProtos:         []string{"sphinxmix/1"},
		Certificates:       []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
	}).Handshake()
}

// link makes a link as whoever holds key, anonymously where that is nil.
func (a *attack) link(conn net.Conn, key ed25519.PrivateKey) (*link.Conn, error) {
	return link.Dial(context.Background(), conn, a.target.identity, link.Config{Key: key, FrameSize: a.frameSize, HandshakeTimeout: time.Hour})
}

// oversized sends frames that are twice as long as they should be.
func oversized(a *attack, conn net.Conn, kind string) error {
	c, err := link.Dial(context.Background(), conn, a.target.identity, link.Config{FrameSize: 2 * a.frameSize})
	if err != nil {
		return err
	}
	return a.send(c, kind, 2*a.frameSize, func([]byte) (link.Kind, byte) { return link.Packet, byte(mathrand.IntN(256)) })
}

// nonsense sends frames of kinds that no client sends.
func nonsense(a *attack, conn net.Conn, kind string) error {
	return a.linkAndSend(conn, kind, func([]byte) (link.Kind, byte) { return link.Reply + link.Kind(mathrand.IntN(200)), 0 })
}

// flood sends packets that do not open, to the node's current key.
func flood(a *attack, conn net.Conn, kind string) error {
	return a.linkAndSend(conn, kind, func(body []byte) (link.Kind, byte) {
		mathrand.NewChaCha8([32]byte(body)).Read(body[:64])
		return link.Packet, a.epoch()
	})
}

// wrongEpoch sends packets for an epoch that is long over.
func wrongEpoch(a *attack, conn net.Conn, kind string) error {
	return a.linkAndSend(conn, kind, func([]byte) (link.Kind, byte) { return link.Packet, a.epoch() + 100 })
}

func (a *attack) epoch() byte { return byte(time.Now().Unix() / 3600) }

// linkAndSend sends frames as a mix that nobody knows.
func (a *attack) linkAndSend(conn net.Conn, kind string, make func(body []byte) (link.Kind, byte)) error {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	c, err := a.link(conn, key)
	if err != nil {
		return err
	}
	return a.send(c, kind, a.frameSize, make)
}

// fewest is how many frames are sent in any case, of which one at least shows the node what they are.
const fewest = 10

// send sends frames as fast as the node takes them, until it ends the link or the attack is quiet.
func (a *attack) send(c *link.Conn, kind string, size int, next func(body []byte) (link.Kind, byte)) error {
	body := make([]byte, size)
	_, _ = rand.Read(body)
	for i := 0; a.goesOn(kind) || i < fewest; i++ {
		frameKind, arg := next(body)
		if err := errors.Join(c.WriteFrame(frameKind, arg, body), c.Flush()); err != nil {
			return err
		}
	}
	return nil
}

// idle makes a link and says nothing.
func idle(a *attack, conn net.Conn, _ string) error {
	_, err := a.link(conn, nil)
	return err
}

// churn makes a link and leaves.
func churn(a *attack, conn net.Conn, kind string) error {
	if _, err := a.link(conn, nil); err != nil {
		return err
	}
	return errGone
}

var errGone = errors.New("gone")

// all returns how many connections have been made.
func (a *attack) all() (sum int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, made := range a.made {
		sum += made
	}
	return sum
}
