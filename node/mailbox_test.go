package node_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/link"
	"sphinxmix.example/node/nodetest"
	"sphinxmix.example/sphinx"
)

// numbered makes a reply to a client at mix 0 whose id is a number.
func numbered(t *testing.T, n *nodetest.Network, client []byte, number int) []byte {
	t.Helper()
	var id sphinx.MessageID
	binary.BigEndian.PutUint64(id[:], uint64(number))
	surb, _, err := n.Params.NewSURB(nil, []sphinx.Hop{n.Mixes[0].Hop()}, client, id)
	require.NoError(t, err)
	_, packet, err := surb.Use(nil, fmt.Append(nil, "reply ", number))
	require.NoError(t, err)
	return packet
}

// sendNumbered sends the replies from one number up to another, one after the other.
func sendNumbered(t *testing.T, n *nodetest.Network, c *link.Conn, client []byte, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		send(t, c, numbered(t, n, client, i))
		synctest.Wait()
	}
}

// numbers reads replies until the link ends, in the background, and says at its end which came.
func numbers(n *nodetest.Network, c *link.Conn) <-chan []int {
	all := make(chan []int, 1)
	go func() {
		var came []int
		frame := frameOf(n)
		for {
			kind, _, err := c.ReadFrame(frame)
			if err != nil {
				all <- came
				return
			}
			if kind == link.Reply {
				came = append(came, int(binary.BigEndian.Uint64(frame)))
			}
		}
	}()
	return all
}

// upTo returns the numbers from one up to another.
func upTo(from, to int) (all []int) {
	for i := from; i < to; i++ {
		all = append(all, i)
	}
	return all
}

// TestRepliesWaitForAClientThatIsAway, in their order, and are delivered once; and then the link is as good as any.
func TestRepliesWaitForAClientThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := unmixed(t)
		mallory := n.Link("mallory", nil, 0)
		alice, id := subscribed(t, n, "alice", 0)
		alice.Close()
		synctest.Wait()
		sendNumbered(t, n, mallory, id, 0, 20)
		sleep(link.Retention - time.Second)
		require.Empty(t, n.Mixes[0].Counts().Dropped)

		alice, _ = subscribed(t, n, "alice", 0)
		came := numbers(n, alice)
		synctest.Wait()
		sendNumbered(t, n, mallory, id, 20, 30)
		sleep(2 * link.Retention)
		sendNumbered(t, n, mallory, id, 30, 31)
		alice.Close()
		require.Equal(t, upTo(0, 31), <-came)
		alice, _ = subscribed(t, n, "alice", 0)
		came = numbers(n, alice)
		sleep(time.Second)
		alice.Close()
		require.Empty(t, <-came, "what came once does not come again")
		require.Empty(t, n.Mixes[0].Counts().Dropped)
		require.EqualValues(t, 31, n.Mixes[0].Counts().Delivered)
	})
}

// TestRepliesDoNotWaitForLonger than gateways say, nor than an epoch.
func TestRepliesDoNotWaitForLonger(t *testing.T) {
	for _, test := range []struct{ epoch, retention time.Duration }{
		{time.Hour, link.Retention},
		{20 * time.Second, 20 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := nodetest.Start(t, nodetest.Config{Mixes: 1, Network: directory.Network{Epoch: test.epoch}, Node: func(_ int, cfg *node.Config) { immediate(cfg) }})
			alice, id := subscribed(t, n, "alice", 0)
			bob, bobID := subscribed(t, n, "bob", 0)
			mallory := n.Link("mallory", nil, 0)
			alice.Close()
			sleep(test.retention / 4)
			bob.Close()
			synctest.Wait()
			reply, forBob := numbered(t, n, id, 1), numbered(t, n, bobID, 2)
			epoch := n.Mixes[0].Epoch
			sendIn(t, mallory, epoch, reply, forBob)
			sleep(test.retention*3/4 - 1)
			require.Empty(t, n.Mixes[0].Counts().Dropped)
			sleep(1)
			requireDropped(t, n.Mixes[0], map[node.Drop]uint64{node.DropNoClient: 1})
			alice, _ = subscribed(t, n, "alice", 0)
			came := numbers(n, alice)
			sleep(test.retention / 4)
			requireDropped(t, n.Mixes[0], map[node.Drop]uint64{node.DropNoClient: 2})
			alice.Close()
			require.Empty(t, <-came)
		})
	}
}

