package tao_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
	"sphinxmix.example/tao/swtpm"
)

// tools runs programs of tpm2-tools in a folder of the test's own.
type tools struct {
	t      *testing.T
	folder string
	env    []string
}

// newTools skips the test where no tools are named: .ci/interop brings them.
func newTools(t *testing.T) *tools {
	t.Helper()
	if os.Getenv("TPM2_TOOLS") == "" {
		t.Skip("TPM2_TOOLS does not name the folder of tpm2-tools: run .ci/interop")
	}
	return &tools{t, t.TempDir(), os.Environ()}
}

func (ts *tools) try(tool string, args ...string) error {
	cmd := exec.Command(filepath.Join(os.Getenv("TPM2_TOOLS"), tool), args...)
	cmd.Dir, cmd.Env = ts.folder, ts.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", tool, err, out)
	}
	return nil
}

func (ts *tools) run(tool string, args ...string) {
	ts.t.Helper()
	require.NoError(ts.t, ts.try(tool, args...))
}

func (ts *tools) write(name string, content []byte) {
	ts.t.Helper()
	require.NoError(ts.t, os.WriteFile(filepath.Join(ts.folder, name), content, 0o600))
}

func (ts *tools) read(name string) []byte {
	ts.t.Helper()
	content, err := os.ReadFile(filepath.Join(ts.folder, name))
	require.NoError(ts.t, err)
	return content
}

// TestInteropTheirToolsAcceptOurQuote has tpm2_checkquote judge what a node of ours would show.
func TestInteropTheirToolsAcceptOurQuote(t *testing.T) {
	ts := newTools(t)
	machine, err := swtpm.Start(t.TempDir())
	require.NoError(t, err)
	defer machine.Close()
	attestor, err := machine.Device().Attestor()
	require.NoError(t, err)

	digest := [32]byte{1, 2, 3}
	require.NoError(t, attestor.Extend(14, digest))
	quote, err := attestor.Quote([32]byte{0xaa, 31: 0xbb}, []uint8{7, 14})
	require.NoError(t, err)
	var values []byte
	for _, register := range []uint8{7, 14} {
		value, err := attestor.Read(register)
		require.NoError(t, err)
		values = append(values, value[:]...)
	}
	public, err := tpm2.Unmarshal[tpm2.TPMTPublic](attestor.Key())
	require.NoError(t, err)
	key, err := tpm2.Pub(*public)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(key)
	require.NoError(t, err)
	ts.write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	ts.write("message", quote.Statement)
	ts.write("signature", quote.Signature)
	ts.write("values", values)

	check := func(qualification string, registers string) error {
		return ts.try("tpm2_checkquote", "-u", "key.pem", "-m", "message", "-s", "signature", "-g", "sha256",
			"-f", "values", "-l", "sha256:"+registers, "-q", qualification)
	}
	qualification := "aa" + fmt.Sprintf("%060d", 0) + "bb"
	require.NoError(t, check(qualification, "7,14"))
	require.Error(t, check("ab"+qualification[2:], "7,14"), "their tool accepts everything")
	values[0] ^= 1
	ts.write("values", values)
	require.Error(t, check(qualification, "7,14"), "their tool does not look at values")
}

