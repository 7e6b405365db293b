package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node"
	"sphinxmix.example/tao"
)

// enrol lets a node in with what vouches for it, as whoever has the testPolicy would.
func enrol(t *testing.T, config string, vouched func(*tao.Request) tao.Roots) {
	t.Helper()
	loaded, err := loadUnenrolled(config)
	require.NoError(t, err)
	attestor, device, err := loaded.openAttestor()
	require.NoError(t, err)
	var endorsement tao.Endorsement
	var activate func(credential, secret []byte) ([]byte, error)
	if device != nil {
		defer device.Close()
		activate = device.Activate
		endorsement, err = device.Endorsement()
		require.NoError(t, err)
	}
	roles := tao.RolesOf(tao.Mix)
	asked, err := tao.NewRequest(loaded.identity, attestor, endorsement, roles, []uint8{14})
	require.NoError(t, err)
	request, err := tao.ParseRequest(asked)
	require.NoError(t, err)
	grant, _, err := tao.Grant(rand.Reader, request, testPolicy, vouched(request), tao.Terms{
		Roles: roles, Issued: time.Now(), Expires: time.Now().Add(time.Hour),
	})
	require.NoError(t, err)
	record, err := tao.OpenGrant(grant, activate)
	require.NoError(t, err)
	writePEM(t, filepath.Join(filepath.Dir(config), "enrolment.pem"), enrolmentBlock, record)
}

// nobody vouches for soft attestors.
func nobody(*tao.Request) tao.Roots { return tao.Roots{} }

// attest gives an installation a policy that allows this program as its nodes are set up, and the nodes soft attestors
// with which they are enrolled.
func (n *installation) attest(t *testing.T) {
	t.Helper()
	n.policyKey = testPolicyKey
	edit(t, n.directory, "[policy]\nkey = \""+testPolicyKey+"\"")
	n.sign(t, 1, nil)
	for _, mix := range n.nodes {
		edit(t, mix.config, `policy_key = "`+testPolicyKey+`"`, `attestor = "soft"`)
		enrol(t, mix.config, nobody)
	}
}

// sign puts a policy into the directory's folder.
func (n *installation) sign(t *testing.T, version uint64, change func(*tao.Policy)) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	program, err := tao.FileDigest(self)
	require.NoError(t, err)
	server := newServerSettings()
	require.NoError(t, readConfiguration(n.directory, server.list()).err())
	loaded, err := loadUnenrolled(n.nodes[0].config)
	require.NoError(t, err)
	configuration := node.Configuration(loaded.config(server.network))
	roles := tao.RolesOf(tao.Mix)
	writePEM(t, filepath.Join(filepath.Dir(n.directory), "policy.signed"), policyBlock, signPolicy(t, version, time.Hour, func(p *tao.Policy) {
		p.Programs = []tao.Allowed{{Digest: program, Roles: roles}}
		p.Settings = []tao.Allowed{{Digest: configuration.Digest(), Roles: roles}}
		if change != nil {
			change(p)
		}
	}))
}

// TestAttestedNetwork is one from configurations: its parts know each other from the policy key alone, and a new policy
// in the directory's folder puts out whom it revokes.
func TestAttestedNetwork(t *testing.T) {
	n := install(t, 4)
	n.attest(t)
	for _, check := range [][]string{{"directory", "--config", n.directory, "--check"}, {"node", "--config", n.nodes[0].config, "--check"}} {
		status, printed := result(t, check...)
		require.Zero(t, status, printed)
	}
	server, mixes := n.startAll(t)
	status, printed := result(t, n.access("send", "hello there")...)
	require.Zero(t, status, printed)
	printed = succeeds(t, "status", "--config", n.nodes[0].config)
	require.Regexp(t, `(?m)^policy +version 1, good for (1h0m0s|\d+m\d+s), refuses 0 mixes$`, printed)
	require.Regexp(t, `(?m)^attested +soft, evidence good for (1h0m0s|\d+m\d+s); \d+ % of the room for measurements taken$`, printed)

	revoked, err := readKey(filepath.Join(filepath.Dir(n.nodes[3].config), "node.key"))
	require.NoError(t, err)
	n.sign(t, 2, func(p *tao.Policy) {
		p.Revoked = [][32]byte{tao.IdentityHash(revoked.Public().(ed25519.PublicKey))}
	})
	server.says(t, "a new policy")
	for _, mix := range n.nodes[:3] {
		n.awaitMixes(t, mix, 3)
	}
	mixes[3].says(t, "revoked")
	status, printed = result(t, n.access("send", "hello there")...)
	require.Equal(t, 1, status, printed)
	require.Contains(t, printed, "take 4 mixes, and it has 3: start more mixes that its policy allows")

	// Who is given another policy key trusts nobody here, whatever the directory says.
	n.policyKey = n.key
	status, printed = result(t, n.access("send", "hello there")...)
	require.Equal(t, 1, status, printed)
	require.Regexp(t, `^mixnet: .*not signed by the policy key.*\n$`, printed)
}

// TestEnrolmentOfAnotherMachineIsRefusedAtTheStart, with what to do about it.
func TestEnrolmentOfAnotherMachineIsRefusedAtTheStart(t *testing.T) {
	n := install(t, 2)
	n.attest(t)
	for _, name := range []string{"enrolment.pem", "attestation.key"} {
		theirs, err := os.ReadFile(filepath.Join(filepath.Dir(n.nodes[1].config), name))
		require.NoError(t, err)
		ours := filepath.Join(filepath.Dir(n.nodes[0].config), name)
		before, err := os.ReadFile(ours)
		require.NoError(t, err)
		require.False(t, bytes.Equal(before, theirs))
		require.NoError(t, os.WriteFile(ours, theirs, 0o600))
		status, printed := result(t, "node", "--config", n.nodes[0].config)
		require.Equal(t, exitConfig, status, printed)
		require.Regexp(t, `node\.toml:\d+: attestation\.enrolment: is for another (node|attestation key).*; enrol this node with 'mixnet node enrol --config .*'\n$`, printed)
		require.NoError(t, os.WriteFile(ours, before, 0o600))
	}
}
