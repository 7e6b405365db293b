package exit_test

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// nameServer is a DNS server on loopback, over UDP (RFC 1035 §4).
type nameServer struct {
	address string

	mu      sync.Mutex
	asked   []string                // questions in their order, as "example.com. A"; guarded by mu
	answers map[string][]netip.Addr // by the name with its dot; names that are not there do not exist. Guarded by mu
	broken  map[string]bool         // names that the server fails for; guarded by mu
}

// Types of records (RFC 1035 §3.2.2, RFC 3596).
const (
	typeA    = 1
	typeAAAA = 28
)

func newNameServer(t *testing.T, answers map[string][]netip.Addr) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &nameServer{address: conn.LocalAddr().String(), answers: answers, broken: make(map[string]bool)}
	var serving sync.WaitGroup
	serving.Go(func() {
		buf := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			_, err = conn.WriteTo(s.answer(buf[:n]), from)
			assert.NoError(t, err)
		}
	})
	t.Cleanup(func() {
		conn.Close()
		serving.Wait()
	})
	return s
}

// answer makes the message that answers a query of one question.
func (s *nameServer) answer(query []byte) []byte {
	var labels []string
	rest := query[12:]
	for rest[0] != 0 {
		n := int(rest[0])
		labels = append(labels, string(rest[1:1+n]))
		rest = rest[1+n:]
	}
	kind := binary.BigEndian.Uint16(rest[1:])
	question := query[12 : len(query)-len(rest)+5]
	name := strings.Join(labels, ".") + "."

	s.mu.Lock()
	defer s.mu.Unlock()
	if kind == typeA || kind == typeAAAA {
		s.asked = append(s.asked, name+" "+map[uint16]string{typeA: "A", typeAAAA: "AAAA"}[kind])
	}
	addresses, exists := s.answers[name]
	code, count := 0, 0
	var records []byte
	switch {
	case s.broken[name]:
		code = 2 // server failure
	case !exists:
		code = 3 // no such name
	}
	for _, address := range addresses {
		if address.Is4() != (kind == typeA) || kind != typeA && kind != typeAAAA {
			continue
		}
		count++
		records = append(records, 0xc0, 12) // the name in the question
		records = binary.BigEndian.AppendUint16(records, kind)
		records = append(records, 0, 1, 0, 0, 0, 0) // of the Internet, to be kept for 0 s
		records = binary.BigEndian.AppendUint16(records, uint16(len(address.AsSlice())))
		records = append(records, address.AsSlice()...)
	}
	message := bytes.Clone(query[:2])
	message = append(message, 0x81, 0x80|byte(code), 0, 1, 0, byte(count), 0, 0, 0, 0)
	return append(append(message, question...), records...)
}

// set changes what a name resolves to.
func (s *nameServer) set(name string, addresses ...netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[name] = addresses
}

// fail makes the server fail for a name.
func (s *nameServer) fail(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken[name] = true
}

// questions returns what was asked.
func (s *nameServer) questions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.asked...)
}
