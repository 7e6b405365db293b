package main

import (
	"crypto/ed25519"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

// rewrite changes the content of a PEM file.
func rewrite(t *testing.T, file string, change func(b []byte) []byte) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	block, _ := pem.Decode(text)
	require.NotNil(t, block)
	require.NoError(t, writeBlock(file, block.Type, change(block.Bytes), 0o600))
}

// TestEnrolRefusesWhatWasNotVerified: nothing is signed or written down then, and no grant is made.
func TestEnrolRefusesWhatWasNotVerified(t *testing.T) {
	v := newVillage(t, "--soft")
	config := v.addNode(t, "soft")
	for name, test := range map[string]struct {
		change func(b []byte) []byte
		want   string
	}{
		"signature":  {func(b []byte) []byte { b[0] ^= 1; return b }, "not signed by the node's identity"},
		"identity":   {func(b []byte) []byte { b[ed25519.SignatureSize] ^= 1; return b }, "not signed by the node's identity"},
		"role":       {func(b []byte) []byte { b[ed25519.SignatureSize+33] = 3; return b }, "not signed by the node's identity"},
		"end":        {func(b []byte) []byte { return b[:len(b)-1] }, "request cannot be granted"},
		"nothing":    {func([]byte) []byte { return nil }, "request cannot be granted"},
		"too much":   {func(b []byte) []byte { return append(b, make([]byte, tao.MaxRequestSize)...) }, "request cannot be granted"},
		"of another": {func(b []byte) []byte { return resigned(t, b) }, "the quote is over another claim"},
	} {
		t.Run(name, func(t *testing.T) {
			asked := request(t, config)
			rewrite(t, asked, test.change)
			before := filesIn(t, v.dir)
			refused(t, test.want, "policy", "enrol", asked, "--dir", v.dir)
			refused(t, test.want, "policy", "show", asked, "--dir", v.dir)
			require.Equal(t, before, filesIn(t, v.dir))
			require.NoFileExists(t, grantFor(asked))
		})
	}
}

// resigned returns a request for an identity that its attestation key has never heard of.
func resigned(t *testing.T, request []byte) []byte {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	body := request[ed25519.SignatureSize:]
	copy(body, public)
	return append(ed25519.Sign(private, append([]byte("sphinxmix enrolment request v1\x00"), body...)), body...)
}

// TestEnrolRefusesOtherKinds: what the draft does not accept, roles that were not asked for, and files that are no
// requests.
func TestEnrolRefusesOtherKinds(t *testing.T) {
	v := newVillage(t)
	config := v.addNode(t, "soft")
	asked := request(t, config)
	refused(t, "mixnet policy allow soft", "policy", "enrol", asked, "--dir", v.dir)
	succeed(t, "policy", "allow", "soft", "--dir", v.dir)
	refused(t, "it asks to be: mix", "policy", "enrol", asked, "--dir", v.dir, "--role", "exit")
	refused(t, "--days 0", "policy", "enrol", asked, "--dir", v.dir, "--days", "0")
	require.Empty(t, nodesIn(t, v.dir))

	succeed(t, "policy", "enrol", asked, "--dir", v.dir)
	refused(t, "mixnet node enrol", "policy", "enrol", grantFor(asked), "--dir", v.dir)
	refused(t, "is a grant", "policy", "show", grantFor(asked), "--dir", v.dir)
	refused(t, "mixnet policy enrol", "node", "enrol", "--config", config, "--grant", asked)

	exit := v.addNode(t, "soft", "--exit")
	require.Contains(t, v.enrol(t, exit), "to be: mix, exit, until")
}

