package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/tao"
)

// saved makes a village of one node, and returns the node's configuration, and its descriptor as explain has saved it.
func saved(t *testing.T) (v *village, config, file string) {
	t.Helper()
	v = newVillage(t, "--soft")
	config = v.addNode(t, "soft")
	v.allowAll(t, config)
	v.enrol(t, config)
	id := v.register(t, config, nil)
	folder := filepath.Join(t.TempDir(), "nodes")
	_, err := v.explain(t, "--save", folder)
	require.NoError(t, err)
	return v, config, filepath.Join(folder, id.String()+".json")
}

// judgeFile explains a file by the village's policy.
func (v *village) judgeFile(t *testing.T, file string, flags ...string) (string, error) {
	t.Helper()
	return run(t, "", append([]string{
		"policy", "explain", file, "--key", v.key, "--policy-key", v.policyKey, "--policy", filepath.Join(v.dir, signedPolicyFile),
	}, flags...)...)
}

// TestExplainNamesTheRule that a descriptor breaks, whatever its node has signed.
func TestExplainNamesTheRule(t *testing.T) {
	v, config, file := saved(t)
	evidence := func(change func(*tao.Evidence)) func(*directory.Descriptor) {
		return func(d *directory.Descriptor) {
			e, err := tao.ParseEvidence(d.Evidence)
			require.NoError(t, err)
			change(e)
			d.Evidence, err = e.Encode()
			require.NoError(t, err)
		}
	}
	for rule, change := range map[string]func(*directory.Descriptor){
		"claim":             func(d *directory.Descriptor) { d.Keys[0].Key[0] ^= 1 },
		"keys":              func(d *directory.Descriptor) { d.Keys[0].Epoch++ },
		"role":              func(d *directory.Descriptor) { d.Services = []string{"tcp"} },
		"evidence":          func(d *directory.Descriptor) { d.Evidence = d.Evidence[:len(d.Evidence)-1] },
		"quote's signature": evidence(func(e *tao.Evidence) { e.Quote.Signature[0] ^= 1 }),
		"register values":   evidence(func(e *tao.Evidence) { e.Registers[0].Value[0] ^= 1 }),
		"log":               evidence(func(e *tao.Evidence) { e.Log = e.Log[:len(e.Log)-1] }),
		"stamp":             evidence(func(e *tao.Evidence) { e.Stamp[0] ^= 1 }),
		"minimum":           evidence(func(e *tao.Evidence) { e.Configuration.Size = 1 }),
		"configuration":     evidence(func(e *tao.Evidence) { e.Configuration.KeepsKeys = true }),
		"programs":          evidence(func(e *tao.Evidence) { e.Log[0].Digest[0] ^= 1 }),
		"descriptor":        func(d *directory.Descriptor) { d.Expires = time.Now().Add(-time.Second) },
	} {
		t.Run(rule, func(t *testing.T) {
			signed, id := v.descriptor(t, config, change)
			n := newListedNode("here", signed)
			require.NotNil(t, n.desc)
			require.NoError(t, os.WriteFile(file, indented(n.toSave(time.Now())), 0o600))
			said, err := v.judgeFile(t, file)
			require.ErrorIs(t, err, errReported)
			require.Regexp(t, `(?m)^  ✗ `+regexp.QuoteMeta(rule)+`  +\S`, said)
			require.Regexp(t, `(?m)^REFUSED: \S`, said)
			require.NotContains(t, said, "ACCEPTED")
			require.Contains(t, said, "node "+id.String()+" at 127.0.0.1:7000")
		})
	}
}

