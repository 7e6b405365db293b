package tao_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

// filled is 32 bytes that are all b.
func filled(b byte) (array [32]byte) {
	copy(array[:], bytes.Repeat([]byte{b}, 32))
	return array
}

var vectorConfiguration = tao.Configuration{
	Network: filled(0x11), Strategy: tao.Pool, Size: 4, Interval: 2500 * time.Millisecond, PoolMin: 64, PoolFraction: 250_000,
	MaxDelay: 90 * time.Second, KeepsKeys: true,
}

// TestDigestsAreAsDocumented compares with what this program prints, which knows nothing of ours:
//
//	from hashlib import sha256
//	H = lambda *parts: sha256(b"".join(parts)).digest()
//	n = lambda size, *numbers: b"".join(i.to_bytes(size, "big") for i in numbers)
//	fill = lambda b: bytes([b]) * 32
//
//	configuration = fill(0x11) + n(1, 3) + n(4, 4, 2500, 64, 250000, 90000, 0) + n(1, 1)
//	keys = n(8, 41) + fill(0x22) + n(8, 2**63 + 1) + fill(0x33)
//	claim = b"sphinxmix claim v1\0" + fill(0x44) + n(1, 2, 2) + keys + bytes(40) + fill(0x55) + fill(0x66)
//	event = n(1, 3) + n(8, 41) + fill(0x22)
//	program = n(1, 1) + fill(0x77)
//	measure = lambda e: H(b"sphinxmix event v1\0", e)
//	print("configuration", H(b"sphinxmix configuration v1\0", configuration).hex())
//	print("claim        ", H(claim).hex())
//	print("stamp        ", H(b"sphinxmix stamp v1\0", b"a stamp").hex())
//	print("event        ", measure(event).hex())
//	print("register     ", H(H(bytes(32), measure(program)), measure(event)).hex())
func TestDigestsAreAsDocumented(t *testing.T) {
	identity := filled(0x44)
	claim := tao.Claim{
		Identity: identity[:], Role: tao.Exit,
		Keys:          []tao.EpochKey{{Epoch: 41, Key: filled(0x22)}, {Epoch: 1<<63 + 1, Key: filled(0x33)}},
		Configuration: filled(0x55), Stamp: filled(0x66),
	}
	event := tao.Event{Kind: tao.KeyMade, Epoch: 41, Digest: filled(0x22)}
	log := tao.EventLog{{Kind: tao.ProgramStarted, Digest: filled(0x77)}, event}
	for want, got := range map[string][32]byte{
		"58dd06f1bcd0b6175961dd7d7c9504663e714a80746711be6023eeafb14b5775": vectorConfiguration.Digest(),
		"7e85401a4ddf737b49514e2e9f6433116e2590e3feb10578600b08187b98239d": claim.Digest(),
		"c68b67853e58c4d403cdb3e20e10afc0319949762711685f50cdf65fb6ba75e5": tao.StampDigest([]byte("a stamp")),
		"a4114390a24505853d62839dbf2c055f48cd77cff615fa16f3c11201a792d45e": event.Measure(),
		"22fd835aaa61f5d1b491169d27affedc70f0cd05fe8317138b6cb9edf489d346": log.Replay([32]byte{}),
	} {
		require.Equal(t, want, hex.EncodeToString(got[:]))
	}
}

// number returns n in size bytes, big-endian.
func number(size int, n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n)[8-size:] }

// prefixed returns b with its length in two bytes before it.
func prefixed(parts ...[]byte) []byte {
	b := slices.Concat(parts...)
	return append(number(2, uint64(len(b))), b...)
}

func seconds(at time.Time) []byte { return number(8, uint64(at.Unix())) }

// bytesOf returns a configuration as the documentation of Evidence has it.
func bytesOf(c tao.Configuration) []byte {
	kept := byte(0)
	if c.KeepsKeys {
		kept = 1
	}
	return slices.Concat(c.Network[:], []byte{byte(c.Strategy)}, number(4, uint64(c.Size)), number(4, uint64(c.Interval.Milliseconds())),
		number(4, uint64(c.PoolMin)), number(4, uint64(c.PoolFraction)), number(4, uint64(c.MaxDelay.Milliseconds())),
		number(4, uint64(c.MeanDelay.Milliseconds())), []byte{kept})
}