// TestNodeTakesItsOwnGrantAlone: no other node's, none for another key, role or kind of machine, none that is over, and
// none that is older than what it has.
func TestNodeTakesItsOwnGrantAlone(t *testing.T) {
	v := newVillage(t, "--soft")
	config, other := v.addNode(t, "soft"), v.addNode(t, "soft")
	v.enrol(t, other)
	grant := grantFor(request(t, config))
	take := []string{"node", "enrol", "--config", config, "--grant", grant}
	enrolment := filepath.Join(filepath.Dir(config), "enrolment.pem")

	moved, err := os.ReadFile(filepath.Join(filepath.Dir(other), "grant.pem"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(grant, moved, 0o600))
	refused(t, "is for another node", take...)

	l, err := loadUnenrolled(config)
	require.NoError(t, err)
	_, signer, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	attestor, err := readKey(l.file.path(l.settings.attestation.key))
	require.NoError(t, err)
	now := time.Now()
	good := tao.Record{
		Identity: l.identity.Public().(ed25519.PublicKey), Kind: tao.Soft, Key: attestor.Public().(ed25519.PublicKey),
		Roles: tao.RolesOf(tao.Mix), Issued: now, Expires: now.Add(time.Hour),
	}
	for _, test := range []struct {
		want   string
		change func(*tao.Record)
	}{
		{"another attestation key", func(r *tao.Record) { r.Key = signer.Public().(ed25519.PublicKey) }},
		{"tpm attestor", func(r *tao.Record) { r.Kind = tao.TPM }},
		{"set up to be: mix", func(r *tao.Record) { r.Roles = tao.RolesOf(tao.Exit) }},
		{"was good until", func(r *tao.Record) { r.Expires = now.Add(-time.Second) }},
		{"", func(*tao.Record) {}},
		{"older than the enrolment", func(r *tao.Record) { r.Issued = now.Add(-time.Hour) }},
	} {
		record := good
		test.change(&record)
		signed, err := record.Sign(signer)
		require.NoError(t, err)
		content := append([]byte{byte(tao.Soft), byte(len(signed) >> 8), byte(len(signed))}, signed...)
		require.NoError(t, writeBlock(grant, grantBlock, content, 0o600))
		if test.want == "" {
			require.Contains(t, succeed(t, take...), "the policy must delegate")
			continue
		}
		before := exists(enrolment)
		refused(t, test.want, take...)
		require.Equal(t, before, exists(enrolment))
	}
}

// TestOneMachineIsOneNode: a machine cannot become a second node, nor a node have a second machine, unless the first is
// revoked by that.
func TestOneMachineIsOneNode(t *testing.T) {
	v := newVillage(t, "--soft")
	first := v.addNode(t, "soft")
	v.allowAll(t, first)
	v.enrol(t, first)
	old := nodesIn(t, v.dir)[0]

	// Another node with the first one's attestation key, which stands for its machine.
	second := v.addNode(t, "soft")
	key, err := os.ReadFile(filepath.Join(filepath.Dir(first), "attestation.key"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(second), "attestation.key"), key, 0o600))
	asked := request(t, second)
	before := filesIn(t, v.dir)
	refused(t, "is that of node "+old.Node.String(), "policy", "enrol", asked, "--dir", v.dir)
	require.Equal(t, before, filesIn(t, v.dir))
	require.NoFileExists(t, grantFor(asked))

	said := succeed(t, "policy", "enrol", asked, "--dir", v.dir, "--replace")
	require.Contains(t, said, "Revoked the node "+old.Node.String())
	require.Contains(t, said, "counts after the policy has been signed")
	revoked := draftIn(t, v.dir).Revoked
	require.Len(t, revoked, 1, "the machine is not revoked, as the new node has it")
	require.EqualValues(t, tao.IdentityHash(ed25519.PublicKey(old.Identity)), revoked[0].SHA256)
	require.Len(t, nodesIn(t, v.dir), 2)

	refused(t, "is revoked", "policy", "enrol", request(t, first), "--dir", v.dir)
	refused(t, "revoke one of them", "policy", "revoke", old.Node.String(), "--remove", "--dir", v.dir)

	// The second node on another machine: the one before is revoked, and the node is not.
	require.NoError(t, os.Remove(filepath.Join(filepath.Dir(second), "attestation.key")))
	refused(t, "enrolled with another machine", "policy", "enrol", request(t, second), "--dir", v.dir)
	v.enrol(t, second, "--replace")
	revoked = draftIn(t, v.dir).Revoked
	require.Len(t, revoked, 2)
	require.Equal(t, old.Key, revoked[1].SHA256)
	signedIn(t, v.dir)

	// Who writes two nodes of one machine into the list by hand gets no signature.
	a := &authority{dir: v.dir}
	require.NoError(t, a.readDraft())
	a.draft.Revoked = nil
	require.NoError(t, a.writeDraft())
	refused(t, "revoke one of them", "policy", "sign", "--dir", v.dir)
}

