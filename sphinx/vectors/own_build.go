package vectors

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"

	"sphinxmix.example/sphinx"
	"sphinxmix.example/testvectors"
)

// reasons are the errors of a sender's calls by the name that negative vectors give them.
var reasons = map[string]error{
	"params":      sphinx.ErrParams,
	"path":        sphinx.ErrPath,
	"key":         sphinx.ErrKey,
	"destination": sphinx.ErrDestination,
	"message":     sphinx.ErrMessageSize,
	"client_id":   sphinx.ErrClientID,
	"random":      io.ErrUnexpectedEOF,
}

// checkBuild requires that a sender's call works with good and is refused with bad, which is one more or one less.
func (s *setting) checkBuild(v *testvectors.NegativeBuild) error {
	reason, ok := reasons[v.Reason]
	if !ok {
		return fmt.Errorf("reason: unknown %.40q", v.Reason)
	}
	build := func(value int, key testvectors.Hex) error {
		request := newRequest(v)
		if key != nil {
			request.key = key
		} else if field := request.field(v.Field); field == nil {
			return fmt.Errorf("field: unknown %.40q", v.Field)
		} else {
			*field = value
		}
		if err := request.check(); err != nil {
			return err
		}
		return request.build(s.schedule)
	}
	if v.Field == "public_key" {
		if v.Good != nil || v.Bad != nil {
			return errors.New("good and bad: a public key has none")
		}
		if err := fixed("public_key", v.PublicKey, sphinx.KeySize); err != nil {
			return err
		}
		return refusedBecause(build(0, v.PublicKey), reason)
	}
	if v.Good == nil || v.Bad == nil || v.PublicKey != nil {
		return errors.New("good or bad: missing")
	}
	if difference := *v.Good - *v.Bad; difference != 1 && difference != -1 {
		return fmt.Errorf("good is %d and bad is %d: no limit lies between them", *v.Good, *v.Bad)
	}
	if err := build(*v.Good, nil); err != nil {
		return fmt.Errorf("good: %w", err)
	}
	return refusedBecause(build(*v.Bad, nil), reason)
}

func refusedBecause(err, reason error) error {
	if !errors.Is(err, reason) {
		return fmt.Errorf("reason: the project says %v, must say %v", err, reason)
	}
	return nil
}

// request is a sender's call with the lengths of its arguments. Zero fields of a vector have the defaults of newRequest.
type request struct {
	call                                             string
	maxHops, payloadSize                             int
	pathLength, addressFirstByte                     int
	destinationLength, messageLength, clientIDLength int
	randomLength                                     int // −1 for enough
	key                                              []byte
}

func newRequest(v *testvectors.NegativeBuild) *request {
	return &request{
		call:              v.Call,
		maxHops:           cmp.Or(v.MaxHops, 5),
		payloadSize:       cmp.Or(v.PayloadSize, 1024),
		pathLength:        cmp.Or(v.PathLength, 1),
		addressFirstByte:  0xff,
		destinationLength: cmp.Or(v.DestinationLength, 1),
		clientIDLength:    1,
		randomLength:      -1,
	}
}

func (r *request) field(name string) *int {
	return map[string]*int{
		"max_hops":           &r.maxHops,
		"payload_size":       &r.payloadSize,
		"path_length":        &r.pathLength,
		"address_first_byte": &r.addressFirstByte,
		"destination_length": &r.destinationLength,
		"message_length":     &r.messageLength,
		"client_id_length":   &r.clientIDLength,
		"random_length":      &r.randomLength,
	}[name]
}

// These bound what is tried to check a vector.
const (
	largestArgument = 1 << 20
	longestPath     = 1000
)

// check refuses lengths that are none, or that nobody would try.
func (r *request) check() error {
	for _, n := range []int{
		r.maxHops, r.payloadSize, r.pathLength, r.addressFirstByte, r.destinationLength, r.messageLength,
		r.clientIDLength, r.randomLength + 1,
	} {
		if n < 0 || n > largestArgument {
			return fmt.Errorf("%d is no length, or one above %d", n, largestArgument)
		}
	}
	if r.pathLength > longestPath {
		return fmt.Errorf("a path of %d nodes, must be at most %d", r.pathLength, longestPath)
	}
	return nil
}

// build makes the call, takes a packet that comes of it to the end of its path and compares what comes out there.
func (r *request) build(schedule sphinx.KeySchedule) error {
	p := sphinx.Params{MaxHops: r.maxHops, PayloadSize: r.payloadSize, Schedule: schedule}
	path := make([]node, r.pathLength)
	for i := range path {
		key, err := sphinx.NewPrivateKey(bytes.Repeat([]byte{byte(i + 1)}, sphinx.KeySize))
		if err != nil {
			return err
		}
		path[i] = node{key, sphinx.Hop{Address: sphinx.Address{byte(r.addressFirstByte), byte(i)}, Key: key.Public()}}
		if r.key != nil {
			path[i].hop.Key = sphinx.PublicKey(r.key)
		}
	}
	var random io.Reader = newSource("build")
	if r.randomLength >= 0 {
		random = io.LimitReader(random, int64(r.randomLength))
	}
	message := bytes.Repeat([]byte{'m'}, r.messageLength)
	switch r.call {
	case "wrap":
		destination := bytes.Repeat([]byte{'d'}, r.destinationLength)
		packet, err := p.Wrap(nil, random, hopsOf(path), destination, message)
		if err != nil {
			return err
		}
		_, last, err := walk(p, path, packet)
		return first(err, same("destination", last.Destination, destination), same("message", last.Message, message))
	case "new_surb", "use":
		clientID := bytes.Repeat([]byte{'c'}, r.clientIDLength)
		surb, key, err := p.NewSURB(random, hopsOf(path), clientID, sphinx.MessageID{'i'})
		if err != nil {
			return err
		}
		_, packet, err := surb.Use(nil, message)
		if err != nil {
			return err
		}
		_, last, err := walk(p, path, packet)
		if err != nil {
			return err
		}
		opened, err := key.Open(last.Payload)
		return first(err, same("client id", last.Client, clientID), same("message", opened, message))
	}
	return fmt.Errorf("call: unknown %.40q", r.call)
}
