package main

import (
	"crypto/ed25519"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

// testPolicy is what tests sign their policies and enrolments with.
var testPolicy = ed25519.NewKeyFromSeed([]byte("the policy key of these tests..."))

var testPolicyKey = fmt.Sprintf("%x", testPolicy.Public())

// goodAttested is goodNode with a soft attestor.
var goodAttested = strings.Replace(goodNode, "key = \"1f", "policy_key = \""+testPolicyKey+"\"\nkey = \"1f", 1) + `
[attestation]
attestor = "soft"
`

// writeAttested makes a folder as writeConfig does, with an enrolment of the node in it, which change may have changed.
func writeAttested(t *testing.T, text string, change func(*tao.Record)) string {
	t.Helper()
	file := writeConfig(t, text)
	dir := filepath.Dir(file)
	identity, err := readKey(filepath.Join(dir, "node.key"))
	require.NoError(t, err)
	key, err := createKey(filepath.Join(dir, "attestation.key"))
	require.NoError(t, err)
	record := &tao.Record{
		Identity: identity.Public().(ed25519.PublicKey), Kind: tao.Soft, Key: key, Roles: tao.RolesOf(tao.Mix),
		Issued: time.Now(), Expires: time.Now().Add(time.Hour),
	}
	if change != nil {
		change(record)
	}
	signed, err := record.Sign(testPolicy)
	require.NoError(t, err)
	writePEM(t, filepath.Join(dir, "enrolment.pem"), enrolmentBlock, signed)
	return file
}

func writePEM(t *testing.T, file, kind string, content []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600))
}

// TestEveryErrorOfAnAttestorHasALineAndARemedy, of those that a configuration's file can have.
func TestEveryErrorOfAnAttestorHasALineAndARemedy(t *testing.T) {
	const attestorLine, registerLine = ":10: attestation.attestor: ", ":11: attestation.register: "
	for name, test := range map[string]struct {
		old, new string // in goodAttested; appended where old is empty
		want     []wrong
	}{
		"no attestor that there is":          {`"soft"`, `"dev/tpmrm0"`, []wrong{{attestorLine, `"dev/tpmrm0", which is no attestor`, "/dev/tpmrm0"}}},
		"socket without a name":              {`"soft"`, `"unix:"`, []wrong{{attestorLine, "no attestor", "unix:PATH"}}},
		"host without a port":                {`"soft"`, `"tcp:localhost"`, []wrong{{attestorLine, "no attestor", "tcp:HOST:PORT"}}},
		"register that anybody resets":       {"", "register = 16\n", []wrong{{registerLine, "is 16, which can be reset", "1 to 15"}}},
		"register that there is none":        {"", "register = -1\n", []wrong{{registerLine, "is -1", "1 to 15"}}},
		"register that is the default":       {"", "register = 0\n", []wrong{{registerLine, "is 0", "1 to 15"}}},
		"interval that is not measured":      {"", "[mix]\ninterval = \"10500us\"\n", []wrong{{":12: mix.interval: ", "in whole milliseconds", "duration"}}},
		"no policy key":                      {"policy_key = \"" + testPolicyKey + "\"\n", "", []wrong{{":4: directory.policy_key: ", "is missing", "mixnet policy init"}}},
		"half a policy key":                  {testPolicyKey, testPolicyKey[:32], []wrong{{":6: directory.policy_key: ", "64 hexadecimal digits", "mixnet policy init"}}},
		"policy key of low order":            {testPolicyKey, strings.Repeat("0", 64), []wrong{{":6: directory.policy_key: ", "not a usable", "mixnet policy init"}}},
		"no enrolment":                       {"", "enrolment = \"none.pem\"\n", []wrong{{":11: attestation.enrolment: ", "there is no file", "mixnet node enrol --config "}}},
		"no enrolment in the file":           {"", "enrolment = \"node.key\"\n", []wrong{{":11: attestation.enrolment: ", "is no PEM file with one \"SPHINXMIX ENROLMENT\"", "mixnet node enrol"}}},
		"another attestor than was enrolled": {`"soft"`, `"/dev/tpmrm0"`, []wrong{{":9: attestation.enrolment: ", `is for a soft attestor, and attestation.attestor is "/dev/tpmrm0"`, "mixnet node enrol"}}},
		"key that is gone":                   {"", "key = \"none.key\"\n", []wrong{{":9: attestation.enrolment: ", "there is no file", "backup"}}},
		"another key than was enrolled":      {"", "key = \"node.key\"\n", []wrong{{":9: attestation.enrolment: ", "is for another attestation key", "mixnet node enrol"}}},
		"an exit that was enrolled as a mix": {"", "[exit]\nenabled = true\n", []wrong{{":9: attestation.enrolment: ", "lets this node be: mix, and by exit.enabled it is set up to be: exit", "mixnet node enrol"}}},
	} {
		t.Run(name, func(t *testing.T) {
			text := goodAttested + test.new
			if test.old != "" {
				require.Contains(t, goodAttested, test.old)
				text = strings.Replace(goodAttested, test.old, test.new, 1)
			}
			file := writeAttested(t, text, nil)
			_, err := loadNode(file)
			requireErrors(t, file, err, test.want)
		})
	}
	for name, test := range map[string]struct {
		change func(*tao.Record)
		want   wrong
	}{
		"enrolment that has expired": {
			func(r *tao.Record) { r.Expires = time.Now() },
			wrong{":9: attestation.enrolment: ", "was good until ", "mixnet node enrol"},
		},
		"enrolment of another node": {
			func(r *tao.Record) { r.Identity = testPolicy.Public().(ed25519.PublicKey) },
			wrong{":9: attestation.enrolment: ", "is for another node, whose identity is " + testPolicyKey, "mixnet node enrol"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := writeAttested(t, goodAttested, test.change)
			_, err := loadNode(file)
			requireErrors(t, file, err, []wrong{test.want})
			_, err = loadUnenrolled(file)
			require.NoError(t, err, "it can be enrolled once more")
		})
	}
	_, err := loadNode(writeAttested(t, goodAttested, nil))
	require.NoError(t, err)
}