// TestRevoke: a node that is revoked is refused, with all that it was enrolled with, and only until that is taken back.
func TestRevoke(t *testing.T) {
	v := newVillage(t, "--soft")
	config := v.addNode(t, "soft")
	v.allowAll(t, config)
	v.enrol(t, config)
	id := v.register(t, config, nil)
	for name, argument := range map[string]string{
		"id":              id.String(),
		"public key":      nodesIn(t, v.dir)[0].Identity.String(),
		"attestation key": nodesIn(t, v.dir)[0].Key.String(),
		"program":         draftIn(t, v.dir).Programs[0].SHA256.String(),
	} {
		t.Run(name, func(t *testing.T) {
			succeed(t, "policy", "revoke", argument, "--dir", v.dir)
			refused(t, "is revoked already", "policy", "revoke", argument, "--dir", v.dir)
			signedIn(t, v.dir)
			said, err := v.explain(t)
			require.ErrorIs(t, err, errReported)
			require.Regexp(t, `(?m)^  ✗ revocations +revoked: the (node|attestation key|program)`, said)
			require.Equal(t, 1, strings.Count(said, "✗"), said)
			if name != "program" {
				refused(t, "if that was a mistake", "policy", "enrol", filepath.Join(filepath.Dir(config), "request.pem"), "--dir", v.dir)
			} else {
				require.Contains(t, succeed(t, "policy", "sign", "--dir", v.dir), "is allowed, and revoked")
			}

			succeed(t, "policy", "revoke", argument, "--remove", "--dir", v.dir)
			require.Empty(t, draftIn(t, v.dir).Revoked)
			signedIn(t, v.dir)
			_, err = v.explain(t)
			require.NoError(t, err)
		})
	}
	unknown := strings.Repeat("a", 64)
	require.Contains(t, succeed(t, "policy", "revoke", unknown, "--dir", v.dir), "Nothing that was enrolled or allowed here")
}

// TestEnroller: somebody else enrols nodes as long as the policy says so, and signs no policies.
func TestEnroller(t *testing.T) {
	v := newVillage(t, "--soft")
	config := v.addNode(t, "soft")
	v.allowAll(t, config)
	key := filepath.Join(t.TempDir(), "enroller.key")
	said := succeed(t, "policy", "key", key)
	public := said[strings.Index(said, "enroller ")+len("enroller "):][:64]
	asked := request(t, config)
	refused(t, "mixnet policy allow enroller "+public, "policy", "enrol", asked, "--as", key, "--dir", v.dir)
	succeed(t, "policy", "allow", "enroller", public, "--days", "7", "--dir", v.dir)
	refused(t, "leave --as out", "policy", "enrol", asked, "--as", key, "--replace", "--dir", v.dir)

	// His copy of the folder has no policy key.
	copied := filepath.Join(t.TempDir(), "copy")
	require.NoError(t, os.CopyFS(copied, os.DirFS(v.dir)))
	require.NoError(t, os.Chmod(copied, 0o700))
	require.NoError(t, os.Remove(filepath.Join(copied, policyKeyFile)))
	refused(t, "where the policy's key is", "policy", "sign", "--dir", copied)
	refused(t, "names a key with --as", "policy", "enrol", asked, "--dir", copied)
	succeed(t, "policy", "enrol", asked, "--as", key, "--dir", copied)
	require.Contains(t, succeed(t, "node", "enrol", "--config", config, "--grant", grantFor(asked)), public)

	id := v.register(t, config, nil)
	said, err := v.explain(t)
	require.NoError(t, err)
	require.Regexp(t, `(?m)^  ✓ enrolment +signed by `+public+`, to whom the policy delegates`, said)

	succeed(t, "policy", "allow", "enroller", public, "--remove", "--dir", v.dir)
	signedIn(t, v.dir)
	said, err = v.explain(t, id.String())
	require.ErrorIs(t, err, errReported)
	require.Regexp(t, `(?m)^  ✗ enrolment +`, said)

	// What was enrolled by him shows when the policy is signed, where his list was brought back.
	list, err := os.ReadFile(filepath.Join(copied, nodesFile))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(v.dir, nodesFile), list, 0o600))
	require.Contains(t, succeed(t, "policy", "sign", "--dir", v.dir), "node "+id.String()+", which was enrolled, is refused: "+public)
}

