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
