package stream_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestContentIsEqualInAnyWeather: whatever the network loses, doubles and reorders, both directions of all streams carry
// exactly what was written.
func TestContentIsEqualInAnyWeather(t *testing.T) {
	for _, test := range []struct {
		name    string
		weather weather
		within  time.Duration
	}{
		{"calm", weather{delay: steady(100 * time.Millisecond)}, 30 * time.Second},
		{"poisson", weather{delay: poisson(200 * time.Millisecond)}, 2 * time.Minute},
		{"poisson, 1 % lost, doubled", weather{delay: poisson(200 * time.Millisecond), loss: .01, double: .05}, 3 * time.Minute},
		{"poisson, 5 % lost, doubled", weather{delay: poisson(200 * time.Millisecond), loss: .05, double: .2}, 4 * time.Minute},
		{"40 % lost", weather{delay: poisson(20 * time.Millisecond), loss: .4}, 10 * time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				n := newWire(t, 1, test.weather)
				n.run(ctx)
				n.serve(ctx, echo)
				began := time.Now()
				errs := make(chan error)
				sizes := []int{0, 1, 1500, 40_000, 1_000_000, 3_000_000}
				for i, size := range sizes {
					go func() {
						err := n.exchange(ctx, content(uint64(i), size))
						if err != nil {
							err = fmt.Errorf("%d bytes: %w", size, err)
						}
						errs <- err
					}()
				}
				for range sizes {
					require.NoError(t, <-errs)
				}
				took := time.Since(began)
				t.Logf("%v, %d cells up, %d down", took, n.up, n.down)
				require.Less(t, took, test.within)
				cancel()
				n.wg.Wait()
			})
		})
	}
}
