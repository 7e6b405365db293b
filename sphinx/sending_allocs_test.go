//go:build !race

package sphinx

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSendersDoNotAllocate, but for the SURBs and keys that they return.
func TestSendersDoNotAllocate(t *testing.T) {
	for _, schedule := range schedules {
		p := Params{5, 1024, schedule.KeySchedule}
		c := newCorrespondence(t, p, "allocations of senders "+schedule.name)
		letters, _ := c.letters(20)
		letters[0].Path = pathOf(c.nodes)
		dst := make([]byte, 0, 20*p.PacketSize())
		none := func(name string, call func()) {
			t.Helper()
			require.Zero(t, testing.AllocsPerRun(5, call), name)
		}
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, random := range []io.Reader{c.random, nil} {
			none("WrapBatch", func() {
				_, err := p.WrapBatch(dst, random, letters)
				must(err)
				_, err = p.WrapBatch(dst, random, letters[:3])
				must(err)
			})
			none("Wrap", func() {
				_, err := p.Wrap(dst, random, letters[0].Path, letters[0].Destination, letters[0].Message)
				must(err)
			})
		}
		addresses, _ := c.addresses(20)
		surbs, keys, err := p.NewSURBs(nil, addresses)
		must(err)
		none("Use", func() {
			_, _, err := surbs[0].Use(dst, letters[0].Message[:10])
			must(err)
			surbs = surbs[1:]
		})
		payload := make([]byte, p.PayloadSize)
		none("Open", func() {
			if _, err := keys[0].Open(payload); err != ErrPayload {
				t.Fatal(err)
			}
			keys = keys[1:]
		})
		require.LessOrEqual(t, testing.AllocsPerRun(5, func() {
			_, _, err := p.NewSURBs(nil, addresses)
			must(err)
		}), float64(2+9*len(addresses)), "NewSURBs")
	}
}
