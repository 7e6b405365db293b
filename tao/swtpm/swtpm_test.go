package swtpm_test

import (
	"bufio"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
	"sphinxmix.example/tao/swtpm"
	"sphinxmix.example/tao/tpm"
)

// need skips a test where there is no software TPM, but not in CI.
func need(t testing.TB) {
	t.Helper()
	if err := swtpm.Found(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

func start(t testing.TB, dir string) *swtpm.TPM {
	t.Helper()
	need(t)
	machine, err := swtpm.Start(dir)
	require.NoError(t, err)
	return machine
}

// state returns what tells a TPM and its restarts from others: its attestation key, register 14, and its clock.
func state(t testing.TB, machine *swtpm.TPM) (key string, register [32]byte, clock tpm2.TPMSClockInfo) {
	t.Helper()
	a, err := machine.Device().Attestor()
	require.NoError(t, err)
	register, err = a.Read(14)
	require.NoError(t, err)
	read, err := tpm2.ReadClock{}.Execute(machine.Device())
	require.NoError(t, err)
	return string(a.Key()), register, read.CurrentTime.ClockInfo
}

func extend(t testing.TB, machine *swtpm.TPM) {
	t.Helper()
	a, err := machine.Device().Attestor()
	require.NoError(t, err)
	require.NoError(t, a.Extend(14, [32]byte{1}))
}

// TestPower: turned off and on in whatever way, a TPM is the same one, with registers at their start and a reset
// counted.
func TestPower(t *testing.T) {
	dir := t.TempDir()
	machine := start(t, dir)
	extend(t, machine)
	key, register, before := state(t, machine)
	require.NotZero(t, register)

	require.NoError(t, machine.Reboot())
	again, register, after := state(t, machine)
	require.Equal(t, key, again)
	require.Zero(t, register)
	require.Equal(t, before.ResetCount+1, after.ResetCount)
	require.True(t, bool(after.Safe), "the machine was turned off in good order")

	extend(t, machine)
	require.NoError(t, machine.Close())
	machine = start(t, dir)
	again, register, after = state(t, machine)
	require.Equal(t, key, again)
	require.Zero(t, register)
	require.Equal(t, before.ResetCount+2, after.ResetCount)
	require.True(t, bool(after.Safe))
	require.NoError(t, machine.Close())

	other := start(t, t.TempDir())
	defer other.Close()
	stranger, _, _ := state(t, other)
	require.NotEqual(t, key, stranger)
}

// TestFolderHasOneTPM: a second one, with the same keys and registers of its own, would be two machines that look like
// one.
func TestFolderHasOneTPM(t *testing.T) {
	dir := t.TempDir()
	machine := start(t, dir)
	defer machine.Close()
	_, err := swtpm.Start(dir)
	require.ErrorContains(t, err, "lock")
	_, _, clock := state(t, machine)
	require.Zero(t, clock.RestartCount)
}

// TestEnd: the device of a machine that is off says so.
func TestEnd(t *testing.T) {
	machine := start(t, t.TempDir())
	a, err := machine.Device().Attestor()
	require.NoError(t, err)
	require.NoError(t, machine.Close())
	_, err = a.Read(14)
	require.ErrorContains(t, err, "closed")
	require.Error(t, machine.Reboot())
}

const childFolder = "SWTPM_TEST_FOLDER"

// TestChild is no test: it is the process that TestEndsWithItsParent kills.
func TestChild(t *testing.T) {
	dir := os.Getenv(childFolder)
	if dir == "" {
		t.Skip("runs in a process of its own")
	}
	machine := start(t, dir)
	extend(t, machine)
	fmt.Println("started")
	_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed
}

// TestEndsWithItsParent: a TPM does not outlive the process that started it, even one that had no time to say so. A
// folder is free when its TPM has ended.
func TestEndsWithItsParent(t *testing.T) {
	need(t)
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestChild$", "-test.v")
	child.Env = append(os.Environ(), childFolder+"="+dir)
	stdin, err := child.StdinPipe()
	require.NoError(t, err)
	defer stdin.Close()
	stdout, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	said := bufio.NewScanner(stdout)
	for said.Scan() && !strings.Contains(said.Text(), "started") {
	}
	_, err = swtpm.Start(dir)
	require.ErrorContains(t, err, "lock")
	require.NoError(t, child.Process.Kill())
	_ = child.Wait()

	var machine *swtpm.TPM
	require.Eventually(t, func() bool {
		machine, err = swtpm.Start(dir)
		return err == nil
	}, time.Minute, time.Millisecond)
	clock, err := tpm2.ReadClock{}.Execute(machine.Device()) // at once: after 4 s a TPM takes its clock for safe again
	require.NoError(t, err)
	require.False(t, bool(clock.CurrentTime.ClockInfo.Safe), "the machine was not turned off in good order")
	_, register, _ := state(t, machine)
	require.Zero(t, register)
	require.NoError(t, machine.Close())
}

// TestFactory: what a maker leaves in its TPM is what enrolment accepts by the root of that maker, and by no other.
func TestFactory(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC)
	factory, err := swtpm.NewFactory(now)
	require.NoError(t, err)
	other, err := swtpm.NewFactory(now)
	require.NoError(t, err)
	_, identity, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	terms := tao.Terms{Roles: tao.RolesOf(tao.Mix), Issued: now, Expires: now.Add(time.Hour)}

	for name, certify := range map[string]func(*tpm.Device) error{
		"P-256": factory.Certify,
		"RSA":   factory.CertifyRSA,
		"P-256, certified before": func(d *tpm.Device) error {
			return errors.Join(other.Certify(d), factory.Certify(d))
		},
	} {
		t.Run(name, func(t *testing.T) {
			machine := start(t, t.TempDir())
			defer machine.Close()
			require.NoError(t, certify(machine.Device()))
			endorsement, err := machine.Device().Endorsement()
			require.NoError(t, err)
			require.Len(t, endorsement.Certificates, 1)
			attestor, err := machine.Device().Attestor()
			require.NoError(t, err)
			encoded, err := tao.NewRequest(identity, attestor, endorsement, terms.Roles, []uint8{14})
			require.NoError(t, err)
			request, err := tao.ParseRequest(encoded)
			require.NoError(t, err)

			strangers := tao.Roots{Authorities: []*x509.Certificate{other.Root()}}
			_, _, err = tao.Grant(rand.Reader, request, identity, strangers, terms)
			require.ErrorIs(t, err, tao.ErrRoot)
			roots := tao.Roots{Authorities: []*x509.Certificate{factory.Root()}}
			grant, record, err := tao.Grant(rand.Reader, request, identity, roots, terms)
			require.NoError(t, err)
			require.Equal(t, sha256.Sum256(factory.Root().Raw), record.Root)
			opened, err := tao.OpenGrant(grant, machine.Device().Activate)
			require.NoError(t, err)
			parsed, err := tao.ParseRecord(opened)
			require.NoError(t, err)
			require.Equal(t, attestor.Key(), parsed.Key)
		})
	}
}