// TestEnrollingMakesTheSoftKey once, and running never: a new one would not be the one that was enrolled.
func TestEnrollingMakesTheSoftKey(t *testing.T) {
	file := writeConfig(t, goodAttested)
	_, err := loadNode(file)
	requireErrors(t, file, err, []wrong{{":9: attestation.enrolment: ", "there is no file", "mixnet node enrol --config " + file}})
	loaded, err := loadUnenrolled(file)
	require.NoError(t, err)
	first, device, err := loaded.openAttestor()
	require.NoError(t, err)
	require.Nil(t, device)
	require.Equal(t, tao.Soft, first.Kind())
	second, _, err := loaded.openAttestor()
	require.NoError(t, err)
	require.Equal(t, first.Key(), second.Key())

	enrol(t, file, nobody)
	loaded, err = loadNode(file)
	require.NoError(t, err)
	prover, end, err := loaded.openProver()
	require.NoError(t, err)
	end()
	require.Equal(t, first.Key(), prover.Record().Key)

	require.NoError(t, os.Remove(filepath.Join(filepath.Dir(file), "attestation.key")))
	_, _, err = loaded.openProver()
	require.ErrorContains(t, err, "attestation.key: there is no file")
	require.NoFileExists(t, filepath.Join(filepath.Dir(file), "attestation.key"))
}

// TestInitOfAnAttestedNetwork: what init says and makes leads from the directory to a node that is to be enrolled.
func TestInitOfAnAttestedNetwork(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made")
	printed, err := run(t, "", "init", "directory", "--dir", dir, "--url", "http://a:1", "--policy-key", testPolicyKey)
	require.NoError(t, err)
	require.Contains(t, printed, "\n  policy_key = \""+testPolicyKey+"\"\n")
	require.Contains(t, printed, "  put the policy that 'mixnet policy sign' makes at "+filepath.Join(dir, "policy.signed")+"\n")
	_, err = loadDirectory(filepath.Join(dir, "directory.toml"))
	require.ErrorContains(t, err, "policy.file: there is no file")
	writePEM(t, filepath.Join(dir, "policy.signed"), policyBlock, signPolicy(t, 1, time.Hour, nil))
	served, err := loadDirectory(filepath.Join(dir, "directory.toml"))
	require.NoError(t, err)
	require.Equal(t, attestedEpoch, served.settings.network.Epoch, "an attested machine must not be started anew every other week")
	other := filepath.Join(t.TempDir(), "other")
	again, err := run(t, "", "init", "directory", "--dir", other, "--policy-key", testPolicyKey, "--policy", filepath.Join(dir, "policy.signed"))
	require.NoError(t, err)
	require.NotContains(t, again, "put the policy")
	_, err = loadDirectory(filepath.Join(other, "directory.toml"))
	require.NoError(t, err)

	_, command, found := strings.Cut(printed, "\n  mixnet init node ")
	require.True(t, found, printed)
	config := filepath.Join(t.TempDir(), "node", "node.toml")
	arguments := append([]string{"init", "node", "--dir", filepath.Dir(config)}, strings.Fields(command)...)
	printed, err = run(t, "", arguments...)
	require.NoError(t, err)
	require.Contains(t, printed, "Next:\n  mixnet node enrol --config "+config+"\n")
	require.Contains(t, printed, "  mixnet node enrol --config "+config+" --grant grant.pem\n  mixnet node --config "+config+" --check\n")
	loaded, err := loadUnenrolled(config)
	require.NoError(t, err)
	require.Equal(t, "/dev/tpmrm0", loaded.settings.attestation.attestor)
	require.Equal(t, testPolicyKey, loaded.settings.directory.policyKey)

	printed, err = run(t, "", "init", "node", "--dir", filepath.Join(t.TempDir(), "node"), "--attestor", "soft")
	require.NoError(t, err)
	require.Contains(t, printed, "directory.policy_key into")
}

