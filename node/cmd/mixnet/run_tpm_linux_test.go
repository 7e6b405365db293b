package main

import (
	"crypto/ed25519"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

// startTPM starts a software TPM that listens at a socket, as a chip that its machine always has, and returns how
// configurations name it.
func startTPM(t *testing.T) (address string) {
	t.Helper()
	needTPMs(t)
	socket := socketName(t)
	cmd := exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+t.TempDir(), "--server", "type=unixio,path="+socket, "--flags", "not-need-init")
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	require.Eventually(t, func() bool { // its socket is there a moment before it listens
		conn, err := net.Dial("unix", socket)
		if err == nil {
			conn.Close()
		}
		return err == nil
	}, patience, time.Millisecond)
	return "unix:" + socket
}

// TestNodeWithATPM measures into it, goes on after a restart with the log of what the machine has run, and can have its
// key sealed.
func TestNodeWithATPM(t *testing.T) {
	n := install(t, 1)
	mix := n.nodes[0]
	folder := filepath.Dir(mix.config)
	address := startTPM(t)
	n.policyKey = testPolicyKey
	edit(t, n.directory, "[policy]\nkey = \""+testPolicyKey+"\"")
	edit(t, mix.config, `policy_key = "`+testPolicyKey+`"`, `attestor = "`+address+`"`, `drain = "0s"`)
	var root [32]byte
	enrol(t, mix.config, func(r *tao.Request) tao.Roots {
		hash, err := tao.EndorsementHash(r.Endorsement.Public)
		require.NoError(t, err)
		root = hash
		return tao.Roots{Endorsements: [][32]byte{hash}}
	})
	n.sign(t, 1, func(p *tao.Policy) { p.Attestors, p.Roots = []tao.Kind{tao.TPM}, [][32]byte{root} })
	_, mixes := n.startAll(t)
	require.Regexp(t, `(?m)^attested +tpm, evidence good for`, succeeds(t, "status", "--config", mix.config))
	mixes[0].signal(t, syscall.SIGTERM)
	status, printed := mixes[0].ends(t)
	require.Zero(t, status, printed)

	key := filepath.Join(folder, "node.key")
	before, err := readKey(key)
	require.NoError(t, err)
	status, printed = result(t, "node", "seal", "--config", mix.config, "--no-backup", "--registers", "0")
	require.Zero(t, status, printed)
	require.NoFileExists(t, key)
	edit(t, mix.config, `identity = "node.key.tpm"`)
	again := start(t, "node", "--config", mix.config)
	again.says(t, "node="+mix.id)
	n.awaitMixes(t, mix, 1)
	again.signal(t, syscall.SIGTERM)
	again.ends(t)

	log, err := os.ReadFile(filepath.Join(folder, "measurements"))
	require.NoError(t, err)
	events, err := tao.ParseLog(log[32:]) // after what the register was before
	require.NoError(t, err)
	starts := 0
	for _, e := range events {
		if e.Kind == tao.ProgramStarted {
			starts++
		}
	}
	require.Equal(t, 2, starts)
	loaded, err := loadNode(mix.config)
	require.NoError(t, err)
	require.True(t, before.Equal(loaded.identity))

	edit(t, mix.config, `attestor = "soft"`)
	_, err = loadNode(mix.config)
	require.ErrorContains(t, err, "identity: "+key+".tpm is sealed, and attestation.attestor names no TPM to open it; name the TPM")

	// Something else measures into the same register: nobody could explain what that was.
	edit(t, mix.config, `attestor = "`+address+`"`)
	attestor, device, err := loaded.openAttestor()
	require.NoError(t, err)
	require.NoError(t, attestor.Extend(14, [32]byte{1}))
	require.NoError(t, device.Close())
	status, printed = result(t, "node", "--config", mix.config)
	require.Equal(t, 1, status)
	require.Regexp(t, `node\.toml:\d+: attestation\.log: register 14 has been extended by something that .*: start the machine anew`, printed)
	require.Equal(t, 1, strings.Count(printed, "\n"), printed)
	require.Len(t, before, ed25519.PrivateKeySize)
}
