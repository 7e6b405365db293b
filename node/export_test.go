package node

import (
	"sync"

	"sphinxmix.example/node/keyring"
)

// How many packets a node keeps at most: for one peer or one service, opened and not mixed, for one client, in the batch,
// and there of one sender, if packets are small. And how many bytes all take. What it keeps for clients that are away: mailboxes of one
// host, mailboxes, and bytes.
const (
	OutQueue    = outQueue
	OpenedQueue = openedQueue
	ClientQueue = clientQueue
	MaxHeld     = mostHeld
	SenderShare = mostHeld / 4
	MaxMemory   = maxMemory

	MaxAwayPerHost       = maxAwayPerHost
	MaxAway              = maxAway
	AwayMemory     int64 = awayMemory
)

// Mailboxes returns how many mailboxes there are.
func (n *Node) Mailboxes() int {
	n.boxes.mu.Lock()
	defer n.boxes.mu.Unlock()
	return len(n.boxes.known)
}

// MixKeys returns the private keys that n opens packets with, one after the other.
func (n *Node) MixKeys() (all []byte) {
	for _, k := range *n.keys.Load() {
		all = append(all, k.Epoch.Key.Bytes()...)
	}
	return all
}

// FailCommits makes every commit of replay tags from now on fail with err.
func (n *Node) FailCommits(err error) {
	for _, k := range *n.keys.Load() {
		k.Tags = failing{k.Tags, err}
	}
}

// HoldCommits makes every commit of replay tags from now on wait until release is closed.
func (n *Node) HoldCommits(release <-chan struct{}) {
	for _, k := range *n.keys.Load() {
		k.Tags = waiting{k.Tags, release}
	}
}

type waiting struct {
	keyring.Tags
	release <-chan struct{}
}

func (w waiting) Commit() error {
	<-w.release
	return w.Tags.Commit()
}

type failing struct {
	keyring.Tags
	err error
}

func (f failing) Commit() error { return f.err }

// OnStats makes Stats call f in its midst, once.
func (n *Node) OnStats(f func()) {
	for _, k := range *n.keys.Load() {
		k.Tags = observed{k.Tags, sync.OnceFunc(f)}
		return
	}
}

type observed struct {
	keyring.Tags
	counted func()
}

func (o observed) Len() int {
	o.counted()
	return o.Tags.Len()
}