// TestExplainFile: it needs no network, and looks at nothing but what the node has signed.
func TestExplainFile(t *testing.T) {
	v, _, file := saved(t)
	said, err := v.judgeFile(t, file)
	require.NoError(t, err)
	require.Contains(t, said, "ACCEPTED")
	text, err := os.ReadFile(file)
	require.NoError(t, err)

	var fields map[string]any
	require.NoError(t, json.Unmarshal(text, &fields))
	for _, field := range []string{"about", "node", "address", "role", "identity", "keys", "services", "expires", "evidence", "enrolment", "signed"} {
		require.NotEmpty(t, fields[field], field)
	}
	require.Contains(t, fields["about"], "What counts is \"signed\"")
	fields["role"], fields["address"], fields["node"] = "exit", "192.0.2.1:1\x1b[2J", "000000000000000000000000"
	lies, err := json.Marshal(fields)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, lies, 0o600))
	again, err := v.judgeFile(t, file)
	require.NoError(t, err)
	require.Equal(t, withoutTimes(said), withoutTimes(again), "what is for people counts for nothing")

	// In the future, the past, and by other keys.
	later := time.Now().Add(3 * time.Hour).UTC().Format(time.RFC3339)
	said, err = v.judgeFile(t, file, "--at", later)
	require.ErrorIs(t, err, errReported)
	for _, rule := range []string{"descriptor", "stamp"} {
		require.Regexp(t, `(?m)^  ✗ `+rule+` .*`+later, said)
	}
	require.Equal(t, 2, strings.Count(said, "✗"), said)
	_, err = v.judgeFile(t, file, "--at", "yesterday")
	require.ErrorContains(t, err, "--at yesterday")
	_, err = v.judgeFile(t, file, "--policy-key", strings.Repeat("2e", 32))
	require.ErrorContains(t, err, "not signed by the policy key")
	said, err = v.judgeFile(t, file, "--key", strings.Repeat("2e", 32))
	require.ErrorIs(t, err, errReported)
	require.Regexp(t, `(?m)^  ✗ stamp `, said)
	_, err = v.judgeFile(t, file, "--save", "x")
	require.ErrorContains(t, err, "leave --directory and --save out")
}

// TestExplainFileOfUp: its network file has the keys, and its directory the policy.
func TestExplainFileOfUp(t *testing.T) {
	file, folder := filepath.Join(t.TempDir(), "network.json"), filepath.Join(t.TempDir(), "nodes")
	_, stop := startUp(t, "--socks", "0", "--nodes", "4", "--network", file)
	succeed(t, "policy", "explain", "--network", file, "--save", folder)
	saved, err := filepath.Glob(filepath.Join(folder, "*.json"))
	require.NoError(t, err)
	require.Len(t, saved, 4)
	require.Contains(t, succeed(t, "policy", "explain", "--network", file, saved[0]), "ACCEPTED")
	later := time.Now().Add(3 * time.Hour).UTC().Format(time.RFC3339)
	said, err := run(t, "", "policy", "explain", "--network", file, saved[0], "--at", later)
	require.ErrorIs(t, err, errReported)
	require.Contains(t, said, "✗ descriptor")
	_, err = stop()
	require.NoError(t, err)
	refused(t, "--policy, --policy-key and --key", "policy", "explain", "--network", file, saved[0])
}

func withoutTimes(said string) string {
	return regexp.MustCompile(`ACCEPTED for \S+|, at \S+`).ReplaceAllString(said, "")
}

// TestExplainSurvivesHostileFiles: each byte of what a node has signed cut off or changed, and what is no descriptor at
// all.
func TestExplainSurvivesHostileFiles(t *testing.T) {
	v, config, file := saved(t)
	signed, _ := v.descriptor(t, config, nil)
	j := &reading{policy: signedIn(t, v.dir), directory: v.directory.Key, now: time.Now()}
	var said strings.Builder
	require.True(t, j.explainNode(&said, newListedNode("whole", signed)), said.String())
	for i := range signed {
		require.False(t, j.explainNode(&said, newListedNode("cut", signed[:i])), i)
		signed[i] ^= 1
		require.False(t, j.explainNode(&said, newListedNode("changed", signed)), i)
		signed[i] ^= 1
	}
	for _, text := range []string{"", "{}", "[]", "null", `{"signed":""}`, `{"signed":"!"}`, `{"signed":7}`, strings.Repeat("[", 1<<16), `{"signed":"` + strings.Repeat("A", maxSaved)} {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		out, err := v.judgeFile(t, file)
		require.ErrorContains(t, err, "mixnet policy explain --save")
		require.Empty(t, out)
	}
	require.NoError(t, os.WriteFile(file, []byte(`{"signed":"aGVsbG8="}`), 0o600))
	out, err := v.judgeFile(t, file)
	require.ErrorIs(t, err, errReported)
	require.Regexp(t, `(?m)^  ✗ descriptor  malformed descriptor`, out)
}

