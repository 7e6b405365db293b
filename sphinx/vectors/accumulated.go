package vectors

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"sphinxmix.example/sphinx"
	"sphinxmix.example/testvectors"
)

const (
	accumulatedHops    = 3 // r
	accumulatedLabel   = "sphinxmix accumulated"
	accumulatedShort   = 100
	accumulatedLong    = 10_000 // more packets take minutes
	accumulatedLongest = 1_000_000
)

func checkAccumulated(s *setting, rawCase json.RawMessage) error {
	var v testvectors.Accumulated
	if err := decode(rawCase, &v, true); err != nil {
		return err
	}
	if v.Packets < 1 || v.Packets > accumulatedLongest || len(v.First) > v.Packets {
		return fmt.Errorf("packets: %d, must be 1 to %d", v.Packets, accumulatedLongest)
	}
	for i, want := range v.First {
		got, err := accumulatedPacket(i)
		if err == nil {
			err = same(fmt.Sprintf("first[%d]", i), got[:], want)
		}
		if err != nil {
			return err
		}
	}
	if v.Packets > s.packets {
		return errSkipped
	}
	sum, err := accumulate(v.Packets)
	return first(err, same("sha256", sum[:], v.SHA256))
}

// accumulate returns the SHA-256 of the digests of the packets 0 to n−1.
func accumulate(n int) (sum [32]byte, err error) {
	digests, errs := make([][32]byte, n), make([]error, n)
	parallel(n, func(i int) { digests[i], errs[i] = accumulatedPacket(i) })
	hash := sha256.New()
	for i := range digests {
		if errs[i] != nil {
			return sum, fmt.Errorf("packet %d: %w", i, errs[i])
		}
		hash.Write(digests[i][:])
	}
	hash.Sum(sum[:0])
	return sum, nil
}

// accumulatedPacket makes packet i from its own source, sends it along its path, and returns the SHA-256 over the packet
// and what comes out at each hop. README.md of testvectors specifies what is drawn and hashed.
func accumulatedPacket(i int) (sum [32]byte, err error) {
	s := &source{key: sha256.Sum256(binary.BigEndian.AppendUint64([]byte(accumulatedLabel), uint64(i)))}
	choices := s.bytes(3)
	reply := choices[0]&1 == 1
	path := make([]node, 1+int(choices[1])%accumulatedHops)
	p := sphinx.Params{MaxHops: accumulatedHops, PayloadSize: 64 + 16*(int(choices[2])%5)}
	for j := range path {
		id, private := s.bytes(sphinx.AddressSize-1), s.bytes(sphinx.KeySize)
		key, err := sphinx.NewPrivateKey(private)
		if err != nil {
			return sum, err
		}
		path[j] = node{key, sphinx.Hop{Address: sphinx.Address(append([]byte{0xff}, id...)), Key: key.Public()}}
	}
	lengths := s.bytes(2)

	hash := sha256.New()
	var packet []byte
	var key *sphinx.ReplyKey
	if reply {
		clientID, id := s.bytes(1+int(lengths[0])%31), sphinx.MessageID(s.bytes(sphinx.MessageIDSize))
		message := s.bytes(int(lengths[1]) % (p.MaxReply() + 1))
		var surb *sphinx.SURB
		if surb, key, err = p.NewSURB(s, hopsOf(path), clientID, id); err != nil {
			return sum, err
		}
		encoded, err := surb.AppendBinary(nil)
		if err != nil {
			return sum, err
		}
		hash.Write(encoded)
		if _, packet, err = surb.Use(nil, message); err != nil {
			return sum, err
		}
	} else {
		destination := s.bytes(1 + int(lengths[0])%16)
		message := s.bytes(int(lengths[1]) % (p.MaxMessage(len(destination)) + 1))
		if packet, err = p.Wrap(nil, s, hopsOf(path), destination, message); err != nil {
			return sum, err
		}
	}
	hash.Write(packet)

	stops, last, err := walk(p, path, packet)
	if err != nil {
		return sum, err
	}
	for j, at := range stops {
		hash.Write(at.found.Tag[:])
		if at.found.Route == sphinx.Relay {
			hash.Write(at.found.Next[:])
			hash.Write(stops[j+1].arrived)
		}
	}
	if !reply {
		hash.Write(concat([]byte{byte(len(last.Destination))}, last.Destination, last.Message))
	} else {
		hash.Write(concat([]byte{byte(len(last.Client))}, last.Client, last.MessageID[:], last.Payload))
		message, err := key.Open(last.Payload)
		if err != nil {
			return sum, err
		}
		hash.Write(message)
	}
	hash.Sum(sum[:0])
	return sum, nil
}

// makeAccumulated returns the accumulated hashes. All but the shortest are computed only where long is set, and kept
// otherwise: that they are right is the checker's part.
func makeAccumulated(long bool) ([]testvectors.Accumulated, error) {
	var list []testvectors.Accumulated
	for _, n := range []int{accumulatedShort, accumulatedLong, accumulatedLongest} {
		v := testvectors.Accumulated{Name: fmt.Sprintf("accumulated-%d", n), Packets: n}
		if n == accumulatedShort {
			for i := range 5 {
				digest, err := accumulatedPacket(i)
				if err != nil {
					return nil, err
				}
				v.First = append(v.First, digest[:])
			}
		}
		if n > accumulatedShort && !long {
			kept, err := keptAccumulated(n)
			if err != nil {
				return nil, err
			}
			v.SHA256 = kept
		} else {
			sum, err := accumulate(n)
			if err != nil {
				return nil, err
			}
			v.SHA256 = sum[:]
		}
		list = append(list, v)
	}
	return list, nil
}

// keptAccumulated returns the hash over n packets that stands in the file.
func keptAccumulated(n int) (testvectors.Hex, error) {
	data, err := testvectors.Files.ReadFile("accumulated.json")
	if err != nil {
		return nil, err
	}
	var kept testvectors.File[testvectors.Accumulated]
	if err := json.Unmarshal(data, &kept); err != nil {
		return nil, err
	}
	for _, v := range kept.Cases {
		if v.Packets == n {
			return v.SHA256, nil
		}
	}
	return nil, fmt.Errorf("vectors: accumulated.json has no hash over %d packets to keep; compute it", n)
}
