package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"sphinxmix.example/node/internal/durable"
	"sphinxmix.example/tao/tpm"
)

// sealedSuffix ends the name of a key that a TPM has sealed.
const sealedSuffix = ".tpm"

// sealing is what node seal was told.
type sealing struct {
	config, backup string
	noBackup       bool
	registers      []int
}

func sealNodeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "seal",
		Short: "Let nobody but this machine's TPM open the node's key",
		Long: `Seal the node's identity to the TPM that attestation.attestor names, and to the values that registers of it have now: a copy
of the folder is worth nothing then on another machine, or on this one when it was started otherwise. Register 7 says
whether secure boot is on and whose programs it lets start. The key becomes NAME.tpm, and the file with the key is
overwritten and removed; file systems and SSDs may keep copies.

An update of the firmware, or a new TPM, may make what was sealed worthless. So keep a copy of the key at a place
that is no part of this machine: --backup makes one, --no-backup says that there is one or that none is wanted, as a
node can always be enrolled anew under another id. To go on after such a change, bring the copy back to where the key
was, name it as identity, and seal it again.`,
		Example: "  mixnet node seal --config mixnet-node/node.toml --backup /media/stick/node.key",
		Args:    noArguments,
	}
	s := new(sealing)
	cmd.Flags().StringVar(&s.config, "config", filepath.Join(nodeFolder, "node.toml"), "configuration file")
	cmd.Flags().IntSliceVar(&s.registers, "registers", []int{7}, "registers of the TPM that must have the values they have now")
	cmd.Flags().StringVar(&s.backup, "backup", "", "file to make with a copy of the key")
	cmd.Flags().BoolVar(&s.noBackup, "no-backup", false, "make no copy of the key")
	cmd.MarkFlagsMutuallyExclusive("backup", "no-backup")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if s.backup == "" && !s.noBackup {
			return errors.New("without a copy, the key is lost with this TPM or a change of its registers: name a file for one with --backup, or say --no-backup")
		}
		l, err := loadUnenrolled(s.config)
		if err != nil {
			return err
		}
		sealed, err := l.seal(s)
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		if s.backup != "" {
			fmt.Fprintf(out, "Made %s, a copy of the key: keep it where this machine is not.\n", s.backup)
		}
		fmt.Fprintf(out, `Sealed the key into %s, and removed it from %s.

Next:
  write identity = %s into %s
  mixnet node --config %s --check
`, sealed, l.file.path(l.settings.identity), quoted(l.settings.identity+sealedSuffix), s.config, s.config)
		return nil
	}
	return cmd
}

// seal puts a sealed key in the place of the node's identity, and returns its file.
func (l *loadedNode) seal(s *sealing) (sealed string, err error) {
	registers, err := l.registersToSeal(s.registers)
	if err != nil {
		return "", err
	}
	file := l.file.path(l.settings.identity)
	if filepath.Ext(file) == sealedSuffix {
		return "", fmt.Errorf("%s is sealed already", file)
	}
	sealed = file + sealedSuffix
	if exists(sealed) {
		return "", fmt.Errorf("%s is there already, and stays as it is: move it away", sealed)
	}
	_, device, err := l.openAttestor()
	if err != nil {
		return "", err
	}
	if device == nil {
		return "", errors.New("attestation.attestor is soft: a key is sealed to a TPM")
	}
	defer device.Close()
	folder, err := hold(filepath.Dir(file), "mixnet node seal")
	if err != nil {
		return "", err
	}
	defer folder.release()

	seed := l.identity.Seed()
	defer clear(seed)
	blob, err := device.Seal(seed, registers)
	if err != nil {
		return "", err
	}
	opened, err := device.Unseal(blob)
	if err != nil {
		return "", fmt.Errorf("nothing was changed: what the TPM has sealed it does not open: %w", err)
	}
	defer clear(opened)
	if !bytes.Equal(opened, seed) {
		return "", errors.New("nothing was changed: what the TPM has sealed it opens as something else")
	}
	if s.backup != "" {
		if err := copyKey(s.backup, l.identity); err != nil {
			return "", err
		}
	}
	if err := durable.CreateFile(sealed, pem.EncodeToMemory(&pem.Block{Type: sealedBlock, Bytes: blob}), 0o600); err != nil {
		return "", fmt.Errorf("%s cannot be made, and %s stays: %w", sealed, file, reason(err))
	}
	if err := durable.Erase(file); err != nil {
		return "", fmt.Errorf("%s is made, but %s could not be removed: do that by hand: %w", sealed, file, reason(err))
	}
	return sealed, nil
}

// registersToSeal returns registers that a key can be sealed to, in order.
func (l *loadedNode) registersToSeal(given []int) (registers []uint8, err error) {
	for _, number := range given {
		switch {
		case number < 0 || number > 15:
			return nil, fmt.Errorf("--registers %d: give some from 0 to 15, which nobody can reset", number)
		case number == l.settings.attestation.register:
			return nil, fmt.Errorf("--registers %d: this one changes whenever the node starts, which measures into it", number)
		}
		registers = append(registers, uint8(number))
	}
	if len(registers) == 0 {
		return nil, errors.New("--registers: give one or more from 0 to 15")
	}
	return slices.Compact(slices.Sorted(slices.Values(registers))), nil
}

// copyKey writes a key into a new file, as createKey would.
func copyKey(file string, key ed25519.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	defer clear(der)
	text := pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der})
	defer clear(text)
	if err := durable.CreateFile(file, text, 0o600); err != nil {
		return fmt.Errorf("nothing was changed: --backup %s %w: name a new file", file, reason(err))
	}
	return nil
}

// openSealed returns the key in a file that seal has made, which the TPM opens as long as its registers are as they
// were.
func openSealed(path string, d *tpm.Device) (ed25519.PrivateKey, error) {
	blob, err := readBlock(path, sealedBlock)
	if err != nil {
		return nil, &remedied{wrongs(err), "name the file that 'mixnet node seal' made, or bring the key back from the backup"}
	}
	seed, err := d.Unseal(blob)
	defer clear(seed)
	switch {
	case errors.Is(err, tpm.ErrRegisters):
		return nil, &remedied{fmt.Sprintf("%s: %s", path, plain(err)), "start the machine as it was, or bring the key back from the backup and seal it again"}
	case errors.Is(err, tpm.ErrForeign):
		return nil, &remedied{fmt.Sprintf("%s: %s", path, plain(err)), "bring the key back from the backup and seal it again"}
	case err != nil:
		return nil, err
	case len(seed) != ed25519.SeedSize:
		return nil, &remedied{path + " has no key in it", "bring the key back from the backup and seal it again"}
	}
	return ed25519.NewKeyFromSeed(seed), nil
}
