package welcome

import (
	"bufio"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/tao"
)

// numbered is a mix of which the number says everything.
func numbered(number byte) Mix { return atNumber(directory.NodeID{number}) }

func atNumber(id directory.NodeID) Mix {
	return Mix{fmt.Sprintf("mix %d", id[0]), id.String(), fmt.Sprintf("127.0.0.1:%d", 10_000+int(id[0]))}
}

func mixes(numbers ...byte) []Mix {
	all := make([]Mix, len(numbers))
	for i, number := range numbers {
		all[i] = numbered(number)
	}
	return all
}

// visits are what the page can have to show: short names and long ones, ways that share mixes and ways that do not.
var visits = []*visit{
	{Exit: numbered(4).ID, Out: mixes(5, 2, 4), Back: mixes(3, 1, 5)},
	{Exit: numbered(3).ID, Out: mixes(1, 2, 3), Back: mixes(2, 3, 1)},
	{Exit: numbered(48).ID, Out: mixes(50, 49, 48), Back: mixes(47, 46, 50), Attested: tao.TPM},
}

// drawnBoxes finds the names in the boxes of one line.
var drawnBoxes = regexp.MustCompile(`│ ([a-z][a-z0-9. ]*?) +│`)

// TestPictureForTheTerminal has the mixes of both ways in their places, within 80 columns.
func TestPictureForTheTerminal(t *testing.T) {
	for _, v := range visits {
		page := v.text()
		var rows [][]string
		for line := range strings.Lines(page) {
			require.Less(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), 80, line)
			var row []string
			for _, box := range drawnBoxes.FindAllStringSubmatch(line, -1) {
				row = append(row, box[1])
			}
			if row != nil {
				rows = append(rows, row)
			}
		}
		require.Equal(t, [][]string{
			{"you", v.Out[0].Name, v.Out[1].Name, v.Out[2].Name, "welcome.mix"},
			{v.Back[2].Name, v.Back[1].Name, v.Back[0].Name}, // drawn from right to left
		}, rows, page)
		requireMixesListed(t, v, page)
	}
}

func requireMixesListed(t *testing.T, v *visit, page string) {
	t.Helper()
	for _, m := range append(v.Out[:3:3], v.Back...) {
		require.Equal(t, 1, strings.Count(page, m.ID), page)
		require.Contains(t, page, m.Address)
	}
}

// TestPictureForTheBrowser is XML in which the boxes stand in their order, and says the same to who cannot see it. The
// page needs nothing but itself, and works in dark rooms.
func TestPictureForTheBrowser(t *testing.T) {
	for _, v := range visits {
		page := string(v.html())
		require.Equal(t, []string{
			"you", v.Out[0].Name, v.Out[1].Name, v.Out[2].Name, "welcome.mix",
			v.Back[0].Name, v.Back[1].Name, v.Back[2].Name,
		}, boxesOf(t, page))
		d := v.draw()
		for i := range 3 { // the mixes of the way back stand below those of the way there, from right to left
			require.Equal(t, d.Boxes[3-i].X, d.Boxes[5+i].X)
			require.Greater(t, d.Boxes[5+i].Y, d.Boxes[3-i].Y+boxHeight)
		}
		label := regexp.MustCompile(`aria-label="([^"]*)"`).FindStringSubmatch(page)
		require.Equal(t, fmt.Sprintf("There: you → %s → %s → %s → welcome.mix. Back: welcome.mix → %s → %s → %s → you.",
			v.Out[0].Name, v.Out[1].Name, v.Out[2].Name, v.Back[0].Name, v.Back[1].Name, v.Back[2].Name), label[1])
		requireMixesListed(t, v, page)
		require.NotRegexp(t, `(?i)<script|<iframe|https?://|@import|\bon[a-z]+=`, page)
		require.Contains(t, page, "prefers-color-scheme: dark")
	}
	require.Empty(t, boxesOf(t, string((&visit{Exit: numbered(7).ID}).html())))
}

