package sphinx

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// allocations is testing.AllocsPerRun of f over packets that are fresh each time.
func allocations(t testing.TB, fresh [][]byte, f func(packets [][]byte)) float64 {
	t.Helper()
	packets := clones(fresh)
	return testing.AllocsPerRun(20, func() {
		for i, packet := range fresh {
			copy(packets[i], packet)
		}
		f(packets)
	})
}

// TestUnwrapDoesNotAllocate, whatever becomes of the packet.
func TestUnwrapDoesNotAllocate(t *testing.T) {
	for _, schedule := range schedules {
		m := newMixture(t, Params{5, 1024, schedule.KeySchedule}, "allocations "+schedule.name)
		var packets [][]byte
		for range 64 {
			packet, _ := m.next(t)
			packets = append(packets, packet)
		}
		u := m.nodes[0].unwrapper(t, m.p, acceptAll)
		results := make(map[error]bool)
		got := allocations(t, packets, func(packets [][]byte) {
			for _, packet := range packets {
				_, err := u.Unwrap(packet)
				results[err] = true
			}
		})
		require.Zero(t, got, "Unwrap")
		require.Len(t, results, 6, "not every outcome was met: %v", results)

		layers, errs := make([]Layer, len(packets)), make([]error, len(packets))
		require.Zero(t, allocations(t, packets, func(packets [][]byte) {
			u.UnwrapBatch(packets, layers, errs)
			u.UnwrapBatch(packets[:3], layers[:3], errs[:3])
		}), "UnwrapBatch")
	}
}

// maxWrapAllocations is for the sender's working memory: a few, whatever the path.
const maxWrapAllocations = 30

func TestWrapAllocatesLittle(t *testing.T) {
	random := randomness("Wrap's allocations")
	nodes := newNodes(t, random, MaxMaxHops)
	p := Params{MaxHops: MaxMaxHops, PayloadSize: 1024}
	dst := make([]byte, 0, p.PacketSize())
	for _, n := range []int{1, 5, MaxMaxHops} {
		path, bob, message := pathOf(nodes[:n]), []byte("bob"), []byte("hello")
		got := testing.AllocsPerRun(5, func() {
			if _, err := p.Wrap(dst, random, path, bob, message); err != nil {
				t.Fatal(err)
			}
		})
		require.LessOrEqual(t, got, float64(maxWrapAllocations), "%d hops", n)
		t.Logf("%d hops: %v allocations", n, got)
	}
}