// TestTPMThatIsNotThere is named, with what can be done about it.
func TestTPMThatIsNotThere(t *testing.T) {
	text := strings.Replace(goodAttested, `"soft"`, `"unix:none.sock"`, 1)
	file := writeAttested(t, text, func(r *tao.Record) { r.Kind = tao.TPM })
	loaded, err := loadNode(file)
	require.NoError(t, err)
	_, _, err = loaded.openProver()
	requireErrors(t, file, err, []wrong{{":10: attestation.attestor: ", filepath.Join(filepath.Dir(file), "none.sock"), "/dev/tpmrm0"}})
}

// signPolicy returns a policy that expires so long from now.
func signPolicy(t *testing.T, version uint64, life time.Duration, change func(*tao.Policy)) []byte {
	t.Helper()
	p := &tao.Policy{
		Version: version, Issued: time.Now().Add(-24 * time.Hour), Expires: time.Now().Add(life), Attestors: []tao.Kind{tao.Soft},
		LogRegister: 14, Minimum: tao.Minimum{Size: 2}, MaxAge: time.Hour,
	}
	if change != nil {
		change(p)
	}
	signed, err := p.Sign(testPolicy)
	require.NoError(t, err)
	return signed
}

func TestEveryErrorOfADirectorysPolicyHasALineAndARemedy(t *testing.T) {
	good := signPolicy(t, 1, time.Hour, nil)
	for name, test := range map[string]struct {
		text   string // after goodDirectory
		signed []byte
		want   []wrong
	}{
		"none":                  {"", nil, nil},
		"good":                  {"[policy]\nkey = \"" + testPolicyKey + "\"\n", good, nil},
		"half a key":            {"[policy]\nkey = \"2e2e\"\n", good, []wrong{{":3: policy.key: ", "64 hexadecimal digits", "mixnet policy init"}}},
		"file without a key":    {"[policy]\nfile = \"other\"\n", good, []wrong{{":3: policy.file: ", "without policy.key", "mixnet policy sign"}}},
		"key without a file":    {"[policy]\nkey = \"" + testPolicyKey + "\"\nfile = \"other\"\n", good, []wrong{{":4: policy.file: ", "there is no file", "mixnet policy sign"}}},
		"key of another policy": {"[policy]\nkey = \"" + strings.Repeat("2e", 32) + "\"\n", good, []wrong{{":2: policy.file: ", "not signed by the policy key", "mixnet policy sign"}}},
		"no policy in the file": {"[policy]\nkey = \"" + testPolicyKey + "\"\nfile = \"node.key\"\n", good, []wrong{{":4: policy.file: ", "is no PEM file with one \"SPHINXMIX POLICY\"", "mixnet policy sign"}}},
		"expired":               {"[policy]\nkey = \"" + testPolicyKey + "\"\n", signPolicy(t, 1, -time.Second, nil), []wrong{{":2: policy.file: ", "it was good until", "mixnet policy sign"}}},
	} {
		t.Run(name, func(t *testing.T) {
			file := writeConfig(t, goodDirectory+test.text)
			writePEM(t, filepath.Join(filepath.Dir(file), "policy.signed"), policyBlock, test.signed)
			loaded, err := loadDirectory(file)
			if test.want != nil {
				requireErrors(t, file, err, test.want)
				return
			}
			require.NoError(t, err)
			require.Equal(t, name == "good", loaded.policy != nil)
			cfg := loaded.config()
			if loaded.policy != nil {
				require.Equal(t, good, cfg.Policy)
				require.Equal(t, testPolicyKey, fmt.Sprintf("%x", cfg.PolicyKey))
			} else {
				require.Nil(t, cfg.PolicyKey)
			}
		})
	}
}
