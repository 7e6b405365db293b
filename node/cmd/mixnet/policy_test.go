package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

// succeed runs the program, which must end well, and returns what it printed.
func succeed(t *testing.T, arguments ...string) string {
	t.Helper()
	out, err := run(t, "", arguments...)
	require.NoError(t, err, strings.Join(arguments, " "))
	return out
}

// refused runs the program, which must end with an error that has a text in one line.
func refused(t *testing.T, want string, arguments ...string) {
	t.Helper()
	out, err := run(t, "", arguments...)
	require.ErrorContains(t, err, want, strings.Join(arguments, " "))
	require.NotContains(t, clean(err.Error()), "\ufffd")
	require.Empty(t, out)
}

// newPolicy makes the folder of a policy and returns its name and the policy's public key.
func newPolicy(t *testing.T, flags ...string) (dir, key string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "policy")
	printed := succeed(t, append([]string{"policy", "init", "--dir", dir}, flags...)...)
	key = draftIn(t, dir).Key.String()
	require.Contains(t, printed, key)
	return dir, key
}

func draftIn(t *testing.T, dir string) *draft {
	t.Helper()
	a := &authority{dir: dir}
	require.NoError(t, a.readDraft())
	return a.draft
}

// signedIn signs a policy and returns it as others read it.
func signedIn(t *testing.T, dir string, flags ...string) *tao.Policy {
	t.Helper()
	succeed(t, append([]string{"policy", "sign", "--dir", dir}, flags...)...)
	p, err := readPolicy(filepath.Join(dir, signedPolicyFile), ed25519.PublicKey(draftIn(t, dir).Key))
	require.NoError(t, err)
	return p
}

// TestNewPolicyTrustsNobody: it accepts TPMs of nobody, no program and no configuration, and wants mixes to mix.
func TestNewPolicyTrustsNobody(t *testing.T) {
	dir, key := newPolicy(t)
	for name, mode := range map[string]fs.FileMode{"": 0o700 | fs.ModeDir, policyKeyFile: 0o600, draftFile: 0o600, nodesFile: 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode(), name)
	}
	p := signedIn(t, dir)
	require.Equal(t, key, publicKey(p.Key).String())
	require.Equal(t, []tao.Kind{tao.TPM}, p.Attestors)
	require.Empty(t, p.Roots)
	require.Empty(t, p.Programs)
	require.Empty(t, p.Settings)
	require.Empty(t, p.Enrollers)
	require.Equal(t, tao.Minimum{Size: 4, Interval: 500 * time.Millisecond, MeanDelay: 500 * time.Millisecond}, p.Minimum)
	require.EqualValues(t, tao.DefaultRegister, p.LogRegister)
	require.WithinDuration(t, time.Now().Add(30*24*time.Hour), p.Expires, time.Minute)

	said := succeed(t, "policy", "sign", "--dir", dir)
	for _, doubt := range []string{"nobody vouches for a TPM", "no program is allowed", "no configuration is allowed"} {
		require.Contains(t, said, doubt)
	}
	require.NotContains(t, said, "without a TPM")

	soft, _ := newPolicy(t, "--soft")
	require.Contains(t, succeed(t, "policy", "sign", "--dir", soft), "proves nothing of their machines")
}

// TestPolicyChangesNothingThatIsThere: a second init, and a key that would take the place of another file.
func TestPolicyChangesNothingThatIsThere(t *testing.T) {
	dir, _ := newPolicy(t)
	before := filesIn(t, dir)
	refused(t, "--dir", "policy", "init", "--dir", dir)
	require.NoError(t, os.Remove(filepath.Join(dir, policyKeyFile)))
	delete(before, policyKeyFile)
	refused(t, "--dir", "policy", "init", "--dir", dir)
	require.Equal(t, before, filesIn(t, dir))

	refused(t, "name another file", "policy", "key", filepath.Join(dir, draftFile))
	require.Equal(t, before, filesIn(t, dir))
}

// filesIn returns what is in a folder, but for its lock.
func filesIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	all := make(map[string]string)
	for _, entry := range entries {
		if entry.Name() != ".lock" {
			content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
			require.NoError(t, err)
			all[entry.Name()] = string(content)
		}
	}
	return all
}

