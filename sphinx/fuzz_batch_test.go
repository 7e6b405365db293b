package sphinx

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/sphinx/internal/x25519"
)

// The ways in which a packet of a fuzzed batch is spoilt.
const (
	leave       = iota
	flip        // a bit of the header
	flipPayload // a bit of the payload
	shorten     // to any length
	lengthen
	lowOrder // another α, of low order
	swap     // the α of another packet
	author   // made by a sender who keeps no rule but the MAC
	spoiling // how many there are
)

// FuzzUnwrapBatch makes two batches from a script: three bytes for each packet, which of some good ones it starts from, how
// it is spoilt, and where. Opened in two batches they come out as one after the other, and what is spoilt for one harms
// no other.
func FuzzUnwrapBatch(f *testing.F) {
	p := Params{MaxHops: 3, PayloadSize: 80}
	random := randomness("FuzzUnwrapBatch")
	nodes := newNodes(f, random, 3)
	low := lowOrderAlphas(f)
	var good [][]byte
	for i := range 24 {
		packet := wrap(f, p, random, nodes[:1+i%3], randomBytes(random, i))
		if i%4 == 3 {
			surb, _, err := p.NewSURB(random, pathOf(nodes[:1+i%3]), []byte("alice"), MessageID{byte(i)})
			require.NoError(f, err)
			_, packet, err = surb.Use(nil, []byte("hello"))
			require.NoError(f, err)
		}
		good = append(good, packet)
	}
	spoil := func(packet []byte, how, where byte) []byte {
		packet = slices.Clone(packet)
		at := int(where) * (len(packet) - 1) / 255
		switch how % spoiling {
		case flip:
			packet[at*p.HeaderSize()/len(packet)] ^= 1 << (where % 8)
		case flipPayload:
			packet[p.HeaderSize()+at*p.PayloadSize/len(packet)] ^= 1 << (where % 8)
		case shorten:
			packet = packet[:at]
		case lengthen:
			packet = append(packet, packet[:at+1]...)
		case lowOrder:
			copy(p.alpha(packet), low[int(where)%len(low)][:])
		case swap:
			copy(p.alpha(packet), p.alpha(good[int(where)%len(good)]))
		case author:
			beta := randomBytes(randomness(string(where)), p.betaSize())
			beta[0] = where
			packet = forgeFor(p, randomness("x"+string(packet[:1])), nodes[0], beta, forwardDelta(p, "bob", "hello"))
		}
		return packet
	}

	seeds := [][]byte{{}}
	for how := range byte(spoiling) {
		var script []byte
		for i := range byte(20) { // good ones between
			script = append(script, i, how*(i%2), 13*i)
		}
		seeds = append(seeds, script, script[:3], script[3:6], slices.Concat(script[:27], script[:27]))
	}
	for _, seed := range seeds {
		f.Add(seed, uint8(0))
		f.Add(seed, uint8(8))
	}
	require.Len(f, seeds, 1+4*spoiling)

	f.Fuzz(func(t *testing.T, script []byte, first uint8) {
		var packets [][]byte
		untouched := make(map[int]bool)
		for ; len(script) >= 3 && len(packets) < 40; script = script[3:] {
			untouched[len(packets)] = script[1]%spoiling == leave
			packets = append(packets, spoil(good[int(script[0])%len(good)], script[1], script[2]))
		}
		n := int(first) % (len(packets) + 1)
		alone, many := nodes[0].unwrapper(t, p, make(TagSet)), nodes[0].unwrapper(t, p, make(TagSet))
		want := [2]outcome{inTurn(alone, packets[:n]), inTurn(alone, packets[n:])}
		got := [2]outcome{together(many, packets[:n]), together(many, packets[n:])}
		requireOutcome(t, want[0], got[0])
		requireOutcome(t, want[1], got[1])

		errs := slices.Concat(got[0].errs, got[1].errs)
		let := make(map[x25519.Key]bool) // α of those that were let in
		for i, packet := range packets {
			if untouched[i] && errs[i] != nil {
				require.ErrorIs(t, errs[i], ErrReplay, "packet %d is as good as it was made", i)
				require.True(t, let[x25519.Key(p.alpha(packet))], "nothing like packet %d came before it", i)
			}
			if errs[i] == nil || errs[i] == ErrPayload || errs[i] == ErrRouting {
				let[x25519.Key(p.alpha(packet))] = true
			}
		}
	})
}