// boxesOf returns the names in the picture of a page, which must be well-formed XML.
func boxesOf(t *testing.T, page string) (names []string) {
	t.Helper()
	parser := xml.NewDecoder(strings.NewReader(page))
	inName := false
	for {
		token, err := parser.Token()
		if errors.Is(err, io.EOF) {
			return names
		}
		require.NoError(t, err, page)
		switch token := token.(type) {
		case xml.StartElement:
			inName = token.Name.Local == "text" && len(token.Attr) > 0 && token.Attr[0].Value == "name"
		case xml.EndElement:
			inName = false
		case xml.CharData:
			if inName {
				names = append(names, string(token))
			}
		}
	}
}

// TestWelcomePageClaimsNothing that is not so: of mixes that are not attested or softly so, and of who comes, which no
// exit knows.
func TestWelcomePageClaimsNothing(t *testing.T) {
	const nothingProven = `(?i)nothing proves what program a mix runs \(attestation\)`
	for kind, proven := range map[tao.Kind][]string{
		0:        {nothingProven, `through a mix network\.`},
		tao.Soft: {`What is proven[^A-Za-z]*(</h2> <p>)?Nothing\.`, "can say anything", `through three attested mixes \(soft, which proves nothing\)\.`},
		tao.TPM:  {"A software TPM of each mix", "whoever has root on a machine can make them lie", `through three attested mixes \(each by a software TPM\)\.`},
	} {
		v := *visits[0]
		v.Attested = kind
		for _, page := range []string{v.text(), string(v.html())} {
			page = strings.Join(strings.Fields(page), " ")
			require.Contains(t, page, "An exit cannot: it sees the mix before it")
			require.Contains(t, page, "on this machine, which sees everything")
			for _, said := range proven {
				require.Regexp(t, said, page)
			}
			require.Equal(t, kind == 0, regexp.MustCompile(nothingProven).MatchString(page))
		}
	}
	for kind, proven := range map[tao.Kind]string{
		0:        nothingProven,
		tao.Soft: `What is proven[^A-Za-z]*(</h2> <p>)?Nothing\.`,
		tao.TPM:  "You need not believe this page",
	} {
		unknown := &visit{Exit: numbered(7).ID, Attested: kind}
		for _, page := range []string{unknown.text(), string(unknown.html())} {
			page = strings.Join(strings.Fields(page), " ")
			require.Contains(t, page, numbered(7).ID)
			require.Contains(t, page, "does not know which way you came")
			require.Regexp(t, proven, page)
			require.NotContains(t, page, "attested mixes", "an exit knows nothing of the others")
		}
	}
}

// TestPageFitsWhoAsks: browsers get a page, programs text, and only for what there is.
func TestPageFitsWhoAsks(t *testing.T) {
	const browser = "text/html,application/xhtml+xml,*/*;q=0.8"
	for _, test := range []struct {
		method, path, agent, accept string
		status                      int
		kind, content               string
	}{
		{"GET", "/", "Mozilla/5.0", browser, 200, "text/html; charset=utf-8", "<svg "},
		{"GET", "/?x", "curl/8.14.1", "*/*", 200, "text/plain; charset=utf-8", "│ you │"},
		{"GET", "/", "curl/8.14.1", browser, 200, "text/plain; charset=utf-8", "│ you │"},
		{"GET", "/", "Wget/1.25", "*/*", 200, "text/plain; charset=utf-8", "│ you │"},
		{"GET", "/", "", "", 200, "text/plain; charset=utf-8", "│ you │"},
		{"GET", "/favicon.ico", "Mozilla/5.0", "image/*", 404, "text/plain; charset=utf-8", "nothing here"},
		{"POST", "/", "curl/8.14.1", "*/*", 405, "text/plain; charset=utf-8", "nothing here"},
	} {
		request := httptest.NewRequest(test.method, test.path, nil)
		request.Header.Set("User-Agent", test.agent)
		request.Header.Set("Accept", test.accept)
		answer := httptest.NewRecorder()
		visits[0].ServeHTTP(answer, request)
		require.Equal(t, test.status, answer.Code, "%+v", test)
		require.Equal(t, test.kind, answer.Header().Get("Content-Type"))
		require.Contains(t, answer.Body.String(), test.content)
		require.Contains(t, answer.Header().Get("Content-Security-Policy"), "default-src 'none'")
	}
}