// TestExplainNetwork: all nodes or some, by the policy that the directory hands out or by another, and none that is not
// there.
func TestExplainNetwork(t *testing.T) {
	v := newVillage(t, "--soft")
	good, bad := v.addNode(t, "soft"), v.addNode(t, "soft")
	edit(t, bad, `size = 2`)
	v.allowAll(t, good)
	said := succeed(t, "policy", "allow", "configuration", bad, "--dir", v.dir)
	require.Contains(t, said, "packets leave   threshold: 2 senders, or 1s")
	require.Contains(t, said, "Warning: mixes with it are refused, as packets leave that come from 2 senders, must be 4 or more")
	v.enrol(t, good)
	v.enrol(t, bad)
	accepted, small := v.register(t, good, nil), v.register(t, bad, nil)

	said, err := v.explain(t)
	require.ErrorIs(t, err, errReported)
	require.Contains(t, said, "\n1 of 2 nodes are accepted.\n")
	require.Regexp(t, `(?m)^REFUSED: the configuration mixes less than the policy's minimum: packets leave that come from 2 senders, must be 4 or more$`, said)
	said, err = v.explain(t, accepted.String())
	require.NoError(t, err)
	require.NotContains(t, said, small.String())

	_, err = v.explain(t, strings.Repeat("0", 24))
	require.ErrorContains(t, err, "does not list node 000000000000000000000000")
	direct := []string{"policy", "explain", "--directory", v.url, "--key", v.key, "--policy-key", v.policyKey}
	refused(t, "has no policy", direct...)

	empty := newVillage(t)
	signedIn(t, empty.dir)
	_, err = empty.explain(t)
	require.ErrorContains(t, err, "lists no node")
}

// TestConfigurationIsMeasuredWithoutANetwork where the directory's configuration says what the network is like.
func TestConfigurationIsMeasuredWithoutANetwork(t *testing.T) {
	v := newVillage(t, "--soft")
	config := v.addNode(t, "soft")
	require.NotContains(t, succeed(t, "policy", "allow", "configuration", config, "--dir", v.dir), "Warning")
	asked := draftIn(t, v.dir).Configurations

	folder := filepath.Join(t.TempDir(), "directory")
	succeed(t, "init", "directory", "--dir", folder)
	require.NoError(t, os.Remove(filepath.Join(folder, "directory.key")), "no key is needed")
	require.NoError(t, os.Remove(filepath.Join(filepath.Dir(config), "node.key")), "no key is needed")
	read := []string{"policy", "allow", "configuration", config, "--directory-toml", filepath.Join(folder, "directory.toml"), "--dir", v.dir}
	succeed(t, read...)
	require.Equal(t, asked, draftIn(t, v.dir).Configurations)

	edit(t, filepath.Join(folder, "directory.toml"), `epoch = "24h"`)
	require.Contains(t, succeed(t, read...), "epochs of 24h")
	require.Len(t, draftIn(t, v.dir).Configurations, 2, "in a network with other parameters it is another one")

	edit(t, config, `register = 11`)
	require.Contains(t, succeed(t, read...), "measures into register 11, and the policy wants it in 14")
	edit(t, config, `strategy = "poisson"`)
	out, err := run(t, "", read...)
	require.ErrorContains(t, err, "mix.strategy", "no node of this network can be set up so")
	require.Empty(t, out)
}
