package vectors

import (
	"bytes"
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
		request, err := newRequest(v)
		if err != nil {
			return err
		}
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

func newRequest(v *testvectors.NegativeBuild) (*request, error) {
	r := &request{
		call: v.Call, maxHops: 5, payloadSize: 1024, pathLength: 1, addressFirstByte: 0xff,
		destinationLength: 1, clientIDLength: 1, randomLength: -1,
	}
	for _, stated := range []struct {
		value int
		field *int
	}{
		{v.MaxHops, &r.maxHops},
		{v.PayloadSize, &r.payloadSize},
		{v.PathLength, &r.pathLength},
		{v.DestinationLength, &r.destinationLength},
	} {
		if stated.value != 0 {
			*stated.field = stated.value
		}
	}
	return r, r.check()
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
		return fmt.Errorf("path_length: %d, must be at most %d", r.pathLength, longestPath)
	}
	return nil
}

// build makes the call.
func (r *request) build(schedule sphinx.KeySchedule) error {
	p := sphinx.Params{MaxHops: r.maxHops, PayloadSize: r.payloadSize, Schedule: schedule}
	path := make([]sphinx.Hop, r.pathLength)
	for i := range path {
		key, err := sphinx.NewPrivateKey(bytes.Repeat([]byte{byte(i + 1)}, sphinx.KeySize))
		if err != nil {
			return err
		}
		path[i] = sphinx.Hop{Address: sphinx.Address{byte(r.addressFirstByte)}, Key: key.Public()}
		if r.key != nil {
			path[i].Key = sphinx.PublicKey(r.key)
		}
	}
	var random io.Reader = newSource("build")
	if r.randomLength >= 0 {
		random = io.LimitReader(random, int64(r.randomLength))
	}
	switch r.call {
	case "wrap":
		_, err := p.Wrap(nil, random, path, make([]byte, r.destinationLength), make([]byte, r.messageLength))
		return err
	case "new_surb", "use":
		surb, _, err := p.NewSURB(random, path, make([]byte, r.clientIDLength), sphinx.MessageID{})
		if err != nil || r.call == "new_surb" {
			return err
		}
		_, _, err = surb.Use(nil, make([]byte, r.messageLength))
		return err
	}
	return fmt.Errorf("call: unknown %.40q", r.call)
}
