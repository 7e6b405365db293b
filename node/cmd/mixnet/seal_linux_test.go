package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSealedIdentity: nothing but this TPM, as it is now, has the node's key any more, but for the copy that was made.
func TestSealedIdentity(t *testing.T) {
	machine, other := newComputer(t), newComputer(t)
	v := newVillage(t)
	config := v.addNode(t, machine.address)
	dir := filepath.Dir(config)
	file, sealed, backup := filepath.Join(dir, "node.key"), filepath.Join(dir, "node.key.tpm"), filepath.Join(t.TempDir(), "copy.key")
	key, err := readKey(file)
	require.NoError(t, err)
	asked, err := readRequest(request(t, config))
	require.NoError(t, err)

	seal := []string{"node", "seal", "--config", config}
	before := filesIn(t, dir)
	refused(t, "name a file for one with --backup", seal...)
	refused(t, "from 0 to 15", append(seal, "--no-backup", "--registers", "7,16")...)
	refused(t, "from 0 to 15", append(seal, "--no-backup", "--registers", "-1")...)
	refused(t, "whenever the node starts", append(seal, "--no-backup", "--registers", "14")...)
	refused(t, "name a new file", append(seal, "--backup", file)...)
	require.Equal(t, before, filesIn(t, dir))

	said := succeed(t, append(seal, "--backup", backup, "--registers", "7,1,7")...)
	require.Contains(t, said, `write identity = "node.key.tpm" into `+config)
	require.NoFileExists(t, file)
	info, err := os.Stat(backup)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode())
	copied, err := readKey(backup)
	require.NoError(t, err)
	require.Equal(t, key, copied)
	blob, err := readBlock(sealed, sealedBlock)
	require.NoError(t, err)
	require.NotContains(t, string(blob), string(key.Seed()))
	for _, text := range []string{said, string(blob)} {
		require.NotContains(t, text, string(key.Seed()))
	}

	edit(t, config, `identity = "node.key.tpm"`)
	refused(t, "is sealed already", append(seal, "--no-backup")...)
	again, err := readRequest(request(t, config))
	require.NoError(t, err)
	require.Equal(t, asked.Identity, again.Identity, "it is the same node")

	// Another TPM does not open it, nor does this one after it was started otherwise.
	edit(t, config, `attestor = "`+other.address+`"`)
	_, err = run(t, "", "node", "enrol", "--config", config)
	require.ErrorContains(t, err, "made for another TPM")
	require.ErrorContains(t, err, "bring the key back from the backup")
	edit(t, config, `attestor = "`+machine.address+`"`)
	machine.extend(t, 1)
	_, err = run(t, "", "node", "enrol", "--config", config)
	require.ErrorContains(t, err, "do not have the values that the secret was sealed to")
	require.ErrorContains(t, err, "bring the key back from the backup and seal it again")
	require.NoError(t, machine.Reboot())
	request(t, config)

	// The way back.
	require.NoError(t, os.Rename(backup, file))
	edit(t, config, `identity = "node.key"`)
	refused(t, "is there already", append(seal, "--no-backup")...)
	require.NoError(t, os.Remove(sealed))
	succeed(t, append(seal, "--no-backup")...)
	edit(t, config, `identity = "node.key.tpm"`)
	request(t, config)

	// What is no key of this TPM's.
	require.NoError(t, writeBlock(sealed, sealedBlock, []byte(strings.Repeat("x", 300)), 0o600))
	_, err = run(t, "", "node", "enrol", "--config", config)
	require.ErrorContains(t, err, "bring the key back from the backup")
	require.NoError(t, os.WriteFile(sealed, []byte("nonsense"), 0o600))
	_, err = run(t, "", "node", "enrol", "--config", config)
	require.ErrorContains(t, err, "mixnet node seal")
	short, err := machine.Device().Seal([]byte("short"), []uint8{7})
	require.NoError(t, err)
	require.NoError(t, writeBlock(sealed, sealedBlock, short, 0o600))
	_, err = run(t, "", "node", "enrol", "--config", config)
	require.ErrorContains(t, err, "has no key in it")
}

// TestSealNeedsATPM, and a folder that no running node uses.
func TestSealNeedsATPM(t *testing.T) {
	v := newVillage(t)
	config := v.addNode(t, "soft")
	before := filesIn(t, filepath.Dir(config))
	refused(t, "a key is sealed to a TPM", "node", "seal", "--no-backup", "--config", config)
	after := filesIn(t, filepath.Dir(config))
	require.Equal(t, before["node.key"], after["node.key"])
	require.NotEmpty(t, after["node.key"])

	config = v.addNode(t, newComputer(t).address)
	folder, err := hold(filepath.Dir(config), "mixnet node")
	require.NoError(t, err)
	defer folder.release()
	refused(t, "is in use by process", "node", "seal", "--no-backup", "--config", config)
	require.FileExists(t, filepath.Join(filepath.Dir(config), "node.key"))
}
