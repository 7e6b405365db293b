package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	sphinx "github.com/lightningnetwork/lightning-onion"
)

// lightning is a path of hops of the Lightning network (BOLT 4), with their keys, and a message.
type lightning struct {
	routers []*sphinx.Router
	path    sphinx.PaymentPath
	message []byte
}

const lightningNote = "Lightning's Sphinx, BOLT 4: secp256k1, HMAC-SHA-256, ChaCha20; a packet is a header alone, " +
	"without a payload under a wide-block cipher: its 1300 bytes carry 4 instructions of 14 bytes and 1024 bytes for " +
	"the last hop; "

// forwarding is about what stands in an instruction: amount, time lock and channel, with their types and lengths. The
// packet format does not look into it.
const forwarding = 14

func newLightning() (*peer, error) {
	l := &lightning{message: make([]byte, payloadSize)}
	rand.Read(l.message)
	var keys []*btcec.PrivateKey
	for i := range hops {
		key, err := btcec.NewPrivateKey()
		if err != nil {
			return nil, err
		}
		content := l.message
		if i < hops-1 {
			content = bytes.Repeat([]byte{byte(i + 1)}, forwarding)
		}
		payload, err := sphinx.NewTLVHopPayload(content)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
		l.path[i] = sphinx.OnionHop{NodePub: *key.PubKey(), HopPayload: payload}
		l.routers = append(l.routers, sphinx.NewRouter(&sphinx.PrivKeyECDH{PrivKey: key}, unseen{}))
	}
	packet, err := l.wrap(nil)
	if err != nil {
		return nil, err
	}
	made := bytes.Clone(packet)
	next := make([]byte, 0, len(packet))
	return &peer{
		name:       "lightning-onion",
		module:     "github.com/lightningnetwork/lightning-onion",
		packetSize: len(packet),
		operations: []operation{
			{
				name: "unwrap",
				note: lightningNote + "from a packet's bytes to those of the next, which takes the root that a " +
					"compressed point needs; the replay log calls everything new",
				run: func() (err error) {
					next, err = l.relay(0, packet, next[:0])
					return err
				},
				arrived: func() error { return l.arrives(1, next) },
			},
			{
				name: "wrap",
				note: lightningNote + "with a new session key and random filling each time, up to the packet's " +
					"bytes; 11 multiplications for 5 hops, 6 of them of the base point",
				run: func() (err error) {
					made, err = l.wrap(made[:0])
					return err
				},
				arrived: func() error { return l.arrives(0, made) },
			},
			lightningGroup(keys[0], keys[1]),
		},
	}, nil
}

// wrap appends the bytes of a new packet to dst.
func (l *lightning) wrap(dst []byte) ([]byte, error) {
	session, err := btcec.NewPrivateKey()
	if err != nil {
		return nil, err
	}
	packet, err := sphinx.NewOnionPacket(&l.path, session, nil, sphinx.RandPacketFiller)
	if err != nil {
		return nil, err
	}
	out := bytes.NewBuffer(dst)
	err = packet.Encode(out)
	return out.Bytes(), err
}

// open has a hop open the packet of these bytes.
func (l *lightning) open(hop int, packet []byte) (*sphinx.ProcessedPacket, error) {
	var onion sphinx.OnionPacket
	if err := onion.Decode(bytes.NewReader(packet)); err != nil {
		return nil, err
	}
	return l.routers[hop].ProcessOnionPacket(&onion, nil, 0)
}

// relay opens packet at a hop before the last and appends the next packet to dst. It returns an error unless the packet
// has to go on by this hop's instruction.
func (l *lightning) relay(hop int, packet, dst []byte) ([]byte, error) {
	opened, err := l.open(hop, packet)
	if err != nil {
		return nil, err
	}
	if opened.Action != sphinx.MoreHops || !bytes.Equal(opened.Payload.Payload, l.path[hop].HopPayload.Payload) {
		return nil, fmt.Errorf("hop %d does not get its instruction", hop)
	}
	out := bytes.NewBuffer(dst)
	err = opened.NextPacket.Encode(out)
	return out.Bytes(), err
}

// arrives sends packet through the hops from the given one to the last, and returns an error unless that one gets the
// message.
func (l *lightning) arrives(from int, packet []byte) error {
	for hop := from; hop < hops-1; hop++ {
		var err error
		if packet, err = l.relay(hop, packet, nil); err != nil {
			return err
		}
	}
	opened, err := l.open(hops-1, packet)
	if err == nil && (opened.Action != sphinx.ExitNode || !bytes.Equal(opened.Payload.Payload, l.message)) {
		err = errors.New("another message arrives than was sent")
	}
	return err
}

// lightningGroup is one multiplication in Lightning's group.
func lightningGroup(one, other *btcec.PrivateKey) operation {
	ours, theirs := &sphinx.PrivKeyECDH{PrivKey: one}, &sphinx.PrivKeyECDH{PrivKey: other}
	want, failed := theirs.ECDH(one.PubKey())
	point := other.PubKey()
	return operation{
		name: "secp256k1",
		note: "Lightning's group operation alone, which an unwrap does twice: secp256k1, and SHA-256 of the point",
		run: func() error {
			got, err := ours.ECDH(point)
			if err == nil && (failed != nil || got != want) {
				err = errors.New("a wrong shared secret")
			}
			return err
		},
	}
}

// unseen is a replay log that calls everything new and remembers nothing.
type unseen struct{}

func (unseen) Start() error                                      { return nil }
func (unseen) Stop() error                                       { return nil }
func (unseen) Get(*sphinx.HashPrefix) (uint32, error)            { return 0, sphinx.ErrLogEntryNotFound }
func (unseen) Put(*sphinx.HashPrefix, uint32) error              { return nil }
func (unseen) Delete(*sphinx.HashPrefix) error                   { return nil }
func (unseen) PutBatch(*sphinx.Batch) (*sphinx.ReplaySet, error) { return sphinx.NewReplaySet(), nil }