func TestEvidenceIsLaidOutAsDocumented(t *testing.T) {
	made, key, value := filled(1), filled(2), filled(3)
	e := tao.Evidence{
		Kind: tao.Soft, Record: []byte("a record"), Configuration: vectorConfiguration, Stamp: []byte("a stamp"), LogRegister: 15,
		Log:       tao.EventLog{{Kind: tao.ProgramStarted, Digest: made}, {Kind: tao.Configured, Digest: made}, {Kind: tao.KeyMade, Epoch: 258, Digest: key}},
		Registers: []tao.Register{{Index: 0, Value: value}, {Index: 23, Value: value}},
		Quote:     tao.Quote{Statement: []byte("a statement"), Signature: []byte("a signature")},
	}
	want := slices.Concat([]byte{1, 2}, prefixed([]byte("a record")), bytesOf(vectorConfiguration), prefixed([]byte("a stamp")), []byte{15},
		prefixed([]byte{1}, made[:], []byte{2}, made[:], []byte{3}, number(8, 258), key[:]),
		prefixed([]byte{0}, value[:], []byte{23}, value[:]), prefixed([]byte("a statement")), prefixed([]byte("a signature")))
	got, err := e.Encode()
	require.NoError(t, err)
	require.Equal(t, want, got)
	again, err := tao.ParseEvidence(got)
	require.NoError(t, err)
	require.Equal(t, &e, again)
	clear(got)
	require.Equal(t, &e, again, "it keeps a part of what it was read from")
}

func TestRecordIsLaidOutAsDocumented(t *testing.T) {
	r := tao.Record{
		Identity: public(nodeKey), Kind: tao.TPM, Key: []byte("a key"), Endorsement: filled(4), Root: filled(5), Resets: 0x01020304,
		Roles: tao.RolesOf(tao.Mix, tao.Directory), Issued: start, Expires: start.Add(day), Signer: public(enrollerKey),
	}
	body := slices.Concat(public(enrollerKey), public(nodeKey), []byte{1}, prefixed([]byte("a key")), r.Endorsement[:], r.Root[:],
		number(4, 0x01020304), []byte{5}, seconds(start), seconds(start.Add(day)))
	signed, err := r.Sign(enrollerKey)
	require.NoError(t, err)
	require.Equal(t, signedWith(enrollerKey, recordContext, body), signed)
	again, err := tao.ParseRecord(signed)
	require.NoError(t, err)
	require.Equal(t, &r, again)
	clear(signed)
	require.Equal(t, &r, again, "it keeps a part of what it was read from")

	want := r
	r.Signer = public(strangerKey) // is not looked at
	r.Issued = r.Issued.Add(time.Second - 1)
	signed, err = r.Sign(enrollerKey)
	require.NoError(t, err)
	again, err = tao.ParseRecord(signed)
	require.NoError(t, err)
	require.Equal(t, &want, again)
}

func TestPolicyIsLaidOutAsDocumented(t *testing.T) {
	one, two, three := filled(1), filled(2), filled(3)
	p := tao.Policy{
		Version: 1 << 40, Issued: start, Expires: start.Add(day),
		Attestors: []tao.Kind{tao.TPM, tao.Soft},
		Enrollers: []tao.Enroller{{Key: public(enrollerKey), Expires: start.Add(2 * day)}},
		Roots:     [][32]byte{one, two}, Revoked: [][32]byte{three},
		Programs:    []tao.Allowed{{Digest: one, Roles: tao.RolesOf(tao.Mix), Name: "a name"}, {Digest: two, Roles: tao.RolesOf(tao.Exit)}},
		Settings:    []tao.Allowed{{Digest: three, Roles: tao.RolesOf(tao.Mix, tao.Exit), Name: "~ "}},
		LogRegister: 13,
		Registers:   []tao.RegisterRule{{Index: 0, Values: [][32]byte{one, three}}, {Index: 7, Values: [][32]byte{two}}},
		Minimum:     tao.Minimum{Size: 3, Interval: 1500 * time.Millisecond, MeanDelay: time.Minute},
		MaxAge:      90 * time.Minute,
		Key:         public(policyKey),
	}
	body := slices.Concat(number(8, 1<<40), seconds(start), seconds(start.Add(day)), prefixed([]byte{1, 2}),
		prefixed(public(enrollerKey), seconds(start.Add(2*day))), prefixed(one[:], two[:]),
		prefixed(one[:], []byte{1, 6}, []byte("a name"), two[:], []byte{2, 0}), prefixed(three[:], []byte{3, 2}, []byte("~ ")), []byte{13},
		prefixed([]byte{0}, prefixed(one[:], three[:]), []byte{7}, prefixed(two[:])),
		number(4, 3), number(4, 1500), number(4, 60_000), number(4, 5400), prefixed(three[:]))
	require.Equal(t, body, policyBody(&p))
	signed, err := p.Sign(policyKey)
	require.NoError(t, err)
	require.Equal(t, signedWith(policyKey, policyContext, body), signed)
	again, err := tao.ParsePolicy(signed, public(policyKey))
	require.NoError(t, err)
	require.Equal(t, &p, again)

	// The lists' order is not the signer's to choose, so that one policy has one encoding.
	shuffled := p
	shuffled.Attestors = []tao.Kind{tao.Soft, tao.TPM}
	shuffled.Roots = [][32]byte{two, one}
	shuffled.Programs = []tao.Allowed{p.Programs[1], p.Programs[0]}
	shuffled.Registers = []tao.RegisterRule{p.Registers[1], {Index: 0, Values: [][32]byte{three, one}}}
	other, err := shuffled.Sign(policyKey)
	require.NoError(t, err)
	require.Equal(t, signed, other)
	require.Equal(t, tao.Soft, shuffled.Attestors[0], "Sign changes the policy")
	require.Equal(t, three, shuffled.Registers[1].Values[0], "Sign changes the policy")
	clear(signed)
	require.Equal(t, &p, again, "it keeps a part of what it was read from")
}

