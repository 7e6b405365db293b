package vectors

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"sphinxmix.example/sphinx"
	"sphinxmix.example/testvectors"
)

// limit is what somebody asks the reference and the project to build: a forward message, or a SURB and a reply through
// it.
type limit struct {
	*request
	messageID int // the length of one
}

func (l *limit) forward() bool { return l.call == "wrap" }

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
	l := limit{newRequest(&testvectors.NegativeBuild{Call: "use", PathLength: 3}), sphinx.MessageIDSize}
	switch {
	case v.MaxHops != nil && v.RouteLen != nil && v.PayloadSize != nil && v.DestLen != nil && v.MessageLen != nil:
		l.call, l.maxHops, l.payloadSize, l.pathLength = "wrap", *v.MaxHops, *v.PayloadSize, *v.RouteLen
		l.destinationLength, l.messageLength = *v.DestLen, *v.MessageLen
	case v.MaxHops != nil || v.RouteLen != nil || v.PayloadSize != nil || v.DestLen != nil || v.MessageLen != nil:
		return errors.New("max_hops, route_len, payload_size, dest_len or message_len is missing")
	case !l.fromName(v.Name):
		return errors.New("a limit that is not understood")
	}
	if err := first(l.check(), sameError(l.reference(), v.Error)); err != nil {
		return err
	}
	if l.messageID != sphinx.MessageIDSize {
		return nil // a MessageID has its size by its type
	}
	want, err := l.project(), l.build(s.schedule)
	if !errors.Is(err, want) || want == nil && err != nil {
		return fmt.Errorf("the project says %v, must say %v", err, want)
	}
	return nil
}

var limitNames = []struct {
	pattern *regexp.Regexp
	set     func(l *limit, n []int)
}{
	{regexp.MustCompile(`^unknown node$`), func(l *limit, n []int) { l.key = make([]byte, sphinx.KeySize) }},
	{
		regexp.MustCompile(`^surb client id of (\d+) on (\d+) of (\d+) hops$`),
		func(l *limit, n []int) { l.clientIDLength, l.pathLength, l.maxHops = n[0], n[1], n[2] },
	},
	{regexp.MustCompile(`^surb message id of (\d+)$`), func(l *limit, n []int) { l.messageID = n[0] }},
	{regexp.MustCompile(`^surb reply message of (\d+) in (\d+)$`), func(l *limit, n []int) { l.messageLength, l.payloadSize = n[0], n[1] }},
}

// fromName sets l to what the name of a case says and reports whether it says something.
func (l *limit) fromName(name string) bool {
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
	headerRoom := 2 * (l.maxHops - l.pathLength + 1) * kappa
	switch {
	case l.key != nil: // of a node that nobody knows
		return errKey
	case l.forward() && (l.destinationLength < 1 || l.destinationLength > 127):
		return errAssertion
	case l.forward() && kappa+1+l.destinationLength+l.messageLength >= l.payloadSize:
		return errAssertion
	case !l.forward() && (l.clientIDLength < 1 || l.clientIDLength > 127 || 1+l.clientIDLength > headerRoom || l.messageID != kappa):
		return errAssertion
	case l.pathLength > l.maxHops:
		return errAssertion
	case l.pathLength == 0:
		return errIndex
	}
	filled := l.payloadSize - kappa - l.messageLength
	if l.forward() {
		filled = l.payloadSize - kappa - 1 - l.destinationLength - l.messageLength
	}
	switch {
	case filled <= 2: // one byte before the format's limit
		return errAssertion
	case filled > 0xffff: // the project stops at 65536 bytes of payload, whatever the message
		return errStruct
	case l.payloadSize < 192: // no block of pylioness is shorter than its key; the project's limit is 64
		return errAssertion
	}
	return ""
}

// project is what package sphinx must say: nil, or the sentinel of its first refusal.
func (l *limit) project() error {
	switch {
	case l.maxHops < 1 || l.maxHops > 50 || l.payloadSize < 64 || l.payloadSize > 65536:
		return sphinx.ErrParams
	case l.pathLength < 1 || l.pathLength > l.maxHops:
		return sphinx.ErrPath
	case l.key != nil: // nobody's key is all zeros
		return sphinx.ErrKey
	case l.forward() && (l.destinationLength < 1 || l.destinationLength > 127):
		return sphinx.ErrDestination
	case l.forward() && l.messageLength > l.payloadSize-19-l.destinationLength:
		return sphinx.ErrMessageSize
	case !l.forward() && (l.clientIDLength < 1 || l.clientIDLength > min(127, 32*(l.maxHops-l.pathLength+1)-1)):
		return sphinx.ErrClientID
	case !l.forward() && l.messageLength > l.payloadSize-18:
		return sphinx.ErrMessageSize
	}
	return nil
}