// TestAllowAndRemove: what is allowed is in the next signed policy, and what is removed is not.
func TestAllowAndRemove(t *testing.T) {
	dir, _ := newPolicy(t)
	hash := func(c string) string { return strings.Repeat(c, 64) }
	program := filepath.Join(t.TempDir(), "pro\x1bgram")
	require.NoError(t, os.WriteFile(program, []byte("a program"), 0o600))
	_, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	enroller := publicKey(key.Public().(ed25519.PublicKey)).String()
	root := writeCertificate(t, "Maker \x1b[2J", true, time.Now().Add(time.Hour))

	allow := func(arguments ...string) {
		t.Helper()
		said := succeed(t, append([]string{"policy", "allow", "--dir", dir}, arguments...)...)
		require.Contains(t, said, "In force after 'mixnet policy sign --dir "+dir+"'.")
		require.NotContains(t, said, "\x1b")
	}
	allow("program")
	allow("program", program, "--role", "mix")
	allow("program", hash("a"), "--name", "first")
	allow("program", hash("a"), "--name", "again", "--role", "directory")
	allow("configuration", hash("b"), "--role", "exit,mix")
	allow("root", root)
	allow("tpm", hash("c"), "--name", "rack 3")
	allow("enroller", enroller, "--days", "7")
	allow("soft")
	allow("register", "7="+hash("d")+","+hash("e"))

	own, err := tao.ProgramDigest()
	require.NoError(t, err)
	p := signedIn(t, dir)
	named := make(map[string]tao.Allowed)
	for _, a := range p.Programs {
		named[a.Name] = a
	}
	require.Len(t, p.Programs, 3)
	require.Equal(t, own, named[fitting("mixnet "+version())].Digest)
	require.Equal(t, tao.RolesOf(tao.Mix, tao.Exit), named[fitting("mixnet "+version())].Roles)
	require.EqualValues(t, digestOf([]byte("a program")), named["pro?gram"].Digest)
	require.Equal(t, tao.RolesOf(tao.Mix), named["pro?gram"].Roles)
	require.Equal(t, tao.RolesOf(tao.Directory), named["again"].Roles, "what was said last counts")
	require.Len(t, p.Settings, 1)
	require.Len(t, p.Roots, 2)
	require.Equal(t, enroller, publicKey(p.Enrollers[0].Key).String())
	require.WithinDuration(t, time.Now().Add(7*24*time.Hour), p.Enrollers[0].Expires, time.Minute)
	require.Equal(t, []tao.Kind{tao.TPM, tao.Soft}, p.Attestors)
	require.Len(t, p.Registers, 1)
	require.Len(t, p.Registers[0].Values, 2)

	for _, arguments := range [][]string{
		{"program", program},
		{"program", hash("a")},
		{"program"},
		{"configuration", hash("b")},
		{"root", root},
		{"tpm", hash("c")},
		{"enroller", enroller},
		{"soft"},
		{"register", "7"},
	} {
		allow(append(arguments, "--remove")...)
		_, err := run(t, "", append([]string{"policy", "allow", "--dir", dir, "--remove"}, arguments...)...)
		require.Error(t, err, "%q is removed already", arguments)
	}
	next := signedIn(t, dir)
	require.Greater(t, next.Version, p.Version)
	empty, _ := newPolicy(t)
	fresh := signedIn(t, empty)
	next.Version, next.Issued, next.Expires, next.Key = fresh.Version, fresh.Issued, fresh.Expires, fresh.Key
	require.Equal(t, fresh, next)
}

// writeCertificate makes a file of a certificate that has signed itself.
func writeCertificate(t *testing.T, name string, authority bool, until time.Time) string {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, BasicConstraintsValid: true, IsCA: authority,
		NotBefore: until.Add(-2 * time.Hour), NotAfter: until, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "certificate.crt")
	require.NoError(t, os.WriteFile(file, der, 0o600))
	return file
}

