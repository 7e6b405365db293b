package main

import (
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDraftIsStrict: what nobody would notice in a policy written by hand is an error with its line.
func TestDraftIsStrict(t *testing.T) {
	dir, _ := newPolicy(t)
	file := filepath.Join(dir, draftFile)
	good, err := os.ReadFile(file)
	require.NoError(t, err)
	for name, test := range map[string]struct{ old, new, want string }{
		"unknown field":         {`"tpms"`, `"tmps"`, `unknown field "tmps"`},
		"twice":                 {`"tpms": [],`, `"tpms": [], "max_age": "4h",`, `"max_age" stands there twice`},
		"twice, but for case":   {`"tpms": [],`, `"tpms": [], "Max_Age": "4h",`, `"Max_Age" stands there twice`},
		"twice within":          {`"senders": 4,`, `"senders": 4, "senders": 5,`, `"senders" stands there twice`},
		"behind its end":        {`"revoked": []`, `"revoked": [] } {`, "behind its end"},
		"no JSON":               {`"max_age"`, `max_age`, "policy.json:6: "},
		"another kind":          {`"senders": 4`, `"senders": "4"`, "policy.json:8: "},
		"no duration":           {`"2h"`, `"2 hours"`, "no duration"},
		"no hash":               {`"tpms": []`, `"tpms": [{"sha256": "12", "name": ""}]`, "64 hexadecimal digits"},
		"no such attestor":      {`"tpm"`, `"tpn"`, "tpn"},
		"a batch of one":        {`"senders": 4`, `"senders": 1`, "must be 2 or more"},
		"stamps for ever":       {`"2h"`, `"2000h"`, "stamps may be"},
		"a register for people": {`"log_register": 14`, `"log_register": 16`, "register"},
		"no such role":          {`"programs": []`, `"programs": [{"sha256": "` + strings.Repeat("a", 64) + `", "roles": ["king"], "name": ""}]`, "king"},
		"no role":               {`"programs": []`, `"programs": [{"sha256": "` + strings.Repeat("a", 64) + `", "roles": [], "name": ""}]`, "no role"},
		"another key":           {draftIn(t, dir).Key.String(), strings.Repeat("2e", 32), "is not the key that"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, string(good), test.old)
			require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(good), test.old, test.new, 1)), 0o600))
			defer os.WriteFile(file, good, 0o600)
			refused(t, test.want, "policy", "sign", "--dir", dir)
			require.NoFileExists(t, filepath.Join(dir, signedPolicyFile))
		})
	}
	require.NoError(t, json.Unmarshal(good, new(draft)))
	signedIn(t, dir)
}

// TestShowPolicy: only as its key has signed it; the JSON of one says all that it does.
func TestShowPolicy(t *testing.T) {
	dir, key := newPolicy(t)
	hash := strings.Repeat("a", 64)
	succeed(t, "policy", "allow", "program", hash, "--name", "mixnet 1.4", "--dir", dir)
	succeed(t, "policy", "allow", "tpm", strings.Repeat("c", 64), "--name", "rack 3", "--dir", dir)
	succeed(t, "policy", "revoke", strings.Repeat("b", 64), "--dir", dir)
	p := signedIn(t, dir)

	said := succeed(t, "policy", "show", "--dir", dir)
	for _, part := range []string{key, hash + " to be: mix, exit; mixnet 1.4", strings.Repeat("c", 64), strings.Repeat("b", 64), "every 2h", "4 senders", "\ngood until "} {
		require.Contains(t, said, part)
	}
	file := filepath.Join(dir, signedPolicyFile)
	elsewhere := []string{"policy", "show", file, "--dir", t.TempDir()}
	refused(t, "--policy-key", elsewhere...)
	require.Equal(t, said, succeed(t, append(elsewhere, "--policy-key", key)...))
	refused(t, "not signed by the policy key", append(elsewhere, "--policy-key", strings.Repeat("2e", 32))...)

	var read shown
	read.draft = new(draft)
	require.NoError(t, decodeStrict([]byte(succeed(t, "policy", "show", "--json", "--dir", dir)), &read))
	require.Equal(t, p.Version, read.Version)
	again, err := read.policy(p.Version, read.Issued, read.Expires)
	require.NoError(t, err)
	again.Key = p.Key
	require.Equal(t, p, again)

	signed, err := readBlock(file, policyBlock)
	require.NoError(t, err)
	signed[len(signed)/2] ^= 1
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: policyBlock, Bytes: signed}), 0o600))
	refused(t, "not signed by the policy key", "policy", "show", "--dir", dir)
}
