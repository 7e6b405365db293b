package welcome

import (
	"bufio"
	"context"
	"crypto/rand"
	"io"
	"net"
	"strings"
	"sync"

	"sphinxmix.example/node/directory"
)

// journey is the path that the first packet of a connection took, and the one that it carried for an answer.
type journey struct{ out, back []directory.NodeID }

// Journeys are those that the client of this process has made to the page. The page cannot know them: so that
// the picture is of the very connection that asks for it, the client begins that with a number, under which its journey
// is kept. And as Routed says no more than where connections lead, each that is being made has a spelling of the page's
// address to itself.
type Journeys struct {
	mu    sync.Mutex
	count uint                // of connections so far; guarded by mu
	under map[string]*journey // way of each connection that is being made, nil before it is known; guarded by mu
	kept  map[ticket]*journey // guarded by mu
}

// ticket is a random number.
type ticket [16]byte

// ticketMark is the byte before a ticket. No request starts with it.
const ticketMark = 0

// NewJourneys returns none yet.
func NewJourneys() *Journeys {
	return &Journeys{under: make(map[string]*journey), kept: make(map[ticket]*journey)}
}

// Routed takes note of the journey of a connection that is being made, as client.Config.Routed.
func (j *Journeys) Routed(address string, out, back []directory.NodeID) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, made := j.under[address]; made {
		j.under[address] = &journey{out, back}
	}
}

// leadsHere reports whether an address is the page's.
func leadsHere(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && strings.EqualFold(strings.TrimSuffix(host, "."), Host)
}

// spellings is how many ways there are to write Host in small and large letters.
const spellings = 1 << (len(Host) - len("."))

// spelled writes the page's address with those letters large that number, below spellings, has bits for. An exit
// takes them all for one name.
func spelled(address string, number uint) string {
	name := []byte(Host)
	for i, letter := range name {
		if letter == '.' {
			continue
		}
		if number&1 == 1 {
			name[i] = letter - 'a' + 'A'
		}
		number >>= 1
	}
	_, port, _ := net.SplitHostPort(address)
	return net.JoinHostPort(string(name), port)
}

// Dial makes a connection through the network, as client.Client.Dial does.
type Dial = func(ctx context.Context, isolation, address string) (net.Conn, error)

// Dialer makes connections by dial, and begins those to the page with a ticket.
func (j *Journeys) Dialer(dial Dial) Dial {
	return func(ctx context.Context, isolation, address string) (net.Conn, error) {
		if !leadsHere(address) {
			return dial(ctx, isolation, address)
		}
		address = j.begin(address)
		conn, err := dial(ctx, isolation, address)
		t, kept := j.end(address, err == nil)
		if err != nil || !kept {
			return conn, err
		}
		if _, err := conn.Write(append([]byte{ticketMark}, t[:]...)); err != nil {
			conn.Close()
			return nil, err
		}
		return conn, nil
	}
}

// begin returns an address of the page under which Routed is to tell of a connection. The plain one, by which it tells of
// none, is for those that come when the next spelling is still in use: nobody learns another one's way.
func (j *Journeys) begin(address string) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	own := spelled(address, 1+j.count%(spellings-1))
	j.count++
	if _, used := j.under[own]; used {
		return spelled(address, 0)
	}
	j.under[own] = nil
	return own
}

// maxJourneys is how many are kept that no page was asked for with.
const maxJourneys = 1000

// end gives the journey of a connection that was made, if it is known, a ticket, and lets go of that of any other.
func (j *Journeys) end(address string, made bool) (t ticket, kept bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	known := j.under[address]
	delete(j.under, address)
	if !made || known == nil {
		return t, false
	}
	if len(j.kept) == maxJourneys {
		clear(j.kept)
	}
	rand.Read(t[:])
	j.kept[t] = known
	return t, true
}

// redeem reads the ticket that a connection begins with, if it does, and returns its journey.
func (j *Journeys) redeem(from *bufio.Reader) (*journey, bool) {
	if first, err := from.Peek(1); err != nil || first[0] != ticketMark {
		return nil, false
	}
	var marked [1 + len(ticket{})]byte
	if _, err := io.ReadFull(from, marked[:]); err != nil {
		return nil, false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	t := ticket(marked[1:])
	known := j.kept[t]
	delete(j.kept, t)
	return known, known != nil
}