// TestPolicyErrorsSayWhatToDo, on one line, and change nothing.
func TestPolicyErrorsSayWhatToDo(t *testing.T) {
	dir, _ := newPolicy(t)
	none := filepath.Join(t.TempDir(), "none")
	hash := strings.Repeat("a", 64)
	expired := writeCertificate(t, "Maker", true, time.Now().Add(-time.Hour))
	leaf := writeCertificate(t, "TPM", false, time.Now().Add(time.Hour))
	before := filesIn(t, dir)
	in := " --dir " + dir
	for arguments, want := range map[string]string{
		"policy nonsense":                                            "policy --help",
		"policy allow nonsense":                                      "policy allow --help",
		"policy init extra" + in:                                     "no arguments",
		"policy key":                                                 "one argument, the file to make",
		"policy sign --dir " + none:                                  "mixnet policy init",
		"policy enrol x --dir " + none:                               "mixnet policy init",
		"policy sign --days 0" + in:                                  "--days 0: give 1 to 3650",
		"policy show" + in:                                           "mixnet policy sign",
		"policy show " + none + in:                                   "no such file",
		"policy show " + expired + in:                                "no signed policy, request or enrolment",
		"policy allow program " + none + in:                          "64 hexadecimal digits",
		"policy allow program x y" + in:                              "one argument at most",
		"policy allow program " + hash + in + " --role":              "flag needs an argument",
		"policy allow program " + hash + " --role king" + in:         "give mix, exit or directory",
		"policy allow program " + hash + " --name ä" + in:            "visible ASCII",
		"policy allow configuration " + none + in:                    "mixnet init",
		"policy allow root " + none + in:                             "name the file of a certificate",
		"policy allow root " + filepath.Join(dir, "policy.key") + in: "has not one certificate",
		"policy allow root " + filepath.Join(dir, draftFile) + in:    "is no certificate",
		"policy allow root " + leaf + in:                             "no certificate of an authority",
		"policy allow root " + expired + in:                          "was good until",
		"policy allow tpm 12" + in:                                   "mixnet policy show REQUEST",
		"policy allow enroller 12" + in:                              "mixnet policy key",
		"policy allow enroller " + draftIn(t, dir).Key.String() + in: "may enrol nodes anyway",
		"policy allow enroller " + hash + " --days -1" + in:          "--days -1",
		"policy allow register 24=" + hash + in:                      "0 to 23",
		"policy allow register 7" + in:                               "7=VALUE",
		"policy allow register 7=12" + in:                            "64 hexadecimal digits",
		"policy allow soft --remove" + in:                            "not accepted",
		"policy revoke here" + in:                                    "neither the id of a node",
		"policy revoke 1f2e3d4c5b6a798897a6b5c4" + in:                "names no node",
		"policy revoke " + hash + " --remove" + in:                   "is not revoked",
		"policy enrol " + none + in:                                  "mixnet node enrol",
		"policy enrol " + filepath.Join(dir, draftFile) + in:         "mixnet node enrol",
		"policy explain " + none:                                     "no node and no file is called " + none,
		"policy explain --at now":                                    "--at is for files",
		"policy explain 1f2e3d4c5b6a798897a6b5c4 " + expired:         "not both",
		"policy explain --network " + none:                           "start one with 'mixnet up'",
		"policy explain --directory http://127.0.0.1:1":              "--key",
		"policy explain --directory http://127.0.0.1:1 --key " + strings.Repeat("2e", 32): "--policy-key",
		"node enrol extra":                 "no arguments",
		"node enrol --config " + none:      "mixnet init",
		"node seal --config " + none:       "--backup",
		"node seal --no-backup --backup x": "no-backup",
	} {
		t.Run(arguments, func(t *testing.T) {
			out, err := run(t, "", strings.Fields(arguments)...)
			require.ErrorContains(t, err, want)
			require.NotContains(t, err.Error(), "\n")
			require.Empty(t, out)
			after := filesIn(t, dir)
			require.Equal(t, before, after)
		})
	}
}

// TestVersionsRise, whatever the clock says, and a signed policy that is gone bad is no reason to begin anew.
func TestVersionsRise(t *testing.T) {
	dir, _ := newPolicy(t)
	a, err := openAuthority(dir)
	require.NoError(t, err)
	future := time.Now().Add(72 * time.Hour)
	var said, doubts strings.Builder
	require.NoError(t, a.sign(&said, &doubts, future, time.Hour))
	a.close()
	first, err := a.signed()
	require.NoError(t, err)
	require.EqualValues(t, future.UnixMilli(), first.Version)

	require.Contains(t, succeed(t, "policy", "sign", "--dir", dir), "is the clock of this machine right?")
	second, err := a.signed()
	require.NoError(t, err)
	require.Equal(t, first.Version+1, second.Version)

	require.NoError(t, os.WriteFile(a.file(signedPolicyFile), []byte("nonsense"), 0o600))
	refused(t, "must have a higher version", "policy", "sign", "--dir", dir)
}

// TestFolderOfAPolicyIsPrivate: who could write there could have his own programs signed.
func TestFolderOfAPolicyIsPrivate(t *testing.T) {
	dir, _ := newPolicy(t)
	require.NoError(t, os.Chmod(dir, 0o770))
	refused(t, "chmod 700", "policy", "allow", "program", "--dir", dir)
	require.NoError(t, os.Chmod(dir, 0o700))
	require.NoError(t, os.Chmod(filepath.Join(dir, policyKeyFile), 0o644))
	refused(t, "chmod 600", "policy", "sign", "--dir", dir)
}

// TestFolderOfAPolicyHasOneUser: two commands at once could each undo what the other did.
func TestFolderOfAPolicyHasOneUser(t *testing.T) {
	dir, _ := newPolicy(t)
	a, err := openAuthority(dir)
	require.NoError(t, err)
	refused(t, "in use by process", "policy", "allow", "program", "--dir", dir)
	a.close()
	succeed(t, "policy", "allow", "program", "--dir", dir)
}

// TestRootsAreThoseThatWereAllowed: certificates in the folder that were put there later vouch for nobody.
func TestRootsAreThoseThatWereAllowed(t *testing.T) {
	dir, _ := newPolicy(t)
	succeed(t, "policy", "allow", "root", writeCertificate(t, "Maker", true, time.Now().Add(time.Hour)), "--dir", dir)
	signedIn(t, dir)
	other, err := os.ReadFile(writeCertificate(t, "Maker", true, time.Now().Add(time.Hour)))
	require.NoError(t, err)
	file := filepath.Join(dir, draftIn(t, dir).Authorities[0].File)
	require.NoError(t, os.WriteFile(file, other, 0o600))
	refused(t, "is not the certificate that", "policy", "sign", "--dir", dir)
	require.NoError(t, os.Remove(file))
	refused(t, "no such file", "policy", "sign", "--dir", dir)
}