// memoryNetwork has connections to the page of one exit, each of which has come another way.
type memoryNetwork struct {
	page     *Page
	journeys *Journeys
	served   sync.WaitGroup
	mu       sync.Mutex
	next     byte              // guarded by mu
	ways     map[string]*visit // by isolation; guarded by mu
}

func (n *memoryNetwork) dial(ctx context.Context, isolation, address string) (net.Conn, error) {
	n.mu.Lock()
	n.next++
	j := &journey{
		out:  []directory.NodeID{{n.next}, {n.next + 1}, {n.next + 2}},
		back: []directory.NodeID{{n.next + 1}, {n.next + 3}, {n.next}},
	}
	n.ways[isolation] = &visit{Exit: n.page.Exit.String(), Out: n.page.name(j.out), Back: n.page.name(j.back)}
	n.mu.Unlock()
	n.journeys.Routed(address, j.out, j.back)
	for range 100 { // while others come
		runtime.Gosched()
	}
	near, far := net.Pipe()
	n.served.Go(func() { n.page.serve(ctx, far) })
	return near, nil
}

func newMemoryNetwork() *memoryNetwork {
	n := &memoryNetwork{journeys: NewJourneys(), ways: make(map[string]*visit)}
	n.page = &Page{Exit: directory.NodeID{4}, Journeys: n.journeys, Called: atNumber}
	return n
}

// askPage asks for the page on a connection.
func askPage(conn net.Conn) (string, error) {
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: welcome.mix\r\n\r\n"); err != nil {
		return "", err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "", err
	}
	page, err := io.ReadAll(answer.Body)
	return string(page), err
}

// TestEachConnectionSeesItsOwnWay, also when many ask for the page at once.
func TestEachConnectionSeesItsOwnWay(t *testing.T) {
	n := newMemoryNetwork()
	dial := n.journeys.Dialer(n.dial)
	var asking sync.WaitGroup
	for i := range 50 {
		asking.Go(func() {
			isolation := fmt.Sprint(i)
			conn, err := dial(t.Context(), isolation, []string{"welcome.mix:80", "Welcome.MIX.:80"}[i%2])
			if err != nil {
				t.Error(err)
				return
			}
			page, err := askPage(conn)
			n.mu.Lock()
			defer n.mu.Unlock()
			if want := n.ways[isolation].text(); err != nil || page != want {
				t.Errorf("%v: got %s, want %s", err, page, want)
			}
		})
	}
	asking.Wait()
	n.served.Wait()
	require.Empty(t, n.journeys.kept)
}

// TestPageOfAClientElsewhere says that the way is not known, whatever such a client makes up. No bytes that a client
// can send make the page wait, or show it another one's way.
func TestPageOfAClientElsewhere(t *testing.T) {
	n := newMemoryNetwork()
	waiting, err := n.journeys.Dialer(n.dial)(t.Context(), "mine", "welcome.mix:80")
	require.NoError(t, err)
	unknown := (&visit{Exit: n.page.Exit.String()}).text()
	for _, first := range []string{"", "\x00" + strings.Repeat("x", len(ticket{})), "\x00" + strings.Repeat("\x00", len(ticket{}))} {
		conn, err := n.dial(t.Context(), "other", "welcome.mix:80")
		require.NoError(t, err)
		_, err = io.WriteString(conn, first)
		require.NoError(t, err)
		page, err := askPage(conn)
		require.NoError(t, err)
		require.Equal(t, unknown, page)
	}
	for _, broken := range []string{"\x00", "\x00abc", "\x00\x00GET / HTTP/1.1\r\n\r\n", "GET / HT", "\xff\xff\r\n\r\n"} {
		conn, err := n.dial(t.Context(), "other", "welcome.mix:80")
		require.NoError(t, err)
		go io.WriteString(conn, broken)
		go func() { // it may say what is wrong
			_, _ = io.Copy(io.Discard, conn)
		}()
		conn.Close()
	}
	page, err := askPage(waiting)
	require.NoError(t, err)
	require.Equal(t, n.ways["mine"].text(), page)
	n.served.Wait()
}

