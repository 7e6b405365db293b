// Package link carries frames of one size between two parties over TLS. It
// names the kinds of frame that mixes and clients use, and acts on none of them
// but padding.
//
// [Dial] makes a [Conn] from the initiating end, [Serve] hands a Conn to its
// handler for each connection that it accepts. Both ends call ReadFrame,
// WriteFrame and Flush.
//
// What a link guarantees:
//
//   - TLS 1.3 with the key exchange X25519MLKEM768 and the application protocol
//     "sphinxmix/1", or no link at all. Nothing is resumed: each link has a
//     handshake and keys of its own.
//   - The dialer has reached the holder of the Ed25519 key that it named, and
//     not merely of some key. It proves a key of its own if it has one, and is
//     anonymous otherwise. Certificates are envelopes for these keys: names,
//     dates and signatures inside them are ignored.
//   - Every frame is as long as every other, and a TLS record holds a whole
//     number of frames (of those that fit into one), so an observer of the wire
//     learns how many frames passed and nothing from their sizes.
//   - Every wait for the peer ends: handshakes, reads and writes have deadlines,
//     and Close ends them all.
//   - No error and no log record of this package holds the address or the key
//     of a peer.
//
// What it does not: hide how many frames pass and when (send [Padding] for
// that), hide that this is a link (TLS sends the protocol's name in clear), or
// tell a link that was cut from one that was closed. Close sends no TLS
// close_notify, since that would wait for the peer; a frame that was cut short is
// an error for its reader all the same.
package link

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// ErrIdentity reports a peer that showed another key than the expected one, or
// one that is not an Ed25519 key.
var ErrIdentity = errors.New("peer is not who was expected")

// Config holds what [Dial] and [Serve] need to know. FrameSize is required, as
// is Key for Serve; a zero in any other field means its default. Both ends of a
// link must use the same FrameSize.
type Config struct {
	// Key is the identity to prove to the peer. Nil makes a dialer anonymous.
	Key ed25519.PrivateKey

	// FrameSize is the length in bytes of a frame's body. On the wire a frame
	// has two bytes more.
	FrameSize int

	// HandshakeTimeout bounds a handshake as a whole. 10 s if zero.
	HandshakeTimeout time.Duration

	// ReadTimeout bounds the wait for a frame, padding included, from the
	// moment that the reader is ready for it until its last byte. A peer with
	// nothing to say sends padding more often than this. 10 min if zero.
	ReadTimeout time.Duration

	// WriteTimeout bounds the time that the peer, or the network, may take to
	// accept one TLS record, which is at most 16 KiB. 30 s if zero.
	WriteTimeout time.Duration

	// MaxConns is how many links with parties that are not Known Serve keeps, not
	// counting those in their handshake. Further ones are closed after it. 1024 if
	// zero.
	MaxConns int

	// MaxConnsPerAddress is how many of these may come from one [Conn.Host]. 64
	// if zero.
	MaxConnsPerAddress int

	// Known tells whose links nobody must be able to keep out: each of these keys
	// has its newest two. The caller bounds how many it knows. Nobody's if nil.
	Known func(ed25519.PublicKey) bool

	// MaxHandshakes is how many handshakes Serve has in flight. For a further one
	// the oldest is given up of the Host that has most of them, so that those who
	// connect and then say nothing never keep out those who do. 128 if zero.
	MaxHandshakes int

	// Log receives what Serve has to tell an operator: failures to accept as
	// warnings, refused connections and failed handshakes for debugging. Nil
	// discards it.
	Log *slog.Logger
}

// withDefaults returns c with every default filled in, or says what is wrong
// with it.
func (c Config) withDefaults() (Config, error) {
	if c.FrameSize <= 0 {
		return c, fmt.Errorf("link: frame size of %d bytes", c.FrameSize)
	}
	if c.Key != nil && len(c.Key) != ed25519.PrivateKeySize {
		return c, fmt.Errorf("link: identity key of %d bytes, want %d", len(c.Key), ed25519.PrivateKeySize)
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		zero  time.Duration
	}{
		{"handshake timeout", &c.HandshakeTimeout, 10 * time.Second},
		{"read timeout", &c.ReadTimeout, 10 * time.Minute},
		{"write timeout", &c.WriteTimeout, 30 * time.Second},
	} {
		if *d.value < 0 {
			return c, fmt.Errorf("link: negative %s", d.name)
		}
		if *d.value == 0 {
			*d.value = d.zero
		}
	}
	for _, l := range []struct {
		name  string
		value *int
		zero  int
	}{
		{"connections", &c.MaxConns, 1024},
		{"connections per address", &c.MaxConnsPerAddress, 64},
		{"handshakes", &c.MaxHandshakes, 128},
	} {
		if *l.value < 0 {
			return c, fmt.Errorf("link: negative limit of %s", l.name)
		}
		if *l.value == 0 {
			*l.value = l.zero
		}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}
