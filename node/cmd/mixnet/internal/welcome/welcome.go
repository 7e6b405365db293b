// Package welcome is the page, served inside an exit, that tells who sees it that the network works, and which way its
// connection came where a client of the same process has left word of that.
package welcome

import (
	"bufio"
	"context"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/tao"
)

// Host is the name by which exits serve the page.
const Host = "welcome.mix"

// Page is the page as one exit serves it.
type Page struct {
	Exit     directory.NodeID           // this one
	Attested tao.Kind                   // by what the mixes are; zero where they are not
	Journeys *Journeys                  // nil where no client runs in this process
	Called   func(directory.NodeID) Mix // what a mix is called; nil where Journeys is
}

// patience is how long a request may take to come, and the page to leave: packets are on their way for long.
const patience = 5 * time.Minute

// Mix is a mix as the page names it.
type Mix struct{ Name, ID, Address string }

// Sites returns what an exit that serves the page is told.
func (p *Page) Sites() map[string]func(ctx context.Context, conn net.Conn) {
	return map[string]func(ctx context.Context, conn net.Conn){Host: p.serve}
}

// serve answers one request on conn and closes it. The exit calls it for each stream to Host.
func (p *Page) serve(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	from := bufio.NewReader(conn)
	if conn.SetReadDeadline(time.Now().Add(patience)) != nil {
		return
	}
	v := &visit{Exit: p.Exit.String(), Attested: p.Attested}
	if p.Journeys != nil {
		if j, known := p.Journeys.redeem(from); known {
			v.Out, v.Back = p.name(j.out), p.name(j.back)
		}
	}
	l := &oneConn{Conn: conn, from: from, closed: make(chan struct{})}
	server := &http.Server{Handler: v, ReadTimeout: patience, WriteTimeout: patience, MaxHeaderBytes: 16 << 10, ErrorLog: silent}
	server.SetKeepAlivesEnabled(false)
	defer context.AfterFunc(ctx, func() { server.Close() })()
	_ = server.Serve(l) // until the connection is closed
}

func (p *Page) name(path []directory.NodeID) []Mix {
	named := make([]Mix, len(path))
	for i, id := range path {
		named[i] = p.Called(id)
	}
	return named
}

// silent drops what net/http has to say, which is about clients.
var silent = stdlog.New(io.Discard, "", 0)

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

// ServeHTTP shows the visit: to browsers as a page, to others as text.
func (v *visit) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", pagePolicy)
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Vary", "Accept, User-Agent")
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "there is nothing here but a page to look at", http.StatusMethodNotAllowed)
	case r.URL.Path != "/":
		http.Error(w, "there is nothing here but http://"+Host+"/", http.StatusNotFound)
	case strings.Contains(r.Header.Get("Accept"), "text/html") && !strings.HasPrefix(r.UserAgent(), "curl/"):
		header.Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(v.html())
	default:
		header.Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, v.text())
	}
}
