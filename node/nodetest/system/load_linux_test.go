package system_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// clientProcess is a client that is a process of its own.
type clientProcess struct {
	*process
	orders  *json.Encoder
	reports chan report // closed when it says no more
}

// startClient starts a client process for a task, of which the network and the address are filled in: those of sender i.
// It is ready when it has reported for the first time.
func (n *network) startClient(i int, t task) *clientProcess {
	n.t.Helper()
	t.URL, t.Key, t.From = n.url(), n.key, n.sender(i)
	c := &clientProcess{process: newProcess(n.t, fmt.Sprintf("client%d", i), n.folder), reports: make(chan report, 16)}
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), clientVariable+"=1", "GOMAXPROCS=1")
	orders, err := command.StdinPipe()
	require.NoError(n.t, err)
	said, says, err := os.Pipe()
	require.NoError(n.t, err)
	command.Stdout = says
	c.start(command)
	require.NoError(n.t, says.Close())
	c.orders = json.NewEncoder(orders)
	go func() {
		defer close(c.reports)
		defer said.Close()
		for from := json.NewDecoder(said); ; {
			var r report
			if from.Decode(&r) != nil {
				return
			}
			c.reports <- r
		}
	}()
	c.tell(t)
	return c
}

// tell gives the client a task, or an order.
func (c *clientProcess) tell(what any) {
	c.t.Helper()
	require.NoError(c.t, c.orders.Encode(what), c.name)
}

// hear waits for a report.
func (c *clientProcess) hear() report {
	c.t.Helper()
	select {
	case r, more := <-c.reports:
		if !more {
			<-c.ended
			_, state := c.state()
			c.t.Fatalf("%s ended (%s): %s", c.name, state, c.said(1000))
		}
		return r
	case <-time.After(patience):
		c.t.Fatalf("%s has not reported within %v", c.name, patience)
	}
	return report{}
}

// load is clients that do one thing at the same time.
type load []*clientProcess

// startLoad starts clients, as many as tasks, from sender first on, and returns when all are connected.
func (n *network) startLoad(first int, tasks ...task) load {
	n.t.Helper()
	var l load
	for i, t := range tasks {
		l = append(l, n.startClient(first+i, t))
	}
	for _, c := range l {
		c.hear()
	}
	return l
}

func (l load) tell(order string) {
	for _, c := range l {
		c.tell(order)
	}
}

// hear waits for a report of each, and adds them up.
func (l load) hear() report {
	var sum report
	sum.Ways = make(map[string]int)
	for _, c := range l {
		c.t.Helper()
		r := c.hear()
		for i := range r.Wrong {
			r.Wrong[i] = c.name + ": " + r.Wrong[i]
		}
		sum.add(r)
		sum.Since = max(sum.Since, r.Since)
	}
	return sum
}

// forget has what the clients did until now be in no report.
func (l load) forget() {
	l.tell(orderReport)
	l.hear()
}

// answered waits so long, or until something was answered if that is longer, and returns a report of what the clients
// did since the last.
func (l load) answered(t *testing.T, window time.Duration) (sum report) {
	t.Helper()
	<-time.After(window)
	sum.Ways = make(map[string]int)
	await(t, "honest clients go on", func() bool {
		l.tell(orderReport)
		r := l.hear()
		sum.add(r)
		sum.Since += r.Since
		return sum.Answered > 0
	})
	return sum
}

// add adds what another report says, but for its time.
func (r *report) add(other report) {
	r.Answered += other.Answered
	r.Cells += other.Cells
	r.Wrong = append(r.Wrong, other.Wrong...)
	r.Trips = append(r.Trips, other.Trips...)
	slices.Sort(r.Trips)
	for way, count := range other.Ways {
		r.Ways[way] += count
	}
}

// idle reports whether none of the clients has said anything that was not heard.
func (l load) idle() bool {
	return !slices.ContainsFunc(l, func(c *clientProcess) bool { return len(c.reports) > 0 })
}

// so returns a task for each of n clients.
func (t task) so(n int) []task { return slices.Repeat([]task{t}, n) }

// String says how it went.
func (r report) String() string {
	if len(r.Trips) == 0 {
		return fmt.Sprintf("nothing answered in %v", r.Since.Round(time.Millisecond))
	}
	at := func(part float64) time.Duration {
		return r.Trips[int(part*float64(len(r.Trips)-1))].Round(time.Millisecond)
	}
	return fmt.Sprintf("%d messages (%d cells) in %.1f s: %.0f/s; round trips: median %v, 99 %% %v, longest %v",
		r.Answered, r.Cells, r.Since.Seconds(), float64(r.Answered)/r.Since.Seconds(), at(0.5), at(0.99), at(1))
}

// requireAll fails the test unless that many messages came back as they were.
func (r report) requireAll(t *testing.T, messages int) {
	t.Helper()
	require.Empty(t, r.Wrong)
	require.Equal(t, messages, r.Answered)
}
