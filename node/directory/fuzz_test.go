package directory

import (
	"bytes"
	"crypto/ed25519"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// descriptorSeeds are signed descriptors that are accepted at start.
func descriptorSeeds(t testing.TB) [][]byte {
	small := describe(1)
	small.Services = nil
	rich := describe(2)
	rich.Keys = append(rich.Keys, EpochKey{8, mixKey(20)}, EpochKey{9, mixKey(21)})
	rich.Services = []string{"echo", "tcp"}
	rich.Evidence = []byte("evidence")
	rich.Address = "[2001:db8::1]:65535"
	rich.Weight = MaxWeight
	return [][]byte{signed(t, 1, small), signed(t, 1, describe(1)), signed(t, 2, rich)}
}

// viewSeeds are signed views that are accepted at start.
func viewSeeds(t testing.TB) [][]byte {
	nodes := descriptorSeeds(t)[1:]
	expired := describe(3)
	expired.Expires = start
	governed := headerOf(3).sign(directoryKey, encodeRest([]byte("policy"), nodes[:1]))
	return [][]byte{viewOf(1), viewOf(2, nodes[0]), governed, viewOf(1<<63, append(nodes, signed(t, 3, expired))...)}
}

// addSeeds wants every seed accepted: one that is refused on its first byte leads the fuzzer nowhere.
func addSeeds(f *testing.F, seeds [][]byte, accepted func([]byte) error) {
	f.Helper()
	if len(seeds) == 0 {
		f.Fatal("there are no seeds")
	}
	for _, seed := range seeds {
		require.NoError(f, accepted(seed))
		f.Add(seed)
	}
}

// FuzzParseDescriptor wants whatever is accepted to be the one encoding of its meaning. It parses the input as it is,
// and once more with the identity and the signature of a key that it has, to reach what is behind the signature.
func FuzzParseDescriptor(f *testing.F) {
	addSeeds(f, descriptorSeeds(f), func(b []byte) error { _, err := ParseDescriptor(b, start); return err })
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := ParseDescriptor(b, start); err == nil {
			require.Equal(t, b[ed25519.SignatureSize:], d.encode())
		}
		own := resigned(b)
		d, err := ParseDescriptor(own, start)
		if err != nil {
			return
		}
		again, err := SignDescriptor(keyFor(own), d)
		require.NoError(t, err)
		require.Equal(t, own, again)
		route, ok := ParseRoute(Route{Node: d.ID(), Epoch: uint8(d.Keys[0].Epoch)}.Address())
		require.True(t, ok)
		require.Equal(t, d.ID(), route.Node)
	})
}

// FuzzParseView does the same for views: as they are, signed by the directory, and signed with every node in them.
func FuzzParseView(f *testing.F) {
	addSeeds(f, viewSeeds(f), func(b []byte) error { _, err := parse(b); return err })
	f.Fuzz(func(t *testing.T, b []byte) {
		checkView(t, b)
		if len(b) < stampSize {
			return
		}
		b = resealed(b)
		checkView(t, b)
		if v, nodes, err := openView(b, public(directoryKey)); err == nil {
			checkView(t, v.sign(directoryKey, encodeRest(v.SignedPolicy, resignedNodes(nodes))))
		}
	})
}

// FuzzParseStamp wants a stamp to be the directory's, and the one encoding of its meaning. It parses the input as it
// is, and signed by the directory.
func FuzzParseStamp(f *testing.F) {
	check := func(t testing.TB, b []byte) error {
		published, err := ParseStamp(b, public(directoryKey))
		if err != nil {
			return err
		}
		v, hash, err := parseStamp(b, public(directoryKey))
		require.NoError(t, err)
		require.Equal(t, published, v.Published)
		again := v.sign(directoryKey, nil) // but for the hash
		require.Equal(t, b[ed25519.SignatureSize:], slices.Concat(again[ed25519.SignatureSize:stampSize-len(hash)], hash[:]))
		return nil
	}
	var seeds [][]byte
	for _, view := range viewSeeds(f) {
		seeds = append(seeds, view[:stampSize])
	}
	addSeeds(f, seeds, func(b []byte) error { return check(f, b) })
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = check(t, b)
		if len(b) >= ed25519.SignatureSize {
			_ = check(t, sign(directoryKey, viewContext, b[ed25519.SignatureSize:]))
		}
	})
}

