package directory

import (
	"bytes"
	"crypto/ed25519"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/sphinx"
)

func parse(signed []byte) (*View, error) { return ParseView(signed, public(directoryKey), start) }

func TestViewRoundTrip(t *testing.T) {
	exit := describe(3)
	exit.Services = []string{"echo", "tcp"}
	b := viewOf(9, signed(t, 1, describe(1)), signed(t, 2, full(2)), signed(t, 3, exit))
	v, err := parse(b)
	require.NoError(t, err)
	require.Equal(t, uint64(9), v.Version)
	require.Equal(t, start, v.Published)
	require.Equal(t, start.Add(time.Hour), v.Expires)
	require.Equal(t, network, v.Network)
	require.Equal(t, b[:stampSize], v.Stamp)
	require.Nil(t, v.SignedPolicy)
	require.Len(t, v.Nodes, 3)
	require.True(t, slices.IsSortedFunc(v.Nodes, func(a, b *Descriptor) int { return compare(a.ID(), b.ID()) }))

	for _, want := range []Descriptor{describe(1), full(2), exit} {
		got, ok := v.Node(want.ID())
		require.True(t, ok)
		require.Equal(t, want, *got)
	}
	_, ok := v.Node(NodeIDOf(public(identity(4))))
	require.False(t, ok)

	clear(b)
	require.Equal(t, full(2), *mustNode(t, v, 2), "the view keeps a part of the input")
}

func mustNode(t *testing.T, v *View, n byte) *Descriptor {
	t.Helper()
	d, ok := v.Node(NodeIDOf(public(identity(n))))
	require.True(t, ok)
	return d
}

func TestViewWithoutNodes(t *testing.T) {
	v, err := parse(viewOf(1))
	require.NoError(t, err)
	require.Empty(t, v.Nodes)
	_, ok := v.Node(NodeID{})
	require.False(t, ok)
}

func TestEveryByteOfAViewIsSigned(t *testing.T) {
	rest := encodeRest([]byte("policy"), [][]byte{signed(t, 1, describe(1))})
	requireAllSigned(t, headerOf(1).sign(directoryKey, rest), func(b []byte) error {
		_, err := parse(b)
		return err
	})
}

func TestViewIsTheDirectorysOwn(t *testing.T) {
	b := viewOf(1, signed(t, 1, describe(1)))
	_, err := ParseView(b, public(identity(1)), start)
	require.ErrorIs(t, err, ErrSignature)

	_, err = parse(slices.Concat(sign(directoryKey, descriptorContext, b[ed25519.SignatureSize:stampSize]), b[stampSize:]))
	require.ErrorIs(t, err, ErrSignature, "signed in another context")

	for _, key := range []ed25519.PublicKey{nil, public(directoryKey)[:31], make(ed25519.PublicKey, 32)} {
		_, err = ParseView(b, key, start)
		require.ErrorIs(t, err, ErrKey)
	}
}

func TestViewExpiresToTheSecond(t *testing.T) {
	d := describe(1)
	d.Expires = start.Add(2 * time.Hour)
	b := viewOf(1, signed(t, 1, d))
	expires := start.Add(time.Hour)
	for _, c := range []struct {
		after time.Duration
		want  error
	}{{-time.Second, nil}, {-1, nil}, {0, ErrExpired}, {time.Second, ErrExpired}} {
		_, err := ParseView(b, public(directoryKey), expires.Add(c.after))
		require.ErrorIs(t, err, c.want, "%v after", c.after)
	}
}

func TestExpiredNodesAreLeftOut(t *testing.T) {
	short, long := describe(1), describe(2)
	short.Expires = start.Add(time.Minute)
	b := viewOf(1, signed(t, 1, short), signed(t, 2, long))
	for _, c := range []struct {
		after time.Duration
		nodes int
	}{{-time.Second, 2}, {-1, 2}, {0, 1}, {time.Second, 1}} {
		v, err := ParseView(b, public(directoryKey), short.Expires.Add(c.after))
		require.NoError(t, err)
		require.Len(t, v.Nodes, c.nodes, "%v after", c.after)
		_, listed := v.Node(short.ID())
		require.Equal(t, c.nodes == 2, listed)
		require.Equal(t, long, *mustNode(t, v, 2))
	}
}

// viewWith returns a signed view with parameters of which no directory of this package signs a view.
func viewWith(maxHops byte, payloadSize uint32, schedule byte) []byte {
	b := viewOf(1)
	at := ed25519.SignatureSize + 8 + timeSize + timeSize
	copy(b[at:], []byte{
		maxHops,
		byte(payloadSize >> 24), byte(payloadSize >> 16), byte(payloadSize >> 8), byte(payloadSize),
		schedule,
	})
	return resealed(b)
}

