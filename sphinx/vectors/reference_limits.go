package vectors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"sphinxmix.example/sphinx"
)

// These bound what is tried to check a vector.
const (
	largestArgument = 1 << 20
	longestPath     = 1000
)

// limit is what somebody asks the reference and the project to build. A negative length stands for "not part of it".
type limit struct {
	setting
	maxHops, payload         int
	route                    int
	destination, message     int // of a forward message
	clientID, messageID      int // of a SURB
	reply                    int // through a SURB
	unknownNode, forwardOnly bool
}

// checkLimit checks what the reference refuses to build. A case without numbers has them in its name.
func checkLimit(s *setting, rawCase json.RawMessage) error {
	var v struct {
		Name        string  `json:"name"`
		Error       *string `json:"error"`
		MaxHops     *int    `json:"max_hops,omitzero"`
		RouteLen    *int    `json:"route_len,omitzero"`
		PayloadSize *int    `json:"payload_size,omitzero"`
		DestLen     *int    `json:"dest_len,omitzero"`
		MessageLen  *int    `json:"message_len,omitzero"`
	}
	if err := decode(rawCase, &v, false); err != nil {
		return err
	}
	l := limit{setting: *s}
	switch {
	case v.MaxHops != nil && v.RouteLen != nil && v.PayloadSize != nil && v.DestLen != nil && v.MessageLen != nil:
		l.forwardOnly = true
		l.maxHops, l.payload, l.route = *v.MaxHops, *v.PayloadSize, *v.RouteLen
		l.destination, l.message = *v.DestLen, *v.MessageLen
	case v.MaxHops != nil || v.RouteLen != nil || v.PayloadSize != nil || v.DestLen != nil || v.MessageLen != nil:
		return errors.New("max_hops, route_len, payload_size, dest_len or message_len is missing")
	case !l.fromName(v.Name):
		return errors.New("a limit that is not understood")
	}
	for _, n := range []int{l.maxHops, l.payload, l.route, l.destination, l.message, l.clientID, l.messageID, l.reply} {
		if n < 0 || n > largestArgument {
			return fmt.Errorf("%d is no length, or one above %d", n, largestArgument)
		}
	}
	if l.route > longestPath {
		return fmt.Errorf("route_len: %d, must be at most %d", l.route, longestPath)
	}
	if err := sameError(l.reference(), v.Error); err != nil {
		return err
	}
	if l.messageID != sphinx.MessageIDSize && !l.forwardOnly {
		return nil // a MessageID has its size by its type
	}
	want, err := l.project(), l.build()
	if !errors.Is(err, want) || want == nil && err != nil {
		return fmt.Errorf("the project says %v, must say %v", err, want)
	}
	return nil
}

var limitNames = []struct {
	pattern *regexp.Regexp
	set     func(l *limit, n []int)
}{
	{regexp.MustCompile(`^unknown node$`), func(l *limit, n []int) { l.unknownNode = true }},
	{
		regexp.MustCompile(`^surb client id of (\d+) on (\d+) of (\d+) hops$`),
		func(l *limit, n []int) { l.clientID, l.route, l.maxHops = n[0], n[1], n[2] },
	},
	{regexp.MustCompile(`^surb message id of (\d+)$`), func(l *limit, n []int) { l.messageID = n[0] }},
	{regexp.MustCompile(`^surb reply message of (\d+) in (\d+)$`), func(l *limit, n []int) { l.reply, l.payload = n[0], n[1] }},
}

// fromName sets l to what the name of a case says and reports whether it says something.
func (l *limit) fromName(name string) bool {
	l.maxHops, l.payload, l.route, l.clientID, l.messageID = 5, 1024, 3, 1, sphinx.MessageIDSize
	for _, known := range limitNames {
		match := known.pattern.FindStringSubmatch(name)
		if match == nil {
			continue
		}
		numbers := make([]int, len(match)-1)
		for i, digits := range match[1:] {
			number, err := strconv.Atoi(digits)
			if err != nil {
				return false
			}
			numbers[i] = number
		}
		known.set(l, numbers)
		return true
	}
	return false
}

