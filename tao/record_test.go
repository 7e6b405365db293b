package tao_test

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"testing"
	"time"

	"filippo.io/edwards25519"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

func goodRecord() tao.Record {
	return tao.Record{
		Identity: public(nodeKey), Kind: tao.Soft, Key: public(softKey), Roles: tao.RolesOf(tao.Mix), Issued: start, Expires: start.Add(day),
	}
}

// recordBody returns what is signed of a record, whatever is wrong with it.
func recordBody(r *tao.Record) []byte {
	return slices.Concat(r.Signer, r.Identity, []byte{byte(r.Kind)}, prefixed(r.Key), r.Endorsement[:], r.Root[:],
		number(4, uint64(r.Resets)), []byte{byte(r.Roles)}, seconds(r.Issued), seconds(r.Expires))
}

// TestRecordLimits wants each of these to be refused by who signs, and by who reads what somebody else has signed.
func TestRecordLimits(t *testing.T) {
	for name, spoil := range map[string]func(*tao.Record){
		"no identity":                    func(r *tao.Record) { r.Identity = nil },
		"an identity that is cut":        func(r *tao.Record) { r.Identity = r.Identity[:31] },
		"an identity that anybody has":   func(r *tao.Record) { r.Identity = make([]byte, 32) },
		"no kind":                        func(r *tao.Record) { r.Kind = 0 },
		"a kind that is not yet":         func(r *tao.Record) { r.Kind = tao.Soft + 1 },
		"no attestation key":             func(r *tao.Record) { r.Key = nil },
		"an attestation key that is big": func(r *tao.Record) { r.Key = make([]byte, tao.MaxKeySize+1) },
		"no role":                        func(r *tao.Record) { r.Roles = 0 },
		"a role that is not yet":         func(r *tao.Record) { r.Roles = 8 },
		"issued before 1970":             func(r *tao.Record) { r.Issued = time.Unix(-1, 0) },
		"good beyond 9999":               func(r *tao.Record) { r.Expires = year9999.Add(time.Second) },
		"issued after 9999":              func(r *tao.Record) { r.Issued = year9999.Add(time.Second) },
		"expired before 1970":            func(r *tao.Record) { r.Expires = time.Unix(-1, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			r := goodRecord()
			spoil(&r)
			_, err := r.Sign(policyKey)
			require.ErrorIs(t, err, tao.ErrRecord)
			r.Signer = public(policyKey)
			_, err = tao.ParseRecord(signedWith(policyKey, recordContext, recordBody(&r)))
			require.ErrorIs(t, err, tao.ErrRecord)
		})
	}
	for name, edge := range map[string]func(*tao.Record){
		"the longest key":   func(r *tao.Record) { r.Key = make([]byte, tao.MaxKeySize) },
		"from 1970 to 9999": func(r *tao.Record) { r.Issued, r.Expires = time.Unix(0, 0), year9999 },
		"every role":        func(r *tao.Record) { r.Roles = tao.RolesOf(tao.Mix, tao.Exit, tao.Directory) },
	} {
		t.Run(name, func(t *testing.T) {
			r := goodRecord()
			edge(&r)
			signed, err := r.Sign(policyKey)
			require.NoError(t, err)
			require.LessOrEqual(t, len(signed), tao.MaxRecordSize)
			_, err = tao.ParseRecord(signed)
			require.NoError(t, err)
			_, err = tao.ParseRecord(append(signed, 0))
			require.ErrorIs(t, err, tao.ErrRecord)
		})
	}
}

// TestNobodySignsForAll is about Ed25519 keys of low order, for which signatures hold that nobody has made: there are 14 ways to
// write the 8 of them.
func TestNobodySignsForAll(t *testing.T) {
	keys := keysOfLowOrder(t)
	require.Len(t, keys, 14)
	require.True(t, tao.UsableKey(public(nodeKey)))
	require.False(t, tao.UsableKey(public(nodeKey)[:31]))
	require.False(t, tao.UsableKey(nil))
	for _, key := range keys {
		require.False(t, tao.UsableKey(key), "%x", key)
		r := goodRecord()
		r.Signer = key
		signed := forgeFor(t, key, recordContext, func(n uint32) []byte { r.Resets = n; return recordBody(&r) })
		_, err := tao.ParseRecord(signed)
		require.ErrorIs(t, err, tao.ErrRecord, "%x", key)

		p := goodPolicy()
		signed = forgeFor(t, key, policyContext, func(n uint32) []byte { p.Version = uint64(n); return policyBody(p) })
		_, err = tao.ParsePolicy(signed, key)
		require.ErrorIs(t, err, tao.ErrPolicy, "%x", key)

		p = goodPolicy()
		p.Enrollers[0].Key = key
		_, err = p.Sign(policyKey)
		require.ErrorIs(t, err, tao.ErrPolicy, "%x", key)

		s := newScene(tao.Soft)
		s.record.Key = key
		s.judge(t, s.show(t, change{})).requireRefused(t, "evidence", tao.ErrRecord)
	}
}

// keysOfLowOrder returns every encoding of a point of low order that is read as one.
func keysOfLowOrder(t *testing.T) (keys []ed25519.PublicKey) {
	t.Helper()
	eighth := []byte("\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f\x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a")
	step, err := new(edwards25519.Point).SetBytes(eighth)
	require.NoError(t, err)
	known := make(map[string]bool)
	add := func(b []byte) {
		p, err := new(edwards25519.Point).SetBytes(b)
		if err != nil || known[string(b)] || new(edwards25519.Point).MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) == 0 {
			return
		}
		known[string(b)] = true
		keys = append(keys, slices.Clone(b))
	}
	for p, n := edwards25519.NewIdentityPoint(), 0; n < 8; p, n = new(edwards25519.Point).Add(p, step), n+1 {
		for _, sign := range []byte{0, 0x80} {
			b := p.Bytes()
			b[31] ^= sign
			add(b)
		}
	}
	for y := range byte(19) { // those that are p or more
		b := slices.Concat([]byte{0xed + y}, slices.Repeat([]byte{0xff}, 30), []byte{0x7f})
		add(b)
		b[31] |= 0x80
		add(b)
	}
	return keys
}

// forgeFor returns a body behind a signature for a key of low order, made without any secret: R is a multiple of the key, S zero.
func forgeFor(t *testing.T, key ed25519.PublicKey, context string, body func(uint32) []byte) []byte {
	t.Helper()
	for n := range uint32(1000) {
		b := body(n)
		message := slices.Concat([]byte(context), b)
		for _, r := range [][]byte{edwards25519.NewIdentityPoint().Bytes(), key} {
			signature := append(slices.Clone(r), make([]byte, 32)...)
			if ed25519.Verify(key, message, signature) {
				return append(signature, b...)
			}
		}
	}
	require.Fail(t, fmt.Sprintf("nothing was forged for %x", key))
	return nil
}

func TestRecordStandsForItsKey(t *testing.T) {
	r := goodRecord()
	require.Equal(t, digest(string(public(softKey))), r.KeyHash())
	require.Equal(t, digest(string(public(nodeKey))), tao.IdentityHash(r.Identity))
	r.Signer = public(policyKey)
	require.Equal(t, digest(string(recordBody(&r))), r.Hash())
}
