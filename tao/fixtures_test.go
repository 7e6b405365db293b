package tao_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

// start is when everything happens, unless a test says otherwise.
var start = time.Date(2026, time.May, 4, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

func signingKey(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func public(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

var (
	policyKey    = signingKey(1)
	enrollerKey  = signingKey(2)
	nodeKey      = signingKey(3)
	otherNodeKey = signingKey(4)
	softKey      = signingKey(5)
	directoryKey = signingKey(6)
	strangerKey  = signingKey(7)
)

func digest(text string) [32]byte { return sha256.Sum256([]byte(text)) }

var (
	network     = digest("a network")
	program     = digest("a program")
	oldProgram  = digest("the program before it")
	firmware    = digest("a firmware")
	newFirmware = digest("a newer firmware")
	root        = digest("the root of a maker of TPMs")
	endorsement = digest("an endorsement key")
)

// mixing is a configuration that the policy of the scenes lists.
var mixing = tao.Configuration{Network: network, Strategy: tao.Threshold, Size: 4, Interval: 2 * time.Second}

// goodPolicy accepts the scenes as they are.
func goodPolicy() *tao.Policy {
	return &tao.Policy{
		Version:     7,
		Issued:      start.Add(-day),
		Expires:     start.Add(90 * day),
		Attestors:   []tao.Kind{tao.TPM, tao.Soft},
		Enrollers:   []tao.Enroller{{Key: public(enrollerKey), Expires: start.Add(20 * day)}},
		Roots:       [][32]byte{root},
		Programs:    []tao.Allowed{{Digest: program, Roles: tao.RolesOf(tao.Mix, tao.Exit), Name: "mixnet 1.1"}, {Digest: oldProgram, Roles: tao.RolesOf(tao.Mix), Name: "mixnet 1.0"}},
		Settings:    []tao.Allowed{{Digest: mixing.Digest(), Roles: tao.RolesOf(tao.Mix, tao.Exit), Name: "threshold"}},
		LogRegister: tao.DefaultRegister,
		Registers:   []tao.RegisterRule{{Index: 0, Values: [][32]byte{firmware, newFirmware}}},
		Minimum:     tao.Minimum{Size: 2, Interval: time.Second, MeanDelay: 100 * time.Millisecond},
		MaxAge:      time.Hour,
	}
}

func signedPolicy(t testing.TB, p *tao.Policy) []byte {
	t.Helper()
	signed, err := p.Sign(policyKey)
	require.NoError(t, err)
	return signed
}

// asSigned returns a policy as its readers have it.
func asSigned(t testing.TB, p *tao.Policy) *tao.Policy {
	t.Helper()
	read, err := tao.ParsePolicy(signedPolicy(t, p), public(policyKey))
	require.NoError(t, err)
	return read
}

// stampOf is what the directory of these tests shows for its time: signature(64) ‖ seconds(8).
func stampOf(key ed25519.PrivateKey, made time.Time) []byte {
	body := binary.BigEndian.AppendUint64(nil, uint64(made.Unix()))
	return append(ed25519.Sign(key, body), body...)
}

func readStamp(stamp []byte) (time.Time, error) {
	if len(stamp) != ed25519.SignatureSize+8 || !ed25519.Verify(public(directoryKey), stamp[ed25519.SignatureSize:], stamp[:ed25519.SignatureSize]) {
		return time.Time{}, errors.New("not the directory's")
	}
	return time.Unix(int64(binary.BigEndian.Uint64(stamp[ed25519.SignatureSize:])), 0).UTC(), nil
}

// scene is a node, the machine that it runs on, and who reads its evidence.
type scene struct {
	kind      tao.Kind
	key       *forger            // the attestation key of a TPM
	softKey   ed25519.PrivateKey // that of a soft attestor
	policy    *tao.Policy
	record    tao.Record
	signer    ed25519.PrivateKey // of the record
	subject   tao.Subject
	settings  tao.Configuration
	log       tao.EventLog
	registers []tao.Register // beside the log's, by ascending index
	start     [32]byte       // of the log's register
	clock     tao.Clock
	stamp     []byte
	now       time.Time
}

// newScene returns one in which there is nothing wrong. The TPM's key is the forger's, so that tests can sign with it what no TPM
// would: an authority has enrolled it as that of a TPM, by mistake.
func newScene(kind tao.Kind) *scene {
	keys := []tao.EpochKey{{Epoch: 41, Key: digest("key of epoch 41")}, {Epoch: 42, Key: digest("key of epoch 42")}}
	s := &scene{
		kind:    kind,
		key:     newForger(1),
		softKey: softKey,
		policy:  goodPolicy(),
		record: tao.Record{
			Identity: public(nodeKey), Kind: kind, Roles: tao.RolesOf(tao.Mix, tao.Exit),
			Issued: start.Add(-day), Expires: start.Add(30 * day),
		},
		signer: policyKey,
		subject: tao.Subject{
			Identity: public(nodeKey), Role: tao.Mix, Network: network, Keys: keys, Stamped: readStamp,
		},
		settings: mixing,
		log: tao.EventLog{
			{Kind: tao.ProgramStarted, Digest: oldProgram},
			{Kind: tao.Configured, Digest: digest("what the program before was set up as")},
			{Kind: tao.KeyMade, Epoch: 41, Digest: digest("what the program before had as key of epoch 41")},
			{Kind: tao.ProgramStarted, Digest: program},
			{Kind: tao.Configured, Digest: mixing.Digest()},
			{Kind: tao.KeyMade, Epoch: 40, Digest: digest("key of epoch 40")},
			{Kind: tao.KeyMade, Epoch: 41, Digest: keys[0].Key},
			{Kind: tao.KeyMade, Epoch: 42, Digest: keys[1].Key},
		},
		stamp: stampOf(directoryKey, start.Add(-10*time.Minute)),
		now:   start,
	}
	if kind == tao.TPM {
		s.record.Endorsement, s.record.Root, s.record.Resets = endorsement, root, 3
		s.registers = []tao.Register{{Index: 0, Value: firmware}}
		s.clock = tao.Clock{Time: 1000, Resets: 5, Restarts: 1}
	}
	return s
}

// change is what is different in a scene from newScene's. Each step is taken with what the steps before it have made; nil
// leaves everything as it is.
type change struct {
	before    func(*scene)           // of the node and its machine, before it quotes
	claim     func(*tao.Claim)       // that is quoted
	attest    func(*tpm2.TPMSAttest) // that a TPM's key signs
	statement func([]byte) []byte    // as it is signed
	signature func([]byte) []byte    // as it is sent
	evidence  func(*tao.Evidence)    // as it is sent
	after     func(*scene)           // of the readers, and of what the node says of itself
}

// show returns the evidence of the scene's node, and changes the scene.
func (s *scene) show(t testing.TB, c change) []byte {
	t.Helper()
	e := s.evidence(t, c)
	encoded, err := e.Encode()
	require.NoError(t, err)
	if c.after != nil {
		c.after(s)
	}
	return encoded
}

func (s *scene) evidence(t testing.TB, c change) *tao.Evidence {
	t.Helper()
	if c.before != nil {
		c.before(s)
	}
	if s.record.Key == nil {
		s.record.Key = s.attestationKey()
	}
	record, err := s.record.Sign(s.signer)
	require.NoError(t, err)
	logged := tao.Register{Index: s.policy.LogRegister, Value: s.log.Replay(s.start)}
	registers := slices.SortedFunc(slices.Values(append(s.registers, logged)), func(a, b tao.Register) int { return int(a.Index) - int(b.Index) })
	claim := tao.Claim{
		Identity: s.subject.Identity, Role: s.subject.Role, Keys: slices.Clone(s.subject.Keys),
		Configuration: s.settings.Digest(), Stamp: tao.StampDigest(s.stamp),
	}
	if c.claim != nil {
		c.claim(&claim)
	}
	statement := s.statement(t, claim.Digest(), registers, c.attest)
	if c.statement != nil {
		statement = c.statement(statement)
	}
	quote := tao.Quote{Statement: statement, Signature: s.sign(statement)}
	if c.signature != nil {
		quote.Signature = c.signature(quote.Signature)
	}
	e := &tao.Evidence{
		Kind: s.kind, Record: record, Configuration: s.settings, Stamp: s.stamp,
		LogRegister: s.policy.LogRegister, Log: s.log, Registers: registers, Quote: quote,
	}
	if c.evidence != nil {
		c.evidence(e)
	}
	return e
}

func (s *scene) attestationKey() []byte {
	if s.kind == tao.Soft {
		return public(s.softKey)
	}
	return s.key.bytes()
}

// statement returns what the attestor says of registers.
func (s *scene) statement(t testing.TB, qualifying [32]byte, registers []tao.Register, edit func(*tpm2.TPMSAttest)) []byte {
	t.Helper()
	if s.kind == tao.TPM {
		attest := s.key.attest(qualifying, registers, s.clock)
		if edit != nil {
			edit(&attest)
		}
		return tpm2.Marshal(attest)
	}
	b := append([]byte("sphinxmix soft statement v1\x00"), qualifying[:]...)
	for _, r := range registers {
		b = append(append(b, r.Index), r.Value[:]...)
	}
	return b
}

func (s *scene) sign(statement []byte) []byte {
	if s.kind == tao.TPM {
		return s.key.sign(statement)
	}
	return ed25519.Sign(s.softKey, statement)
}