// TestNewestLinkTakesTheMailbox: the ones before it are closed, even one that was not read from, and get nothing more.
func TestNewestLinkTakesTheMailbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := unmixed(t)
		mallory := n.Link("mallory", nil, 0)
		first, id := subscribed(t, n, "alice", 0)
		sendNumbered(t, n, mallory, id, 0, 10) // the first is on its way
		start := time.Now()
		second, _ := subscribed(t, n, "alice", 0)
		before := numbers(n, second)
		synctest.Wait()
		third, _ := subscribed(t, n, "alice", 0)
		came := numbers(n, third)
		synctest.Wait()
		sendNumbered(t, n, mallory, id, 10, 20)
		require.Equal(t, start, time.Now(), "nobody waited for the first link")
		require.NotContains(t, <-numbers(n, first), 10)
		third.Close()
		require.Equal(t, upTo(1, 20), append(<-before, <-came...))
		sleep(link.Retention)
		requireDropped(t, n.Mixes[0], map[node.Drop]uint64{node.DropNoClient: 1})
	})
}

// TestRepliesComeOnceThroughManyCuts, and in their order. What is neither delivered nor lost with a link is not dropped.
func TestRepliesComeOnceThroughManyCuts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := unmixed(t)
		mallory := n.Link("mallory", nil, 0)
		alice, id := subscribed(t, n, "alice", 0)
		came := numbers(n, alice)
		go func() {
			for i := range 300 {
				send(t, mallory, numbered(t, n, id, i))
				time.Sleep(7 * time.Millisecond)
			}
		}()
		var all []int
		for i := range 20 {
			time.Sleep(100 * time.Millisecond)
			if i%2 == 0 {
				n.Cut("alice", n.Mixes[0].Address)
			}
			next, _ := subscribed(t, n, "alice", 0) // or takes it while the other is open
			all = append(all, <-came...)
			came = numbers(n, next)
		}
		sleep(time.Second)
		n.Cut("alice", n.Mixes[0].Address)
		all = append(all, <-came...)
		require.IsIncreasing(t, all)
		c := n.Mixes[0].Counts()
		require.EqualValues(t, 300, c.Delivered+c.Dropped[node.DropNoClient])
		require.GreaterOrEqual(t, len(all), 300-20, "at most what was on its way")
	})
}

// TestMailboxesOfOneHostPushOutTheirOwn, the oldest first.
func TestMailboxesOfOneHostPushOutTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := unmixed(t)
		mallory := n.Link("mallory", nil, 0)
		alice, id := subscribed(t, n, "alice", 0)
		alice.Close()
		synctest.Wait()
		var ids [][]byte
		for i := range node.MaxAwayPerHost + tooMany {
			ids = append(ids, leftMailbox(t, n, "mallory", i))
		}
		require.Equal(t, 1+node.MaxAwayPerHost, n.Mixes[0].Mailboxes())
		for _, other := range ids {
			send(t, mallory, numbered(t, n, other, 1))
		}
		send(t, mallory, numbered(t, n, id, 1))
		requireDropped(t, n.Mixes[0], map[node.Drop]uint64{node.DropNoClient: tooMany})
		alice, _ = subscribed(t, n, "alice", 0)
		requireNumber(t, n, alice, 1)
	})
}

// TestMailboxesOfManyHosts are bounded, and who has one keeps it while others have more.
func TestMailboxesOfManyHosts(t *testing.T) {
	if instrumented {
		t.Skip("many handshakes; nothing here is concurrent that is not so in TestMailboxesOfOneHostPushOutTheirOwn")
	}
	synctest.Test(t, func(t *testing.T) {
		n, _ := unmixed(t)
		alice, id := subscribed(t, n, "alice", 0)
		alice.Close()
		synctest.Wait()
		for i := range node.MaxAway + tooMany {
			leftMailbox(t, n, fmt.Sprint("mallory", i%(node.MaxAway/node.MaxAwayPerHost+1)), i)
		}
		require.Equal(t, node.MaxAway, n.Mixes[0].Mailboxes())
		send(t, n.Link("bob", nil, 0), numbered(t, n, id, 1))
		synctest.Wait()
		alice, _ = subscribed(t, n, "alice", 0)
		requireNumber(t, n, alice, 1)
		sleep(link.Retention)
		require.Equal(t, 1, n.Mixes[0].Mailboxes())
	})
}

