package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
	"sphinxmix.example/tao/swtpm"
)

// computer is a machine with a TPM, which programs reach through a socket.
type computer struct {
	*swtpm.TPM
	address string // as configurations name it
}

func newComputer(t *testing.T) *computer {
	t.Helper()
	needTPMs(t)
	machine, err := swtpm.Start(t.TempDir())
	require.NoError(t, err)
	socket := socketName(t)
	listener, err := net.Listen("unix", socket)
	require.NoError(t, err)
	t.Cleanup(func() {
		listener.Close()
		require.NoError(t, machine.Close())
	})
	c := &computer{machine, "unix:" + socket}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go c.serve(conn)
		}
	}()
	return c
}

// socketName returns a name for a socket, which has 107 bytes at most: in a folder that is not called as the test is.
func socketName(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "tpm")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(folder) })
	return filepath.Join(folder, "tpm")
}

// serve hands the commands of a connection to the TPM.
func (c *computer) serve(conn net.Conn) {
	defer conn.Close()
	for {
		command := make([]byte, 10, 4096)
		if _, err := io.ReadFull(conn, command); err != nil {
			return
		}
		command = command[:min(binary.BigEndian.Uint32(command[2:]), 4096)]
		if _, err := io.ReadFull(conn, command[10:]); err != nil {
			return
		}
		response, err := c.Device().Send(command)
		if err != nil {
			return
		}
		if _, err := conn.Write(response); err != nil {
			return
		}
	}
}

// extend measures something into a register.
func (c *computer) extend(t *testing.T, register uint8) {
	t.Helper()
	attestor, err := c.Device().Attestor()
	require.NoError(t, err)
	require.NoError(t, attestor.Extend(register, [32]byte{1}))
}

// endorsement returns the hash of the TPM's endorsement key.
func (c *computer) endorsement(t *testing.T) string {
	t.Helper()
	e, err := c.Device().Endorsement()
	require.NoError(t, err)
	hash, err := tao.EndorsementHash(e.Public)
	require.NoError(t, err)
	return digest(hash).String()
}

// TestEnrolTPM is the whole way with a TPM that its maker vouches for, and what is refused on it.
func TestEnrolTPM(t *testing.T) {
	machine, stranger := newComputer(t), newComputer(t)
	factory, err := swtpm.NewFactory(time.Now())
	require.NoError(t, err)
	require.NoError(t, factory.Certify(machine.Device()))
	root := filepath.Join(t.TempDir(), "maker.pem")
	require.NoError(t, os.WriteFile(root, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: factory.Root().Raw}), 0o600))

	v := newVillage(t)
	config := v.addNode(t, machine.address)
	v.allowAll(t, config)
	printed := succeed(t, "node", "enrol", "--config", config)
	require.Contains(t, printed, machine.endorsement(t))
	require.Regexp(t, `(?m)^certificate +.*, by CN=Factory of software TPMs`, printed)
	require.Regexp(t, `(?m)^register 14 +0{64}$`, printed)
	require.NotContains(t, printed, "Something else")
	asked := filepath.Join(filepath.Dir(config), "request.pem")
	require.True(t, strings.HasPrefix(printed, succeed(t, "policy", "show", asked)), "both sides see the same")

	enrol := []string{"policy", "enrol", asked, "--dir", v.dir}
	refused(t, "mixnet policy allow root", enrol...)
	succeed(t, "policy", "allow", "root", root, "--dir", v.dir)
	require.Contains(t, succeed(t, enrol...), "Its TPM is one of CN=Factory of software TPMs")

	// Nobody but this TPM opens the grant.
	elsewhere := v.addNode(t, stranger.address)
	refused(t, "does not open the grant", "node", "enrol", "--config", elsewhere, "--grant", grantFor(asked))
	soft := v.addNode(t, "soft")
	refused(t, "here is no TPM", "node", "enrol", "--config", soft, "--grant", grantFor(asked))
	succeed(t, "node", "enrol", "--config", config, "--grant", grantFor(asked))

	id := v.register(t, config, nil)
	said, err := v.explain(t)
	require.NoError(t, err, said)
	require.Regexp(t, `(?m)^  ✓ root .* vouches for the TPM `+machine.endorsement(t), said)
	require.Regexp(t, `(?m)^    SHA-256 of its TPM +`+machine.endorsement(t), said)
	require.NoError(t, machine.Reboot())
	v.register(t, config, nil)
	said, err = v.explain(t)
	require.NoError(t, err, said)
	require.Regexp(t, `(?m)^  ✓ clock +start 2 of the machine`, said)

	// This TPM is a node already, whichever key that has.
	second := v.addNode(t, machine.address)
	refused(t, "this TPM is that of node "+id.String(), "policy", "enrol", request(t, second), "--dir", v.dir)

	// Without a certificate a TPM is trusted by its hash, or not at all.
	refused(t, "it has no certificate", "policy", "enrol", request(t, elsewhere), "--dir", v.dir)
	succeed(t, "policy", "allow", "tpm", stranger.endorsement(t), "--name", "rack 3", "--dir", v.dir)
	require.Contains(t, v.enrol(t, elsewhere), "Its TPM is trusted by its hash (rack 3).")

	// The first node moves to a new machine: the old one is revoked by that.
	require.Contains(t, succeed(t, "policy", "revoke", nodesIn(t, v.dir)[1].Node.String(), "--dir", v.dir), stranger.endorsement(t))
	edit(t, config, `attestor = "`+stranger.address+`"`)
	refused(t, "is revoked", "policy", "enrol", request(t, config), "--dir", v.dir)
	succeed(t, "policy", "revoke", stranger.endorsement(t), "--remove", "--dir", v.dir)
	succeed(t, "policy", "revoke", nodesIn(t, v.dir)[1].Key.String(), "--remove", "--dir", v.dir)
	refused(t, "enrolled with another machine", "policy", "enrol", request(t, config), "--dir", v.dir)
	require.Contains(t, v.enrol(t, config, "--replace"), "Revoked the TPM of node "+id.String()+": "+machine.endorsement(t))
	said, err = v.explain(t)
	require.NoError(t, err, "not in force yet: %s", said)
	signedIn(t, v.dir)
	said, err = v.explain(t)
	require.ErrorIs(t, err, errReported)
	require.Regexp(t, `(?m)^  ✗ revocations +revoked: the attestation key`, said)
}