func TestViewWithTheInsecureScheduleIsRefused(t *testing.T) {
	_, err := parse(viewWith(5, 1024, scheduleBound))
	require.NoError(t, err)
	_, err = parse(viewWith(5, 1024, scheduleReference))
	require.ErrorIs(t, err, ErrInsecureSchedule)

	insecure := headerOf(1)
	insecure.Schedule++ // what package sphinx calls insecure
	_, err = parse(insecure.sign(directoryKey, encodeRest(nil, nil)))
	require.ErrorIs(t, err, ErrInsecureSchedule)
}

func TestViewWithParametersOutOfRangeIsRefused(t *testing.T) {
	for name, b := range map[string][]byte{
		"no hops":          viewWith(0, 1024, 1),
		"too many hops":    viewWith(51, 1024, 1),
		"payload too tiny": viewWith(5, 63, 1),
		"payload too big":  viewWith(5, 65537, 1),
		"payload huge":     viewWith(5, 1<<32-1, 1),
		"unknown schedule": viewWith(5, 1024, 2),
	} {
		_, err := parse(b)
		require.ErrorIs(t, err, sphinx.ErrParams, name)
	}
}

// A directory that signs what no node said is found out.
func TestViewWithABadNodeIsRefused(t *testing.T) {
	one, two := signed(t, 1, describe(1)), signed(t, 2, describe(2))
	sorted := [][]byte{one, two}
	slices.SortFunc(sorted, func(a, b []byte) int { return compare(idIn(a), idIn(b)) })
	reversed := [][]byte{sorted[1], sorted[0]}

	forged := describe(1)
	forged.Address = "evil.example:4000"
	other := describe(1)
	larger := network
	larger.PayloadSize = 2048
	other.Network = larger.Hash()
	bad := describe(1)
	bad.Keys = nil
	expired := describe(1)
	expired.Expires = start.Add(-time.Hour)
	expired.Services = []string{"b", "a"}
	for name, c := range map[string]struct {
		nodes [][]byte
		want  error
	}{
		"forged":             {[][]byte{resign(3, forged)}, ErrSignature},
		"cut":                {[][]byte{one[:len(one)-1]}, ErrSignature},
		"empty":              {[][]byte{{}}, ErrDescriptor},
		"too long":           {[][]byte{make([]byte, MaxDescriptorSize+1)}, ErrDescriptor},
		"of another network": {[][]byte{resign(1, other)}, ErrOtherNetwork},
		"outside a limit":    {[][]byte{resign(1, bad)}, ErrDescriptor},
		"expired and bad":    {[][]byte{resign(1, expired)}, ErrDescriptor},
		"out of order":       {reversed, ErrView},
		"twice":              {[][]byte{one, one}, ErrView},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(headerOf(1).sign(directoryKey, encodeRest(nil, c.nodes)))
			require.ErrorIs(t, err, ErrView)
			require.ErrorIs(t, err, c.want)
		})
	}
}

func TestMalformedViewEncodings(t *testing.T) {
	node := signed(t, 1, describe(1))
	view := viewOf(1, node)
	put := func(at int, b ...byte) []byte {
		spoilt := bytes.Clone(view)
		copy(spoilt[at:], b)
		return spoilt
	}
	const version = ed25519.SignatureSize
	for name, b := range map[string][]byte{
		"a byte too many":                append(bytes.Clone(view), 0),
		"a byte too few":                 view[:len(view)-1],
		"half a length of a node":        append(bytes.Clone(viewOf(1)[:minViewSize-1]), 1, 0),
		"a policy of all that is left":   put(stampSize, byte((len(view)-stampSize-2)>>8), byte(len(view)-stampSize-2)),
		"a policy that is too long":      put(stampSize, 0xff, 0xff),
		"published and expired together": sooner(time.Hour),
		"expired before published":       sooner(time.Hour + time.Second),
		"published after all times":      put(version+8, 0xff),
		"expires after all times":        put(version+16, 0xff),
	} {
		_, err := parse(resealed(b))
		require.ErrorIs(t, err, ErrView, name)
	}
	for _, size := range []int{0, 1, ed25519.SignatureSize, minViewSize - 1, MaxViewSize + 1} {
		_, err := parse(make([]byte, size))
		require.ErrorIs(t, err, ErrView, "%d bytes", size)
	}
}

// sooner is a view that expires earlier than the usual one.
func sooner(by time.Duration) []byte {
	v := headerOf(1)
	v.Expires = v.Expires.Add(-by)
	return v.sign(directoryKey, encodeRest(nil, nil))
}

// The nodes are counted before the first of them costs anything.
func TestViewHasAtMostMaxNodes(t *testing.T) {
	nodes := make([][]byte, MaxNodes+1)
	_, err := parse(headerOf(1).sign(directoryKey, encodeRest(nil, nodes)))
	require.ErrorIs(t, err, ErrView)
	require.ErrorContains(t, err, "more than 4096 nodes")

	_, err = parse(headerOf(1).sign(directoryKey, encodeRest(nil, nodes[:MaxNodes])))
	require.ErrorContains(t, err, "node 0")
}