// policyBody returns what is signed of a policy, whatever is wrong with it.
func policyBody(p *tao.Policy) []byte {
	hashes := func(list [][32]byte) (b []byte) {
		for _, h := range list {
			b = append(b, h[:]...)
		}
		return prefixed(b)
	}
	allowed := func(list []tao.Allowed) (b []byte) {
		for _, a := range list {
			b = slices.Concat(b, a.Digest[:], []byte{byte(a.Roles), byte(len(a.Name))}, []byte(a.Name))
		}
		return prefixed(b)
	}
	var kinds, enrollers, registers []byte
	for _, k := range p.Attestors {
		kinds = append(kinds, byte(k))
	}
	for _, e := range p.Enrollers {
		enrollers = slices.Concat(enrollers, e.Key, seconds(e.Expires))
	}
	for _, r := range p.Registers {
		registers = slices.Concat(registers, []byte{r.Index}, hashes(r.Values))
	}
	return slices.Concat(number(8, p.Version), seconds(p.Issued), seconds(p.Expires), prefixed(kinds), prefixed(enrollers),
		hashes(p.Roots), allowed(p.Programs), allowed(p.Settings), []byte{p.LogRegister}, prefixed(registers),
		number(4, uint64(p.Minimum.Size)), number(4, uint64(p.Minimum.Interval.Milliseconds())),
		number(4, uint64(p.Minimum.MeanDelay.Milliseconds())), number(4, uint64(p.MaxAge/time.Second)), hashes(p.Revoked))
}

// What signatures are over, before what is signed.
const (
	policyContext  = "sphinxmix policy v1\x00"
	recordContext  = "sphinxmix enrolment v1\x00"
	requestContext = "sphinxmix enrolment request v1\x00"
)

// signedWith returns a body behind its signature, whatever is in it.
func signedWith(key ed25519.PrivateKey, context string, body []byte) []byte {
	return append(ed25519.Sign(key, slices.Concat([]byte(context), body)), body...)
}

func TestWhatIsSignedAsOneThingIsNoOther(t *testing.T) {
	r := tao.Record{Identity: public(nodeKey), Kind: tao.Soft, Key: public(softKey), Roles: tao.RolesOf(tao.Mix), Issued: start, Expires: start}
	signed, err := r.Sign(policyKey)
	require.NoError(t, err)
	for _, context := range []string{"", policyContext, requestContext, "sphinxmix soft statement v1\x00", recordContext[:len(recordContext)-1]} {
		_, err := tao.ParseRecord(signedWith(policyKey, context, signed[ed25519.SignatureSize:]))
		require.ErrorIs(t, err, tao.ErrRecord, "signed as %q", context)
	}
	body := signedPolicy(t, goodPolicy())[ed25519.SignatureSize:]
	for _, context := range []string{"", recordContext, requestContext} {
		_, err := tao.ParsePolicy(signedWith(policyKey, context, body), public(policyKey))
		require.ErrorIs(t, err, tao.ErrPolicy, "signed as %q", context)
	}
}
