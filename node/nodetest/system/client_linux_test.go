package system_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"sphinxmix.example/client"
	"sphinxmix.example/node/directory"
)

// task is what a client process is told first, in JSON on its standard input.
type task struct {
	URL  string
	Key  ed25519.PublicKey
	From string             // the address that it connects from
	Via  []directory.NodeID // as client.Config has it

	Messages int   // to send; 0 for as many as it can until it is told to stop
	AtOnce   int   // of them under way
	Sizes    []int // lengths in bytes of the messages, in turn
}

// messageTime is how long a client waits for a reply: less than a test waits for its report.
const messageTime = 4 * time.Minute

// Orders come after the task, one JSON text each.
const (
	orderGo     = "go"     // begin
	orderReport = "report" // say what has happened since the last report
	orderStop   = "stop"   // begin nothing new, report and end
)

// report is what a client process says on its standard output, in JSON: once it is connected, whenever it is asked, and
// at its end.
type report struct {
	Over     bool     // it is the last one
	Answered int      // messages whose reply was what was sent
	Cells    int      // that these were cut into
	Wrong    []string // what went otherwise
	Trips    []time.Duration
	Ways     map[string]int // how many first packets went each way there
	Since    time.Duration  // the last report
}

// beClient is the main function of a client process.
func beClient() (status int) {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	var t task
	err := in.Decode(&t)
	if err == nil {
		err = t.do(in, out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		return 1
	}
	return 0
}

func (t *task) do(in *json.Decoder, out *json.Encoder) error {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(t.From)}}
	ctx, cancel := context.WithTimeout(context.Background(), messageTime)
	defer cancel()
	c, err := client.New(ctx, client.Config{
		Directory: &directory.Client{URLs: []string{t.URL}, Key: t.Key, HTTP: &http.Client{
			Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true},
		}},
		Dial: func(ctx context.Context, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", address)
		},
		Via: t.Via,
	})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := out.Encode(report{}); err != nil {
		return err
	}
	w := work{task: t, client: c, since: time.Now()}
	ended := make(chan struct{})
	orders := make(chan string)
	go func() {
		var order string
		for in.Decode(&order) == nil {
			orders <- order
		}
		os.Exit(1) // who gives the orders is gone
	}()
	for {
		select {
		case order := <-orders:
			switch order {
			case orderGo:
				w.take()
				go func() {
					w.run()
					close(ended)
				}()
			case orderReport:
				if err := out.Encode(w.take()); err != nil {
					return err
				}
			case orderStop:
				w.stop()
			}
		case <-ended:
			last := w.take()
			last.Over = true
			return out.Encode(last)
		}
	}
}

// work is the messages of a client process.
type work struct {
	task   *task
	client *client.Client

	mu      sync.Mutex
	next    int       // message; guarded by mu
	stopped bool      // guarded by mu
	now     report    // that is being written; guarded by mu
	since   time.Time // when it was begun; guarded by mu
}

func (w *work) run() {
	var running sync.WaitGroup
	for range w.task.AtOnce {
		running.Go(func() {
			for i, more := w.begin(); more; i, more = w.begin() {
				w.send(i)
			}
		})
	}
	running.Wait()
}

// begin returns which message is the next, and whether there is one.
func (w *work) begin() (i int, more bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped || w.task.Messages > 0 && w.next == w.task.Messages {
		return 0, false
	}
	w.next++
	return w.next - 1, true
}

func (w *work) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
}

// take returns the report and begins another.
func (w *work) take() report {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := w.now
	taken.Since = time.Since(w.since)
	w.now, w.since = report{}, time.Now()
	return taken
}

// send sends message i and waits for its reply, which must be the same, and come once.
func (w *work) send(i int) {
	body := w.task.message(i)
	ctx, cancel := context.WithTimeout(context.Background(), messageTime)
	defer cancel()
	start := time.Now()
	var cells []int
	total := 0
	reply, err := w.client.Request(ctx, client.Message{
		To:       "echo",
		Body:     body,
		Routed:   func(out, _ []directory.NodeID) { w.noteWay(out) },
		Progress: func(done, all int) { cells, total = append(cells, done), all },
	})
	wrong := ""
	switch {
	case err != nil:
		wrong = err.Error()
	case !bytes.Equal(reply, body):
		wrong = fmt.Sprintf("the reply has %d bytes and is not what was sent", len(reply))
	case len(cells) != total || !slices.IsSorted(cells) || cells[total-1] != total:
		wrong = fmt.Sprintf("answers to %d cells came as %v", total, cells)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if wrong != "" {
		w.now.Wrong = append(w.now.Wrong, fmt.Sprintf("message %d of %d bytes: %s", i, len(body), wrong))
		return
	}
	w.now.Answered++
	w.now.Cells += total
	w.now.Trips = append(w.now.Trips, time.Since(start))
}

func (w *work) noteWay(out []directory.NodeID) {
	way := wayOf(out)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now.Ways == nil {
		w.now.Ways = make(map[string]int)
	}
	w.now.Ways[way]++
}

// wayOf names a path.
func wayOf(path []directory.NodeID) string { return fmt.Sprint(path) }

// message returns message i, which no other client sends, nor this one again.
func (t *task) message(i int) []byte {
	var seed [32]byte
	copy(seed[:], fmt.Sprintf("%s %d", t.From, i))
	body := make([]byte, t.Sizes[i%len(t.Sizes)])
	_, _ = rand.NewChaCha8(seed).Read(body) // never fails
	return body
}
