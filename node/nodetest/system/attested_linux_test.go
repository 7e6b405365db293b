package system_test

import (
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/tao/swtpm"
	"sphinxmix.example/tao/tpm"
)

// attested is a network with a policy, which its operators have made by the commands that they have: each node has a TPM of
// its own, a process beside it.
type attested struct {
	*network
	policy    string // folder of the authority
	policyKey string // hexadecimal
	factory   *swtpm.Factory
}

// machine is a node with its TPM.
type machine struct {
	*mix
	tpm    *process
	folder string // of the TPM
}

// startAttested starts a network of so many nodes, all of which but the last are enrolled and allowed, and waits until they
// serve.
func startAttested(t *testing.T, nodes int) (*attested, []*machine) {
	t.Helper()
	skipIfLeft(t)
	if err := swtpm.Found(); err != nil && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	n := &network{t: t, folder: t.TempDir(), number: int(networks.Add(1) - 1), port: freePort(t)}
	a := &attested{network: n, policy: filepath.Join(n.folder, "policy")}
	var err error
	a.factory, err = swtpm.NewFactory(time.Now())
	require.NoError(t, err)
	a.policyKey = newPolicy(t, a.policy, a.factory)

	at := fmt.Sprintf("%s:%d", n.host(0), n.port)
	folder := filepath.Join(n.folder, "directory")
	signed := filepath.Join(a.policy, "policy.signed")
	said := run(t, "init", "directory", "--dir", folder, "--listen", at, "--url", "http://"+at, "--policy-key", a.policyKey, "--policy", signed)
	key := regexp.MustCompile(`\n  key = "([0-9a-f]{64})"`).FindStringSubmatch(said)
	require.NotNil(t, key, said)
	n.key, _ = hex.DecodeString(key[1])

	var all []*machine
	for i := range nodes {
		m := a.newMachine(i, settings{"mix.interval": `"500ms"`})
		a.enrol(m, a.policy)
		all = append(all, m)
	}
	run(t, "policy", "allow", "program", mixnet, "--name", "under test", "--dir", a.policy)
	run(t, "policy", "allow", "configuration", all[0].config, "--directory-toml", filepath.Join(folder, "directory.toml"), "--dir", a.policy)
	run(t, "policy", "sign", "--dir", a.policy)
	n.directory = newProcess(t, "directory", n.folder)
	n.directory.start(exec.Command(mixnet, "directory", "--config", filepath.Join(folder, "directory.toml")))
	for _, m := range all {
		m.start()
		n.nodes = append(n.nodes, m.mix)
	}
	n.settle(nodes)
	return a, all
}

// newPolicy makes an authority that trusts a factory's TPMs, and returns its key.
func newPolicy(t *testing.T, folder string, f *swtpm.Factory) string {
	t.Helper()
	said := run(t, "policy", "init", "--dir", folder)
	key := regexp.MustCompile(`[0-9a-f]{64}`).FindString(said)
	require.NotEmpty(t, key, said)
	root := filepath.Join(folder, "factory.pem")
	require.NoError(t, os.WriteFile(root, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Root().Raw}), 0o600))
	run(t, "policy", "allow", "root", root, "--dir", folder)
	return key
}

// newMachine makes the configuration of a node, and starts its TPM, new from the factory.
func (a *attested) newMachine(i int, s settings) *machine {
	a.t.Helper()
	name := fmt.Sprintf("node%d", i)
	m := &machine{folder: filepath.Join(a.network.folder, name+"-tpm")}
	m.tpm = newProcess(a.t, name+"-tpm", a.network.folder)
	require.NoError(a.t, os.Mkdir(m.folder, 0o700))
	m.startTPM()
	device, err := tpm.Open("unix:" + m.socket())
	require.NoError(a.t, err)
	require.NoError(a.t, a.factory.Certify(device))
	require.NoError(a.t, device.Close())
	m.mix = a.prepareMix(i, s, "--policy-key", a.policyKey, "--attestor", "unix:"+m.socket())
	return m
}

func (m *machine) socket() string { return filepath.Join(m.folder, "s") }

