package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/tao"
)

// welcomeHost is the name by which exits serve the welcome page.
const welcomeHost = "welcome.mix"

// welcome serves, inside an exit, the page that tells who sees it that the network works.
type welcome struct {
	exit     directory.NodeID             // this one
	attested tao.Kind                     // by what the mixes are; zero where they are not
	journeys *journeys                    // nil where no client runs in this process
	mix      func(directory.NodeID) mixAt // what a mix is called; nil where journeys is
}

// welcomePatience is how long a request may take to come, and the page to leave: packets are on their way for long.
const welcomePatience = 5 * time.Minute

// mixAt is a mix as the page names it.
type mixAt struct{ Name, ID, Address string }

// journey is the path that the first packet of a connection took, and the one that it carried for an answer.
type journey struct{ out, back []directory.NodeID }

// sites returns what an exit that serves the page is told.
func (w *welcome) sites() map[string]func(ctx context.Context, conn net.Conn) {
	return map[string]func(ctx context.Context, conn net.Conn){welcomeHost: w.serve}
}

// serve answers one request on conn and closes it. The exit calls it for each stream to welcomeHost.
func (w *welcome) serve(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	from := bufio.NewReader(conn)
	if conn.SetReadDeadline(time.Now().Add(welcomePatience)) != nil {
		return
	}
	v := &visit{Exit: w.exit.String(), Attested: w.attested}
	if w.journeys != nil {
		if j, known := w.journeys.redeem(from); known {
			v.Out, v.Back = w.name(j.out), w.name(j.back)
		}
	}
	l := &oneConn{Conn: conn, from: from, closed: make(chan struct{})}
	server := &http.Server{Handler: v, ReadTimeout: welcomePatience, WriteTimeout: welcomePatience, MaxHeaderBytes: 16 << 10, ErrorLog: silent}
	server.SetKeepAlivesEnabled(false)
	defer context.AfterFunc(ctx, func() { server.Close() })()
	_ = server.Serve(l) // until the connection is closed
}

func (w *welcome) name(path []directory.NodeID) []mixAt {
	named := make([]mixAt, len(path))
	for i, id := range path {
		named[i] = w.mix(id)
	}
	return named
}

// oneConn is a connection, and a listener that accepts it and ends with it.
type oneConn struct {
	net.Conn
	from     io.Reader
	accepted bool
	once     sync.Once
	closed   chan struct{}
}

func (c *oneConn) Accept() (net.Conn, error) {
	if !c.accepted {
		c.accepted = true
		return c, nil
	}
	<-c.closed
	return nil, net.ErrClosed
}

func (c *oneConn) Addr() net.Addr             { return c.LocalAddr() }
func (c *oneConn) Read(p []byte) (int, error) { return c.from.Read(p) }

func (c *oneConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// journeys are those that the client of this process has made to the welcome page. The page cannot know them: so that
// the picture is of the very connection that asks for it, the client begins that with a number, under which its journey
// is kept. And as routed says no more than where connections lead, each that is being made has a spelling of the page's
// address to itself.
type journeys struct {
	mu    sync.Mutex
	count uint                // of connections so far; guarded by mu
	under map[string]*journey // way of each connection that is being made, nil before it is known; guarded by mu
	kept  map[ticket]*journey // guarded by mu
}

// ticket is a random number.
type ticket [16]byte

// ticketMark is the byte before a ticket. No request starts with it.
const ticketMark = 0

func newJourneys() *journeys {
	return &journeys{under: make(map[string]*journey), kept: make(map[ticket]*journey)}
}

// routed takes note of the journey of a connection that is being made, as client.Config.Routed.
func (j *journeys) routed(address string, out, back []directory.NodeID) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, made := j.under[address]; made {
		j.under[address] = &journey{out, back}
	}
}

// isWelcome reports whether an address is the welcome page's.
func isWelcome(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && strings.EqualFold(strings.TrimSuffix(host, "."), welcomeHost)
}

// spellings is how many ways there are to write welcomeHost in small and large letters.
const spellings = 1 << (len(welcomeHost) - len("."))

// spelled writes the welcome page's address with those letters large that number, below spellings, has bits for. An exit
// takes them all for one name.
func spelled(address string, number uint) string {
	name := []byte(welcomeHost)
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

// dialer makes connections by dial, and begins those to the page with a ticket.
func (j *journeys) dialer(dial dialFunc) dialFunc {
	return func(ctx context.Context, isolation, address string) (net.Conn, error) {
		if !isWelcome(address) {
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

// begin returns an address of the page under which routed is to tell of a connection. The plain one, by which it tells of
// none, is for those that come when the next spelling is still in use: nobody learns another one's way.
func (j *journeys) begin(address string) string {
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
func (j *journeys) end(address string, made bool) (t ticket, kept bool) {
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
func (j *journeys) redeem(from *bufio.Reader) (*journey, bool) {
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

// ServeHTTP shows the visit: to browsers as a page, to others as text.
func (v *visit) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", welcomePolicy)
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Vary", "Accept, User-Agent")
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "there is nothing here but a page to look at", http.StatusMethodNotAllowed)
	case r.URL.Path != "/":
		http.Error(w, "there is nothing here but http://"+welcomeHost+"/", http.StatusNotFound)
	case strings.Contains(r.Header.Get("Accept"), "text/html") && !strings.HasPrefix(r.UserAgent(), "curl/"):
		header.Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(v.html())
	default:
		header.Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, v.text())
	}
}
