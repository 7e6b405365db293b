package vectors

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/sphinx"
	"sphinxmix.example/sphinx/internal/x25519"
	"sphinxmix.example/testvectors"
)

// TestForgedPacketsAreBuiltAsWrapBuildsThem compares the two ways of building a packet where both can: if they agree,
// a forged packet is wrong in nothing but what was forged.
func TestForgedPacketsAreBuiltAsWrapBuildsThem(t *testing.T) {
	for _, schedule := range []sphinx.KeySchedule{
		sphinx.BoundSchedule,
		sphinx.InsecureReferenceSchedule, //lint:ignore SA1019 both are forged
	} {
		for n := range 5 {
			s := newSource("forge")
			p := sphinx.Params{MaxHops: 5, PayloadSize: 100, Schedule: schedule}
			path, err := nodes(p, s.nodes(n+1))
			require.NoError(t, err)
			random := s.bytes(32 + 32*(p.MaxHops-n-1) + 31)
			want, err := p.Wrap(nil, bytes.NewReader(random), hopsOf(path), []byte("bob"), []byte("hello"))
			require.NoError(t, err)

			f := forgery{params: p, x: x25519.Key(random), path: hopsOf(path)}
			x25519.Clamp(&f.x)
			f.final = concat(make([]byte, 1+16), random[32:])
			f.payload = concat(make([]byte, 16), []byte("\x03bobhello"))
			f.payload = append(f.payload, make([]byte, 100-len(f.payload))...)
			f.payload[98] = byte(100 - 16 - 9)
			require.Equal(t, want, f.packet())
		}
	}
}

// TestEquivalentAlphasShareTheSecret checks that these cases test what they say: every node computes the same s.
func TestEquivalentAlphasShareTheSecret(t *testing.T) {
	checked := 0
	for _, c := range negativeCases(t) {
		if !slices.Contains(c.Flags, "EquivalentAlpha") {
			continue
		}
		for _, packet := range c.Unwrap.Packets {
			if packet.Change == nil {
				continue
			}
			key := c.Unwrap.Nodes[0].PrivateKey
			require.NotEqual(t, packet.Change.From, packet.Change.To, c.Name)
			require.Equal(t, multiply(packet.Change.From, key), multiply(packet.Change.To, key), c.Name)
			checked++
		}
	}
	require.Equal(t, 3+2+7*3+2, checked)
}

func TestTorsionPointsAreDistinct(t *testing.T) {
	alpha := multiply(append([]byte{9}, make([]byte, 31)...), bytes.Repeat([]byte{7}, 32))
	seen := map[string]bool{string(alpha): true}
	for _, torsion := range torsionPoints() {
		seen[string(addPoint(alpha, torsion))] = true
	}
	require.Len(t, seen, 8)
}

func TestUnitIsOne(t *testing.T) {
	nine := append([]byte{9}, make([]byte, 31)...)
	scalar := unit()
	clamped := *scalar
	x25519.Clamp(&clamped)
	require.Equal(t, clamped, *scalar)
	require.Equal(t, nine, multiply(nine, scalar[:]))
}

func negativeCases(t *testing.T) []testvectors.Negative {
	var file testvectors.File[testvectors.Negative]
	require.NoError(t, json.Unmarshal(read(t, "negative.json"), &file))
	return file.Cases
}