// startTPM turns the TPM on, or turns it off and on again.
func (m *machine) startTPM() {
	m.tpm.t.Helper()
	m.tpm.kill()
	_ = os.Remove(m.socket())
	m.tpm.start(exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+m.folder, "--flags", "not-need-init",
		"--server", "type=unixio,path="+m.socket(), "--ctrl", "type=unixio,path="+filepath.Join(m.folder, "c")))
	await(m.tpm.t, "the TPM runs", func() bool { // its socket is there a moment before it listens
		require.True(m.tpm.t, m.tpm.runs(), "%s ended", m.tpm.name)
		conn, err := net.Dial("unix", m.socket())
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// enrol has an authority let the machine in, as its operator and the authority's do it.
func (a *attested) enrol(m *machine, authority string) {
	a.t.Helper()
	run(a.t, "node", "enrol", "--config", m.config)
	request := filepath.Join(filepath.Dir(m.config), "request.pem")
	run(a.t, "policy", "enrol", request, "--dir", authority)
	run(a.t, "node", "enrol", "--config", m.config, "--grant", filepath.Join(filepath.Dir(m.config), "grant.pem"))
	require.Equal(a.t, "ok\n", run(a.t, "node", "--config", m.config, "--check"))
}

// send sends a message through the network, as somebody who trusts the policy key alone.
func (a *attested) send(message string) string {
	a.t.Helper()
	return run(a.t, "send", "--directory", a.url(), "--key", hex.EncodeToString(a.key), "--policy-key", a.policyKey, message)
}

// trusted returns the view of somebody who has the policy key.
func (a *attested) trusted() *directory.View {
	a.t.Helper()
	c := a.client()
	c.Policy, _ = hex.DecodeString(a.policyKey)
	view, err := c.Fetch(a.t.Context())
	require.NoError(a.t, err)
	require.Empty(a.t, view.Refused, "the directory lists what its policy refuses")
	return view
}

// TestAttestedNetwork: six nodes, each with a TPM of its own that was enrolled by activation, carry messages; others that
// differ in one thing are refused; and a node comes back after a crash, and after its machine was started anew.
func TestAttestedNetwork(t *testing.T) {
	a, all := startAttested(t, 6)
	require.Equal(t, "hello", strings.TrimSpace(a.send("hello")))
	explained := run(t, "policy", "explain", "--directory", a.url(), "--key", hex.EncodeToString(a.key), "--policy-key", a.policyKey)
	require.NotContains(t, explained, "✗")
	require.Equal(t, 6, strings.Count(explained, "by the attestation key that was enrolled"), explained)

	t.Run("rogues", func(t *testing.T) { a.testRogues(t) })

	restarted := time.Now()
	// A crash leaves the log where it was, a restart of the machine begins a new one.
	all[0].crashAndStart()
	all[1].kill()
	all[1].startTPM()
	all[1].mix.start()
	a.settle(6)
	for _, m := range all[:2] {
		id := m.mustStats().Node
		await(t, m.name+" is trusted with new keys", func() bool {
			d, listed := a.trusted().Node(id)
			return listed && d.Version > uint64(restarted.UnixMilli())
		})
	}
	require.Equal(t, "again", strings.TrimSpace(a.send("again")))

	revoked := all[5].mustStats().Node
	run(t, "policy", "revoke", revoked.String(), "--dir", a.policy)
	run(t, "policy", "sign", "--dir", a.policy)
	signed := time.Now()
	a.nodes = a.nodes[:5]
	a.settle(5)
	t.Logf("a revoked node is out of all nodes' views %.1f s after its revocation was signed", time.Since(signed).Seconds())
	_, listed := a.trusted().Node(revoked)
	require.False(t, listed)
	require.Equal(t, "without it", strings.TrimSpace(a.send("without it")))
}

// testRogues starts nodes beside a network that is served already, and wants each refused by its own rule.
func (a *attested) testRogues(t *testing.T) {
	other := filepath.Join(a.network.folder, "other-policy")
	newPolicy(t, other, a.factory)
	changed := filepath.Join(a.network.folder, "changed-mixnet")
	program, err := os.ReadFile(mixnet)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(changed, append(program, 0), 0o700)) // which changes nothing of what it does

	for i, rogue := range []struct {
		name, rule, authority, program string
		settings                       settings
	}{
		{"same code, other policy", "not signed by the policy key", other, mixnet, settings{"mix.interval": `"500ms"`}},
		{"same code, a batch of one", "does not know the configuration", a.policy, mixnet, settings{"mix.interval": `"500ms"`, "mix.size": "1"}},
		{"changed program", "does not know the program", a.policy, changed, settings{"mix.interval": `"500ms"`}},
	} {
		m := a.newMachine(10+i, rogue.settings)
		m.t = t
		a.enrol(m, rogue.authority)
		m.process.start(exec.Command(rogue.program, "node", "--config", m.config))
		await(t, rogue.name+" is refused by the directory", func() bool {
			require.True(t, m.runs(), "%s ended", m.name)
			said := m.said(1 << 20)
			return strings.Contains(said, "does not take this node") && strings.Contains(said, rogue.rule)
		})
		require.Len(t, a.trusted().Nodes, 6, rogue.name)
		for _, honest := range a.nodes {
			require.Equal(t, 6, honest.mustStats().View.Mixes, rogue.name)
		}
		m.kill()
		m.tpm.kill()
	}
}