// TestInteropOurVerifierAcceptsTheirQuote has our policy judge evidence about a TPM that only their tools have touched.
func TestInteropOurVerifierAcceptsTheirQuote(t *testing.T) {
	ts := newTools(t)
	ts.startTPM()
	ts.run("tpm2_createprimary", "-C", "e", "-G", "ecc256:ecdsa-sha256:null", "-c", "key.ctx",
		"-a", "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign")
	ts.run("tpm2_readpublic", "-c", "key.ctx", "-f", "tss", "-o", "key.tss")
	key := ts.read("key.tss")[2:] // without the size of TPM2B_PUBLIC
	require.NoError(t, tao.CheckAttestationKey(key))

	now := time.Unix(1e9, 0).UTC()
	policyKey := ed25519.NewKeyFromSeed(make([]byte, 32))
	node := ed25519.NewKeyFromSeed([]byte("the identity of the node in here"))
	configuration := tao.Configuration{Strategy: tao.Threshold, Size: 8, Interval: time.Second}
	record := tao.Record{
		Identity: node.Public().(ed25519.PublicKey), Kind: tao.TPM, Key: key, Root: [32]byte{1}, Roles: tao.RolesOf(tao.Mix),
		Issued: now, Expires: now.Add(time.Hour),
	}
	signed, err := record.Sign(policyKey)
	require.NoError(t, err)
	keys := []tao.EpochKey{{Epoch: 5, Key: [32]byte{9}}}
	evidence := tao.Evidence{
		Kind: tao.TPM, Record: signed, Configuration: configuration, Stamp: []byte("stamp"), LogRegister: 14,
		Log: tao.EventLog{
			{Kind: tao.ProgramStarted, Digest: [32]byte{7}},
			{Kind: tao.Configured, Digest: configuration.Digest()},
			{Kind: tao.KeyMade, Epoch: keys[0].Epoch, Digest: keys[0].Key},
		},
	}
	for i := range evidence.Log {
		digest := evidence.Log[i].Measure()
		ts.run("tpm2_pcrextend", "14:sha256="+hex.EncodeToString(digest[:]))
	}
	claim := tao.Claim{
		Identity: record.Identity, Role: tao.Mix, Keys: keys,
		Configuration: configuration.Digest(), Stamp: tao.StampDigest(evidence.Stamp),
	}
	digest := claim.Digest()
	ts.run("tpm2_quote", "-c", "key.ctx", "-l", "sha256:14", "-q", hex.EncodeToString(digest[:]), "-g", "sha256",
		"-m", "message", "-s", "signature")
	ts.run("tpm2_pcrread", "sha256:14", "-o", "values")
	evidence.Quote = tao.Quote{Statement: ts.read("message"), Signature: ts.read("signature")}
	evidence.Registers = []tao.Register{{Index: 14, Value: [32]byte(ts.read("values"))}}

	draft := tao.Policy{
		Version: 1, Issued: now, Expires: now.Add(time.Hour),
		Attestors: []tao.Kind{tao.TPM}, Roots: [][32]byte{record.Root}, LogRegister: 14, MaxAge: time.Hour,
		Programs: []tao.Allowed{{Digest: [32]byte{7}, Roles: tao.RolesOf(tao.Mix)}},
		Settings: []tao.Allowed{{Digest: configuration.Digest(), Roles: tao.RolesOf(tao.Mix)}},
		Minimum:  tao.Minimum{Size: 2},
	}
	b, err := draft.Sign(policyKey)
	require.NoError(t, err)
	policy, err := tao.ParsePolicy(b, policyKey.Public().(ed25519.PublicKey))
	require.NoError(t, err)
	subject := &tao.Subject{
		Identity: record.Identity, Role: tao.Mix, Keys: keys,
		Stamped: func([]byte) (time.Time, error) { return now, nil },
	}
	shown, err := evidence.Encode()
	require.NoError(t, err)
	verdict, err := policy.Verify(shown, subject, now)
	require.NoError(t, err)
	require.NotZero(t, verdict.Clock)

	subject.Keys = []tao.EpochKey{{Epoch: 5, Key: [32]byte{8}}}
	_, err = policy.Verify(shown, subject, now)
	require.ErrorIs(t, err, tao.ErrClaim)
}

// startTPM starts a software TPM on two ports of loopback, where their tools find it.
func (ts *tools) startTPM() {
	ts.t.Helper()
	for range 20 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(ts.t, err)
		port := listener.Addr().(*net.TCPAddr).Port
		listener.Close()
		cmd := exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+ts.t.TempDir(), "--flags", "not-need-init,startup-clear",
			"--server", fmt.Sprintf("type=tcp,port=%d", port), "--ctrl", fmt.Sprintf("type=tcp,port=%d", port+1))
		require.NoError(ts.t, cmd.Start())
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		ts.env = append(os.Environ(), fmt.Sprintf("TPM2TOOLS_TCTI=swtpm:host=127.0.0.1,port=%d", port))
		for range 100 {
			if err = ts.try("tpm2_getcap", "properties-fixed"); err == nil {
				ts.t.Cleanup(func() { cmd.Process.Kill(); <-ended })
				return
			}
			select {
			case <-ended:
				err = errors.New("swtpm has ended")
			case <-time.After(50 * time.Millisecond):
				continue
			}
			break
		}
		ts.t.Logf("trying other ports: %v", err)
	}
	ts.t.Fatal("no software TPM")
}