// TestOtherConnectionsStayAsTheyAre: only those to the page begin with a ticket.
func TestOtherConnectionsStayAsTheyAre(t *testing.T) {
	n := newMemoryNetwork()
	conn, err := n.journeys.Dialer(n.dial)(t.Context(), "", "www.welcome.mix:80")
	require.NoError(t, err)
	page, err := askPage(conn)
	require.NoError(t, err)
	require.Equal(t, (&visit{Exit: n.page.Exit.String()}).text(), page)
	require.Empty(t, n.journeys.kept)
}

// TestNobodySeesTheWayOfAConnectionThatFailed before: one that nobody tells of has none.
func TestNobodySeesTheWayOfAConnectionThatFailed(t *testing.T) {
	n := newMemoryNetwork()
	fails := true
	dial := n.journeys.Dialer(func(ctx context.Context, isolation, address string) (net.Conn, error) {
		if fails {
			n.journeys.Routed(address, []directory.NodeID{{1}}, []directory.NodeID{{1}})
			return nil, errors.New("not this time")
		}
		near, far := net.Pipe()
		n.served.Go(func() { n.page.serve(ctx, far) })
		return near, nil
	})
	_, err := dial(t.Context(), "", "welcome.mix:80")
	require.ErrorContains(t, err, "not this time")
	fails = false
	conn, err := dial(t.Context(), "", "welcome.mix:80")
	require.NoError(t, err)
	page, err := askPage(conn)
	require.NoError(t, err)
	require.Equal(t, (&visit{Exit: n.page.Exit.String()}).text(), page)
}

// TestVisitorsWaitForNobody: while some connections are being made, others are, and see their own way; where more are
// than there are spellings of the address, the page says that it does not know which way they came.
func TestVisitorsWaitForNobody(t *testing.T) {
	n := newMemoryNetwork()
	leave := make(chan struct{})
	var inside, gone sync.WaitGroup
	slow := n.journeys.Dialer(func(_ context.Context, _, address string) (net.Conn, error) {
		n.journeys.Routed(address, []directory.NodeID{{99}}, []directory.NodeID{{99}})
		inside.Done()
		<-leave
		return nil, errors.New("not this time")
	})
	come := func(many int) {
		for range many {
			inside.Add(1)
			gone.Go(func() {
				if _, err := slow(t.Context(), "", "welcome.mix:80"); err == nil {
					t.Error("a connection that was not made")
				}
			})
		}
		inside.Wait()
	}
	ask := func() string {
		conn, err := n.journeys.Dialer(n.dial)(t.Context(), "mine", "welcome.mix:80")
		require.NoError(t, err)
		page, err := askPage(conn)
		require.NoError(t, err)
		return page
	}
	come(spellings - 2)
	page := ask()
	require.Equal(t, n.ways["mine"].text(), page)
	come(10)
	require.Equal(t, (&visit{Exit: n.page.Exit.String()}).text(), ask())
	close(leave)
	gone.Wait()
	page = ask()
	require.Equal(t, n.ways["mine"].text(), page)
	n.served.Wait()
	require.Empty(t, n.journeys.under)
	require.Empty(t, n.journeys.kept)
}

// TestSpellings of the page's address are all different, and all the page's.
func TestSpellings(t *testing.T) {
	require.Equal(t, "welcome.mix:80", spelled("Welcome.MIX.:80", 0))
	require.Equal(t, "WElcome.miX:80", spelled("welcome.mix:80", 1<<9|0b11))
	seen := make(map[string]bool)
	for number := range uint(spellings) {
		address := spelled("welcome.mix:8080", number)
		require.True(t, leadsHere(address), address)
		seen[address] = true
	}
	require.Len(t, seen, spellings)
}
