package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestEnrolForLess: the enrolment that a node had, and keeps, is worth nothing once it was enrolled anew for less.
func TestEnrolForLess(t *testing.T) {
	v := newVillage(t, "--soft")
	config := v.addNode(t, "soft")
	v.allowAll(t, config)
	v.enrol(t, config)
	signedIn(t, v.dir)
	old := nodesIn(t, v.dir)[0]
	v.register(t, config, nil)
	_, err := v.explain(t)
	require.NoError(t, err)

	asked := request(t, config)
	said := succeed(t, "policy", "enrol", asked, "--dir", v.dir, "--days", "1")
	require.Contains(t, said, "Revoked the enrolment of node "+old.Node.String()+" of "+old.Issued.Format(time.DateTime)+": "+old.Record.String())
	require.Contains(t, said, "What is revoked counts until the policy has been signed anew")
	revoked := draftIn(t, v.dir).Revoked
	require.Len(t, revoked, 1)
	require.Equal(t, old.Record, revoked[0].SHA256)
	p := signedIn(t, v.dir)
	require.NotContains(t, succeed(t, "policy", "sign", "--days", "1", "--dir", v.dir), "which was enrolled, is refused")
	require.Equal(t, [][32]byte{old.Record}, p.Revoked)
	said, err = v.explain(t) // the node never takes the grant
	require.ErrorIs(t, err, errReported)
	require.Equal(t, 1, strings.Count(said, "✗"), said)
	require.Regexp(t, `(?m)^  ✗ revocations +revoked: `, said)

	succeed(t, "node", "enrol", "--config", config, "--grant", grantFor(asked))
	v.register(t, config, nil)
	_, err = v.explain(t)
	require.NoError(t, err)
}

// TestRenewalRevokesNothing that lets the node be no more than the renewal. What was renewed is not forgotten: a later
// enrolment for less revokes that too.
func TestRenewalRevokesNothing(t *testing.T) {
	v := newVillage(t, "--soft")
	config := v.addNode(t, "soft", "--exit")
	var records []digest
	for _, days := range []string{"100", "200", "300"} {
		require.NotContains(t, v.enrol(t, config, "--days", days), "evoked")
		require.Empty(t, draftIn(t, v.dir).Revoked)
		require.Len(t, nodesIn(t, v.dir), 1)
		records = append(records, nodesIn(t, v.dir)[0].Record)
	}
	v.enrol(t, config, "--days", "300", "--role", "exit")
	var revoked []digest
	for _, r := range draftIn(t, v.dir).Revoked {
		revoked = append(revoked, r.SHA256)
	}
	require.ElementsMatch(t, records, revoked, "all of them let it be a mix that is no exit")
	require.Empty(t, nodesIn(t, v.dir)[0].Earlier)

	refused(t, "is revoked already", "policy", "revoke", records[0].String(), "--dir", v.dir)
	last := nodesIn(t, v.dir)[0]
	require.Contains(t, succeed(t, "policy", "revoke", last.Record.String(), "--dir", v.dir), "Revoked the enrolment of node "+last.Node.String())
	require.Contains(t, succeed(t, "policy", "sign", "--dir", v.dir), "is refused: the enrolment of node "+last.Node.String())
	require.Contains(t, v.enrol(t, config), "to be: mix, exit", "one enrolment is revoked, not the node")
}

// TestEnrollerCannotRevoke: what he enrols anew for less has two enrolments, which he and who signs the policy are
// told, until the policy's key enrols it once more.
func TestEnrollerCannotRevoke(t *testing.T) {
	v := newVillage(t, "--soft")
	config := v.addNode(t, "soft")
	key := filepath.Join(t.TempDir(), "enroller.key")
	public, err := createKey(key)
	require.NoError(t, err)
	succeed(t, "policy", "allow", "enroller", publicKey(public).String(), "--dir", v.dir)
	v.enrol(t, config, "--days", "365")
	wide := nodesIn(t, v.dir)[0]

	said := v.enrol(t, config, "--days", "7", "--as", key)
	counts := "enrolment of node " + wide.Node.String() + " of " + wide.Issued.Format(time.DateTime)
	require.Contains(t, said, "The "+counts+" counts beside this one until it ends, on "+wide.Expires.Format(time.DateOnly)+": mix.")
	require.Empty(t, draftIn(t, v.dir).Revoked)
	require.Contains(t, succeed(t, "policy", "sign", "--dir", v.dir), "Note: the "+counts+" lets it be more than its last one")

	said = v.enrol(t, config, "--days", "7")
	require.Contains(t, said, "Revoked the "+counts)
	require.NotContains(t, succeed(t, "policy", "sign", "--dir", v.dir), "more than its last one")

	// An entry that was brought back from a copy is not lost, and not left beside the new one.
	list, err := os.ReadFile(filepath.Join(v.dir, nodesFile))
	require.NoError(t, err)
	entry := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(string(list)), "["), "]")
	require.NoError(t, os.WriteFile(filepath.Join(v.dir, nodesFile), []byte("["+entry+","+entry+"]"), 0o600))
	v.enrol(t, config, "--days", "1")
	require.Len(t, nodesIn(t, v.dir), 1)
}
