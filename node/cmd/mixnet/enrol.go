package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"sphinxmix.example/tao"
	"sphinxmix.example/tao/tpm"
)

func enrolNodeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "enrol",
		Short: "Ask to be let into a network that has a policy, and take the answer",
		Long: `Make a request to be enrolled with the machine that [attestation] names, in request.pem beside the configuration. Whoever
has the policy key makes a grant of it, 'mixnet policy enrol'. With --grant, take that: only this machine's TPM can open
it. The enrolment that is in it goes where attestation.enrolment says, and the node can be started.

The node may run meanwhile. It uses another enrolment when it is started anew.`,
		Example: "  mixnet node enrol --config mixnet-node/node.toml\n  mixnet node enrol --config mixnet-node/node.toml --grant grant.pem",
		Args:    noArguments,
	}
	config := cmd.Flags().String("config", filepath.Join(nodeFolder, "node.toml"), "configuration file")
	grant := cmd.Flags().String("grant", "", "file of the grant that answers the request")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		l, err := loadUnenrolled(*config)
		if err != nil {
			return err
		}
		attestor, device, err := l.openAttestor()
		if err != nil {
			return err
		}
		if device != nil {
			defer device.Close()
		}
		if *grant != "" {
			return l.takeGrant(cmd.OutOrStdout(), *grant, attestor, device)
		}
		return l.requestEnrolment(cmd.OutOrStdout(), attestor, device)
	}
	return cmd
}

// platform are the registers of a TPM that firmware measures into what a machine is like, as requests show them.
var platform = []uint8{0, 1, 2, 3, 4, 5, 6, 7}

// requestEnrolment writes a request and says what to do with it.
func (l *loadedNode) requestEnrolment(out io.Writer, attestor tao.Attestor, device *tpm.Device) error {
	a := &l.settings.attestation
	roles := tao.RolesOf(tao.Mix)
	if l.settings.exit.enabled {
		roles = tao.RolesOf(tao.Mix, tao.Exit)
	}
	registers := []uint8{uint8(a.register)}
	var endorsement tao.Endorsement
	if device != nil {
		var err error
		if endorsement, err = device.Endorsement(); err != nil {
			return l.file.because("attestation.attestor", err)
		}
		registers = slices.Compact(slices.Sorted(slices.Values(append(registers, platform...))))
	}
	signed, err := tao.NewRequest(l.identity, attestor, endorsement, roles, registers)
	if err != nil {
		return err
	}
	request, err := tao.ParseRequest(signed) // as whoever grants it will
	if err != nil {
		return err
	}
	name := l.file.path("request.pem")
	if err := writeBlock(name, requestBlock, signed, 0o644); err != nil {
		return err
	}
	printRequest(out, request)
	if start, is := registerValue(request, uint8(a.register)); is && device != nil && start != [32]byte{} && !exists(l.file.path(a.log)) {
		fmt.Fprintf(out, "\nSomething else on this machine has measured into register %d. Tell whoever has the policy key to allow that, or set\nattestation.register to one that is zero, which the policy must want too:\n  mixnet policy allow register %d=%x\n", a.register, a.register, start)
	}
	fmt.Fprintf(out, `
Made %s. Next, give it to whoever has the policy key, and say which node and which TPM this is; there:
  mixnet policy enrol %s
and here, with the grant that comes back:
  mixnet node enrol --config %s --grant grant.pem
`, name, filepath.Base(name), l.file.file)
	return nil
}

// registerValue returns the value of a register in a request, and whether it is there.
func registerValue(r *tao.Request, index uint8) ([32]byte, bool) {
	i := slices.IndexFunc(r.Registers, func(r tao.Register) bool { return r.Index == index })
	if i < 0 {
		return [32]byte{}, false
	}
	return r.Registers[i].Value, true
}

// takeGrant opens a grant, and keeps the enrolment that is in it.
func (l *loadedNode) takeGrant(out io.Writer, name string, attestor tao.Attestor, device *tpm.Device) error {
	grant, err := readBlock(name, grantBlock)
	if err != nil {
		return &remedied{wrongs(err), "name the file that 'mixnet policy enrol' has made"}
	}
	activate := func(_, _ []byte) ([]byte, error) {
		return nil, errors.New("here is no TPM, attestation.attestor is soft")
	}
	if device != nil {
		activate = device.Activate
	}
	signed, err := tao.OpenGrant(grant, activate)
	if err != nil {
		return &remedied{fmt.Sprintf("%s: %s", name, wrongs(err)), "make a request on this machine, and use the grant of that"}
	}
	record, err := tao.ParseRecord(signed)
	if err != nil {
		return err
	}
	if err = l.checkRecord(record, attestor.Kind(), attestor.Key(), time.Now()); err == nil {
		err = l.isNewest(record)
	}
	if err != nil {
		return &remedied{fmt.Sprintf("%s %v", name, err), fmt.Sprintf("use the grant of the last request that 'mixnet node enrol --config %s' made", l.file.file)}
	}
	file := l.file.path(l.settings.attestation.enrolment)
	if err := writeBlock(file, enrolmentBlock, signed, 0o600); err != nil {
		return err
	}
	by := "the policy key"
	if !record.Signer.Equal(parsePolicyKey(l.settings.directory.policyKey)) {
		by = fmt.Sprintf("%x: the policy must delegate to that", record.Signer)
	}
	fmt.Fprintf(out, `Made %s: this node may be: %v, until %s. It was enrolled by %s.

Next:
  mixnet node --config %s --check
  mixnet node --config %s
`, file, record.Roles, record.Expires.Format(time.DateOnly), by, l.file.file, l.file.file)
	return nil
}

// isNewest says which other enrolment of this node with this key is there, that is newer.
func (l *loadedNode) isNewest(r *tao.Record) error {
	before, err := l.readEnrolment()
	if err != nil {
		return nil // there is none that could be better
	}
	if known, err := tao.ParseRecord(before); err == nil && known.Identity.Equal(r.Identity) && bytes.Equal(known.Key, r.Key) && known.Issued.After(r.Issued) {
		return fmt.Errorf("is older than the enrolment that is there, of %s", known.Issued.Format(time.RFC3339))
	}
	return nil
}
