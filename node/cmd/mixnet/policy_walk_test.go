package main

import (
	"crypto/ed25519"
	"encoding/hex"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/tao"
)

// village is a network as its operators make it by commands: a policy and a directory. Its nodes are not run; what they
// would register, they prove.
type village struct {
	dir       string // of the policy
	policyKey string
	url, key  string // of the directory
	directory *directory.Client
}

// newVillage makes one, with a directory that lists everybody: judging is for explain.
func newVillage(t *testing.T, flags ...string) *village {
	t.Helper()
	v := new(village)
	v.dir, v.policyKey = newPolicy(t, flags...)
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	handler, err := directory.NewServer(directory.ServerConfig{Key: private, Network: localNet})
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	v.url, v.key = server.URL, hex.EncodeToString(public)
	v.directory = &directory.Client{URLs: []string{v.url}, Key: public}
	return v
}

// allowAll allows this program, and how nodes are set up.
func (v *village) allowAll(t *testing.T, config string) {
	t.Helper()
	succeed(t, "policy", "allow", "program", "--dir", v.dir)
	succeed(t, "policy", "allow", "configuration", config, "--dir", v.dir)
}

// addNode makes the configuration of a node with an attestor, and returns its file.
func (v *village) addNode(t *testing.T, attestor string, flags ...string) (config string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "node")
	succeed(t, append([]string{
		"init", "node", "--dir", dir, "--directory", v.url, "--key", v.key, "--policy-key", v.policyKey,
		"--attestor", attestor, "--address", "127.0.0.1:7000",
	}, flags...)...)
	return filepath.Join(dir, "node.toml")
}

// request lets a node ask, and returns the file.
func request(t *testing.T, config string) string {
	t.Helper()
	succeed(t, "node", "enrol", "--config", config)
	return filepath.Join(filepath.Dir(config), "request.pem")
}

// enrol lets a node ask, be granted and take that, and returns what the authority was told.
func (v *village) enrol(t *testing.T, config string, flags ...string) (said string) {
	t.Helper()
	asked := request(t, config)
	said = succeed(t, append([]string{"policy", "enrol", asked, "--dir", v.dir}, flags...)...)
	succeed(t, "node", "enrol", "--config", config, "--grant", filepath.Join(filepath.Dir(asked), "grant.pem"))
	return said
}

// descriptor returns what a node would register now, which change may change before it is signed, and the node's id.
func (v *village) descriptor(t *testing.T, config string, change func(*directory.Descriptor)) ([]byte, directory.NodeID) {
	t.Helper()
	l, err := loadNode(config)
	require.NoError(t, err)
	prover, end, err := l.openProver()
	require.NoError(t, err)
	defer end()
	view, err := v.directory.Fetch(t.Context())
	require.NoError(t, err)
	epoch := localNet.EpochAt(time.Now())
	d := directory.Descriptor{
		Address:  l.settings.address,
		Identity: l.identity.Public().(ed25519.PublicKey),
		Keys:     []directory.EpochKey{{Epoch: epoch, Key: [32]byte{9, byte(epoch)}}},
		Services: []string{"echo"},
		Network:  localNet.Hash(),
		Version:  uint64(time.Now().UnixMilli()),
		Expires:  time.Now().Add(time.Hour),
	}
	subject := directory.SubjectOf(&d, v.directory.Key)
	d.Evidence, err = prover.Attest(tao.Statement{
		Identity: subject.Identity, Role: subject.Role, Keys: subject.Keys,
		Configuration: node.Configuration(l.config(localNet)), Stamp: view.Stamp,
	}, signedIn(t, v.dir))
	require.NoError(t, err)
	if change != nil {
		change(&d)
	}
	signed, err := directory.SignDescriptor(l.identity, d)
	require.NoError(t, err)
	return signed, d.ID()
}

// register registers what a node would.
func (v *village) register(t *testing.T, config string, change func(*directory.Descriptor)) directory.NodeID {
	t.Helper()
	signed, id := v.descriptor(t, config, change)
	require.NoError(t, v.directory.Register(t.Context(), signed))
	return id
}

// explain judges the village by the policy that was signed last.
func (v *village) explain(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	return run(t, "", append([]string{
		"policy", "explain", "--directory", v.url, "--key", v.key, "--policy-key", v.policyKey,
		"--policy", filepath.Join(v.dir, signedPolicyFile),
	}, arguments...)...)
}

// TestFromNothingToTrust is the whole way, of the authority and of a node's operator.
func TestFromNothingToTrust(t *testing.T) {
	began := time.Now()
	v := newVillage(t, "--soft")
	config := v.addNode(t, "soft")
	v.allowAll(t, config)
	said := v.enrol(t, config)
	id := v.register(t, config, nil)

	require.Contains(t, said, "node             "+id.String())
	require.Contains(t, said, "Enrolled node "+id.String()+" to be: mix, until ")
	require.Contains(t, said, "Nobody vouches for its machine.")
	require.Contains(t, said, "counts after the policy has been signed")
	require.Contains(t, succeed(t, "policy", "show", filepath.Join(filepath.Dir(config), "enrolment.pem")), id.String())

	said, err := v.explain(t)
	require.NoError(t, err)
	require.NotContains(t, said, "✗")
	require.Equal(t, 22, strings.Count(said, "✓"), said)
	require.Regexp(t, `(?m)^node `+id.String()+` at 127.0.0.1:7000, mix$`, said)
	listed, err := v.directory.Fetch(t.Context())
	require.NoError(t, err)
	accepted := regexp.MustCompile(`(?m)^ACCEPTED for (\S+), until (\S+)$`).FindStringSubmatch(said)
	require.NotNil(t, accepted, said)
	lapse, err := time.ParseDuration(accepted[1])
	require.NoError(t, err)
	require.Equal(t, listed.Nodes[0].Expires.Format(time.RFC3339), accepted[2])
	require.WithinRange(t, listed.Nodes[0].Expires.Add(-lapse), began.Add(-time.Second), time.Now().Add(time.Second))

	// As an exit it was not enrolled.
	v.register(t, config, func(d *directory.Descriptor) { d.Services = []string{"tcp"} })
	said, err = v.explain(t, id.String())
	require.ErrorIs(t, err, errReported)
	require.Regexp(t, `(?m)^  ✗ role `, said)
	require.Regexp(t, `(?m)^REFUSED: `, said)

	week := func() string { return time.Now().Add(7 * 24 * time.Hour).UTC().Format(time.DateOnly) }
	from := week()
	said = v.enrol(t, config, "--days", "7")
	require.Regexp(t, "until ("+from+"|"+week()+")", said)
	require.Len(t, nodesIn(t, v.dir), 1, "enrolled once more, it is one node still")
}

func nodesIn(t *testing.T, dir string) []enrolledNode {
	t.Helper()
	a := &authority{dir: dir}
	require.NoError(t, a.readNodes())
	return a.nodes
}