// TestDelegationEnds: a key that could enrol nodes once cannot any more.
func TestDelegationEnds(t *testing.T) {
	v := newVillage(t, "--soft")
	config := v.addNode(t, "soft")
	key := filepath.Join(t.TempDir(), "enroller.key")
	public, err := createKey(key)
	require.NoError(t, err)
	succeed(t, "policy", "allow", "enroller", publicKey(public).String(), "--dir", v.dir)
	a := &authority{dir: v.dir}
	require.NoError(t, a.readDraft())
	a.draft.Enrollers[0].Expires = time.Now().Add(-time.Second)
	require.NoError(t, a.writeDraft())
	refused(t, "could enrol nodes until", "policy", "enrol", request(t, config), "--as", key, "--dir", v.dir)
	require.Contains(t, succeed(t, "policy", "sign", "--dir", v.dir), "could enrol nodes until")
}

// TestSignSaysWhoIsRefused: a policy that leaves out what enrolled nodes rely on is signed, and says so.
func TestSignSaysWhatMayBeAMistake(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "policy")
	succeed(t, "policy", "init", "--dir", dir)
	said := succeed(t, "policy", "sign", "--dir", dir)
	require.Contains(t, said, "Note: no register of the machines' start is wanted")
	require.NotContains(t, said, "max_age")
	require.NotContains(t, said, "it is good for")

	succeed(t, "policy", "allow", "register", "14="+strings.Repeat("00", 32), "--dir", dir) // where the log begins, and no more
	require.Contains(t, succeed(t, "policy", "sign", "--dir", dir), "Note: no register of the machines' start is wanted")
	succeed(t, "policy", "allow", "register", "7="+strings.Repeat("ab", 32), "--dir", dir)
	require.NotContains(t, succeed(t, "policy", "sign", "--dir", dir), "no register")

	draft := filepath.Join(dir, "policy.json")
	text, err := os.ReadFile(draft)
	require.NoError(t, err)
	require.Contains(t, string(text), `"2h`)
	require.NoError(t, os.WriteFile(draft, []byte(strings.Replace(string(text), `"2h`, `"9m`, 1)), 0o600))
	said = succeed(t, "policy", "sign", "--days", "91", "--dir", dir)
	require.Contains(t, said, "Note: nodes have to quote again within 9m")
	require.Contains(t, said, "Note: it is good for 91 days")
}

func TestSignSaysWhoIsRefused(t *testing.T) {
	v := newVillage(t, "--soft")
	config := v.addNode(t, "soft")
	v.allowAll(t, config)
	v.enrol(t, config, "--days", "7")
	id := nodesIn(t, v.dir)[0].Node.String()
	require.Contains(t, succeed(t, "policy", "sign", "--dir", v.dir), "the enrolment of node "+id+" ends on")
	require.NotContains(t, succeed(t, "policy", "sign", "--days", "1", "--dir", v.dir), "the enrolment of node")
	succeed(t, "policy", "allow", "soft", "--remove", "--dir", v.dir)
	require.Contains(t, succeed(t, "policy", "sign", "--dir", v.dir), "node "+id+", which was enrolled, is refused: its attestor is a soft one")
}
