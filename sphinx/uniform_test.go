package sphinx

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// chiSquare is Pearson's statistic of counts against one probability for all of them.
func chiSquare(counts []int) (sum float64) {
	total := 0
	for _, n := range counts {
		total += n
	}
	expected := float64(total) / float64(len(counts))
	for _, n := range counts {
		d := float64(n) - expected
		sum += d * d / expected
	}
	return sum
}

// Bounds that a chi-square statistic passes with a probability below 10⁻⁷.
const (
	limit255 = 385.0 // 255 degrees of freedom: bytes
	limit15  = 62.0  // 15: half bytes
)

// TestLastHopPaddingHidesPathLength: what the last hop decrypts behind the final block is as random for every path
// length, as a whole and at each place (Kuhn, Beck, Strufe 2020). So it is for the last hop of a SURB.
func TestLastHopPaddingHidesPathLength(t *testing.T) {
	const packets = 128
	p := Params{MaxHops: 5, PayloadSize: 64}
	random := randomness("last hop")
	nodes := newNodes(t, random, p.MaxHops)
	client := []byte("alice")
	hops := make([]*Unwrapper, p.MaxHops)
	for i := range hops {
		hops[i] = nodes[i].unwrapper(t, p, acceptAll)
	}
	for n := 1; n <= p.MaxHops; n++ {
		for _, kind := range []struct {
			name string
			from int // the first byte behind the final block
		}{{"forward", 1 + MessageIDSize}, {"reply", 1 + len(client) + MessageIDSize}} {
			bytes := make([]int, 256)
			places := make([][]int, p.streamSize())
			for i := range places {
				places[i] = make([]int, 16)
			}
			for range packets {
				var packet []byte
				if kind.name == "forward" {
					packet = wrap(t, p, random, nodes[:n], []byte("hello"))
				} else {
					surb, _, err := p.NewSURB(random, pathOf(nodes[:n]), client, MessageID{})
					require.NoError(t, err)
					_, packet, err = surb.Use(nil, nil)
					require.NoError(t, err)
				}
				for _, hop := range hops[:n-1] {
					_, err := hop.Unwrap(packet)
					require.NoError(t, err)
				}
				for i, b := range nodes[n-1].opened(p, packet)[kind.from:] {
					bytes[b]++
					places[kind.from+i][b>>4]++
				}
			}
			require.Less(t, chiSquare(bytes), limit255, "%s, %d hops", kind.name, n)
			for i := kind.from; i < len(places); i++ {
				require.Less(t, chiSquare(places[i]), limit15, "%s, %d hops: byte %d of what the last hop decrypts", kind.name, n, i)
			}
		}
	}
}

// TestPacketLooksRandomForEveryPathLength: at each byte of it, on each link, to who has no key. Bit 255 of α is 0 in all.
func TestPacketLooksRandomForEveryPathLength(t *testing.T) {
	const packets = 256
	p := Params{MaxHops: 3, PayloadSize: 64}
	random := randomness("uniform")
	nodes := newNodes(t, random, p.MaxHops)
	for n := 1; n <= p.MaxHops; n++ {
		links := make([][][]int, n)
		hops := make([]*Unwrapper, n)
		for link := range links {
			hops[link] = nodes[link].unwrapper(t, p, acceptAll)
			links[link] = make([][]int, p.PacketSize())
			for i := range links[link] {
				links[link][i] = make([]int, 16)
			}
		}
		for range packets {
			packet := wrap(t, p, random, nodes[:n], nil)
			for link := range links {
				require.Len(t, packet, p.PacketSize())
				require.Zero(t, packet[31]&0x80)
				for i, b := range packet {
					links[link][i][b>>3&15]++
				}
				if link < n-1 {
					_, err := hops[link].Unwrap(packet)
					require.NoError(t, err)
				}
			}
		}
		for link := range links {
			for i, counts := range links[link] {
				require.Less(t, chiSquare(counts), limit15, "byte %d on link %d of %d", i, link, n)
			}
		}
	}
}