// TestHostileRequestCannotCommandTheTerminal: what it says stands in certificates, and in errors about them.
func TestHostileRequestCannotCommandTheTerminal(t *testing.T) {
	machine := newComputer(t)
	v := newVillage(t)
	l, err := loadUnenrolled(v.addNode(t, machine.address))
	require.NoError(t, err)
	attestor, err := machine.Device().Attestor()
	require.NoError(t, err)
	endorsement, err := machine.Device().Endorsement()
	require.NoError(t, err)
	public, err := tpm2.Unmarshal[tpm2.TPMTPublic](endorsement.Public)
	require.NoError(t, err)
	certified, err := tpm2.Pub(*public)
	require.NoError(t, err)
	_, signer, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	hostile, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), UnknownExtKeyUsage: []asn1.ObjectIdentifier{{2, 23, 133, 8, 1}},
	}, &x509.Certificate{Subject: pkix.Name{CommonName: "Maker \x1b[2J\r\n\u202e"}}, certified, signer)
	require.NoError(t, err)
	for _, certificate := range [][]byte{hostile, []byte("\x1b[2J")} {
		endorsement.Certificates = [][]byte{certificate}
		signed, err := tao.NewRequest(l.identity, attestor, endorsement, tao.RolesOf(tao.Mix), []uint8{14})
		require.NoError(t, err)
		asked := filepath.Join(t.TempDir(), "request.pem")
		require.NoError(t, writeBlock(asked, requestBlock, signed, 0o600))
		said := succeed(t, "policy", "show", asked, "--dir", v.dir)
		require.Regexp(t, `(?m)^certificate `, said)
		_, err = run(t, "", "policy", "enrol", asked, "--dir", v.dir)
		require.ErrorContains(t, err, "no root of the policy vouches for this TPM")
		require.Equal(t, bytes.Equal(certificate, hostile), strings.Contains(err.Error(), "authority that is no root: CN=Maker"), err)
		for _, text := range []string{said, err.Error()} {
			require.NotContains(t, text, "\x1b")
			require.NotContains(t, text, "\r")
			require.NotContains(t, text, "\u202e")
		}
	}
}

// TestRegistersOfAMachine: those that the policy asks for must have its values, and the node's own may have started at
// another one than zero, which the node's operator is told.
func TestRegistersOfAMachine(t *testing.T) {
	machine := newComputer(t)
	machine.extend(t, 7)
	machine.extend(t, 14)
	v := newVillage(t)
	config := v.addNode(t, machine.address)
	v.allowAll(t, config)
	printed := succeed(t, "node", "enrol", "--config", config)
	advised := regexp.MustCompile(`mixnet (policy allow register 14=[0-9a-f]{64})`).FindStringSubmatch(printed)
	require.NotNil(t, advised, printed)
	platform := regexp.MustCompile(`(?m)^register 7 +([0-9a-f]{64})$`).FindStringSubmatch(printed)
	require.NotNil(t, platform, printed)

	succeed(t, "policy", "allow", "tpm", machine.endorsement(t), "--dir", v.dir)
	v.enrol(t, config)
	succeed(t, append(strings.Fields(advised[1]), "--dir", v.dir)...)
	succeed(t, "policy", "allow", "register", "7="+platform[1], "--dir", v.dir)
	v.register(t, config, nil)
	said, err := v.explain(t)
	require.NoError(t, err, said)
	require.Regexp(t, `(?m)^  ✓ platform +registers 7 have allowed values`, said)

	machine.extend(t, 7)
	v.register(t, config, nil)
	said, err = v.explain(t)
	require.ErrorIs(t, err, errReported)
	require.Regexp(t, `(?m)^  ✗ platform +.* 7 has the value`, said)
	require.Equal(t, 1, strings.Count(said, "✗"), said)

	succeed(t, "policy", "allow", "register", "14", "--remove", "--dir", v.dir)
	succeed(t, "policy", "allow", "register", "7", "--remove", "--dir", v.dir)
	v.register(t, config, nil)
	said, err = v.explain(t)
	require.ErrorIs(t, err, errReported)
	require.Regexp(t, `(?m)^  ✗ log `, said)
	require.NotContains(t, succeed(t, "node", "enrol", "--config", config), "Something else", "the node itself has measured by now")
}