// reference is what sphinxmixcrypto raises, in the order of its checks.
func (l *limit) reference() string {
	headerRoom := 2 * (l.maxHops - l.route + 1) * kappa
	switch {
	case l.unknownNode:
		return errKey
	case l.forwardOnly && (l.destination < 1 || l.destination > 127):
		return errAssertion
	case l.forwardOnly && kappa+1+l.destination+l.message >= l.payload:
		return errAssertion
	case !l.forwardOnly && (l.clientID < 1 || l.clientID > 127 || 1+l.clientID > headerRoom || l.messageID != kappa):
		return errAssertion
	case l.route > l.maxHops:
		return errAssertion
	case l.route == 0:
		return errIndex
	}
	filled := l.payload - kappa - l.reply
	if l.forwardOnly {
		filled = l.payload - kappa - 1 - l.destination - l.message
	}
	switch {
	case filled <= 2: // one byte before the format's limit
		return errAssertion
	case filled > 0xffff: // the project stops at 65536 bytes of payload, whatever the message
		return errStruct
	case l.payload < 192: // no block of pylioness is shorter than its key; the project's limit is 64
		return errAssertion
	}
	return ""
}

// project is what package sphinx must say: nil, or the sentinel of its first refusal.
func (l *limit) project() error {
	p := l.params()
	switch {
	case p.MaxHops < 1 || p.MaxHops > 50 || p.PayloadSize < 64 || p.PayloadSize > 65536:
		return sphinx.ErrParams
	case l.route < 1 || l.route > p.MaxHops:
		return sphinx.ErrPath
	case l.unknownNode: // nobody's key is all zeros
		return sphinx.ErrKey
	case l.forwardOnly && (l.destination < 1 || l.destination > 127):
		return sphinx.ErrDestination
	case l.forwardOnly && l.message > p.PayloadSize-19-l.destination:
		return sphinx.ErrMessageSize
	case !l.forwardOnly && (l.clientID < 1 || l.clientID > min(127, 32*(p.MaxHops-l.route+1)-1)):
		return sphinx.ErrClientID
	case !l.forwardOnly && l.reply > p.PayloadSize-18:
		return sphinx.ErrMessageSize
	}
	return nil
}

func (l *limit) params() sphinx.Params {
	return sphinx.Params{MaxHops: l.maxHops, PayloadSize: l.payload, Schedule: l.schedule}
}

// build builds it, takes it to the end of its path and compares what comes out there.
func (l *limit) build() error {
	p := l.params()
	path := make([]node, l.route)
	for i := range path {
		key, err := sphinx.NewPrivateKey(bytes.Repeat([]byte{byte(i)}, sphinx.KeySize))
		if err != nil {
			return err
		}
		path[i] = node{key, sphinx.Hop{Address: sphinx.Address{0xff, byte(i)}, Key: key.Public()}}
	}
	if l.unknownNode {
		path[0].hop.Key = sphinx.PublicKey{}
	}
	random := bytes.NewReader(keystream(new([32]byte), 4096))
	if l.forwardOnly {
		destination, message := bytes.Repeat([]byte{'d'}, l.destination), bytes.Repeat([]byte{'m'}, l.message)
		packet, err := p.Wrap(nil, random, hopsOf(path), destination, message)
		if err != nil {
			return err
		}
		last, err := walk(p, path, packet, nil)
		return first(err, same("destination", last.Destination, destination), same("message", last.Message, message))
	}
	clientID, message := bytes.Repeat([]byte{'c'}, l.clientID), bytes.Repeat([]byte{'m'}, l.reply)
	surb, key, err := p.NewSURB(random, hopsOf(path), clientID, sphinx.MessageID{'i'})
	if err != nil {
		return err
	}
	_, packet, err := surb.Use(nil, message)
	if err != nil {
		return err
	}
	last, err := walk(p, path, packet, nil)
	if err != nil {
		return err
	}
	opened, err := key.Open(last.Payload)
	return first(err, same("client id", last.Client, clientID), same("message", opened, message))
}