// leftMailbox makes the mailbox of that number and leaves.
func leftMailbox(t *testing.T, n *nodetest.Network, host string, number int) (id []byte) {
	t.Helper()
	c := n.Link(host, nil, 0)
	secret := link.MailboxSecret{0: 'm', 1: byte(number), 2: byte(number >> 8)}
	frame := frameOf(n)
	copy(frame, secret[:])
	require.NoError(t, c.WriteFrame(link.Subscribe, 0, frame))
	require.NoError(t, c.Flush())
	synctest.Wait()
	c.Close()
	synctest.Wait()
	return secret.ClientID()
}

// requireNumber asserts that this reply is the next.
func requireNumber(t *testing.T, n *nodetest.Network, c *link.Conn, number int) {
	t.Helper()
	frame := frameOf(n)
	kind, _, err := c.ReadFrame(frame)
	require.NoError(t, err)
	require.Equal(t, link.Reply, kind)
	require.EqualValues(t, number, binary.BigEndian.Uint64(frame))
}

// TestMemoryOfMailboxesIsBounded: those who have most waiting lose it, and nobody else.
func TestMemoryOfMailboxesIsBounded(t *testing.T) {
	if instrumented {
		t.Skip("much memory; nothing here is concurrent that is not so in TestMailboxesOfOneHostPushOutTheirOwn")
	}
	synctest.Test(t, func(t *testing.T) {
		large := sphinx.Params{MaxHops: 2, PayloadSize: sphinx.MaxPayloadSize}
		n := nodetest.Start(t, nodetest.Config{Mixes: 1, Network: directory.Network{Params: large}, Node: func(_ int, cfg *node.Config) { immediate(cfg) }})
		alice, id := subscribed(t, n, "alice", 0)
		alice.Close()
		synctest.Wait()
		bob := n.Link("bob", nil, 0)
		send(t, bob, numbered(t, n, id, 1))
		var ids [][]byte
		for i := range 4 {
			ids = append(ids, leftMailbox(t, n, "mallory", i))
		}
		before := n.Mixes[0].Stats().Memory
		room := int(node.AwayMemory) / n.Params.PacketSize()
		for i := range 2 * room {
			send(t, bob, numbered(t, n, ids[i%4], i))
			synctest.Wait()
			require.LessOrEqual(t, n.Mixes[0].Stats().Memory, before+node.AwayMemory)
		}
		require.NotZero(t, n.Mixes[0].Counts().Dropped[node.DropNoClient])
		alice, _ = subscribed(t, n, "alice", 0)
		requireNumber(t, n, alice, 1)
	})
}

// TestLeavingNodeWaitsForNoClient that is away: what is kept for it is dropped at the end.
func TestLeavingNodeWaitsForNoClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := unmixed(t)
		alice, id := subscribed(t, n, "alice", 0)
		bob, bobID := subscribed(t, n, "bob", 0)
		mallory := n.Link("mallory", nil, 0)
		sendNumbered(t, n, mallory, bobID, 0, 5)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		drained := make(chan error, 1)
		go func() { drained <- n.Mixes[0].Drain(ctx) }()
		sleep(2*nodetest.Refresh - time.Second)
		came := numbers(n, bob)
		alice.Close()
		synctest.Wait()
		sendNumbered(t, n, mallory, id, 0, 5)
		start := time.Now()
		require.NoError(t, <-drained)
		require.Less(t, time.Since(start), 3*nodetest.Refresh)
		n.Stop(0)
		require.Equal(t, upTo(0, 5), <-came)
		requireDropped(t, n.Mixes[0], map[node.Drop]uint64{node.DropNoClient: 5})
		require.Zero(t, n.Mixes[0].Mailboxes())
	})
}