// FuzzJudge wants no evidence to be believed but what a node has made for its descriptor, whoever signs that.
func FuzzJudge(f *testing.F) {
	followed, err := policy{}.follow(policyOf(f, 1, nil), public(policyKey))
	require.NoError(f, err)
	judge := func(evidence []byte) error {
		d := describe(1)
		d.Evidence = evidence
		judged := newJudge(public(directoryKey)).judge(&d, followed.Policy, start)
		if (judged.err == nil) != (judged.verdict != nil) {
			f.Fatal("neither a verdict nor a reason")
		}
		return judged.err
	}
	seeds := [][]byte{
		attestor{}.attest(f, 1, describe(1)).Evidence,
		attestor{stamp: stampAt(start.Add(-time.Minute))}.attest(f, 1, describe(1)).Evidence,
	}
	addSeeds(f, seeds, judge)
	f.Fuzz(func(t *testing.T, evidence []byte) {
		if judge(evidence) == nil {
			require.True(t, slices.ContainsFunc(seeds, func(seed []byte) bool { return bytes.Equal(seed, evidence) }))
		}
	})
}

// FuzzReadRecord wants a store to make a server believe nothing that a node has not signed, and every record to come
// back as it was stored.
func FuzzReadRecord(f *testing.F) {
	s, err := NewServer(ServerConfig{Key: directoryKey, Network: network})
	require.NoError(f, err)
	var seeds [][]byte
	for _, b := range descriptorSeeds(f) {
		d, err := ParseDescriptor(b, start)
		require.NoError(f, err)
		seeds = append(seeds, recordOf(&d, b).encode())
	}
	left, err := readLeave(SignLeave(identity(3), 2), start)
	require.NoError(f, err)
	left.keep = start.Add(time.Hour)
	seeds = append(seeds, left.encode())
	read := func(value []byte) (*record, error) {
		name := nodeFolder
		if len(value) >= recordPrefixSize+ed25519.SignatureSize+ed25519.PublicKeySize {
			name += idIn(value[recordPrefixSize:]).String()
		}
		return s.readRecord(name, value, start)
	}
	addSeeds(f, seeds, func(b []byte) error { _, err := read(b); return err })
	f.Fuzz(func(t *testing.T, value []byte) {
		r, err := read(value)
		if err != nil && len(value) > recordPrefixSize && value[timeSize] == kindDescriptor {
			value = append(bytes.Clone(value[:recordPrefixSize]), resigned(value[recordPrefixSize:])...)
			r, err = read(value)
		}
		if err != nil {
			return
		}
		require.Equal(t, value[timeSize:], r.encode()[timeSize:])
		require.False(t, r.keep.After(start.Add(MaxDescriptorLifetime+clockSlack)))
		require.LessOrEqual(t, r.version, uint64(start.Add(2*clockSlack).UnixMilli()))
		require.Equal(t, NodeIDOf(r.identity), r.id)
	})
}

// checkView wants a view that is accepted to be the one encoding of its meaning.
func checkView(t *testing.T, b []byte) {
	v, err := parse(b)
	if err != nil {
		return
	}
	require.NoError(t, v.Network.Validate())
	require.True(t, v.Expires.After(start))
	opened, list, err := openView(b, public(directoryKey))
	require.NoError(t, err)
	nodes, err := splitNodes(list)
	require.NoError(t, err)
	require.Equal(t, b, opened.sign(directoryKey, encodeRest(v.SignedPolicy, nodes)))
	current := 0
	for _, signed := range nodes {
		d, err := ParseDescriptor(signed, start)
		if err == nil {
			current++
			got, listed := v.Node(d.ID())
			require.True(t, listed)
			require.Equal(t, d, *got)
		} else {
			require.ErrorIs(t, err, ErrExpired)
		}
	}
	require.Len(t, v.Nodes, current)
}

// keyFor chooses the key that a descriptor is signed with anew, by the first byte of the identity in it. Those of the
// seeds keep theirs.
func keyFor(signed []byte) ed25519.PrivateKey {
	for n := byte(1); n <= 3; n++ {
		if signed[ed25519.SignatureSize] == public(identity(n))[0] {
			return identity(n)
		}
	}
	return identity(1)
}

// resigned returns b with an identity and a signature that belong together, and b itself where it has no room for them.
func resigned(b []byte) []byte {
	if len(b) < ed25519.SignatureSize+ed25519.PublicKeySize {
		return b
	}
	key := keyFor(b)
	body := slices.Concat(public(key), b[ed25519.SignatureSize+ed25519.PublicKeySize:])
	return sign(key, descriptorContext, body)
}

// resignedNodes returns the nodes of a view, each signed anew.
func resignedNodes(list []byte) (nodes [][]byte) {
	split, _ := splitNodes(list)
	for _, signed := range split {
		nodes = append(nodes, resigned(signed))
	}
	return nodes
}
