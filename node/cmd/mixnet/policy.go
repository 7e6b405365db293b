package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"sphinxmix.example/node/internal/durable"
	"sphinxmix.example/tao"
)

// policyFolder is the folder of who says which nodes are to be trusted, unless another is named.
const policyFolder = "mixnet-policy"

// What is in that folder.
const (
	policyKeyFile    = "policy.key"    // the private key; not in the copy of an enroller
	draftFile        = "policy.json"   // the policy as it is to be signed next
	nodesFile        = "nodes.json"    // who was enrolled
	signedPolicyFile = "policy.signed" // the policy as it was signed last
)

func policyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Say which nodes are to be trusted, and enrol them",
		Long: `A policy says which programs, configurations and machines the nodes of a network may have. What it does not name is
refused. It is kept as a draft in a folder, next to the one key that all clients, nodes and directories believe, on a
machine that is best not on a network; 'mixnet policy sign' puts it in force, and directories hand it out.`,
		Example: `  mixnet policy init
  mixnet policy allow program --name "mixnet 1.4"
  mixnet policy allow configuration mixnet-node/node.toml
  mixnet policy allow root maker-of-the-tpms.crt
  mixnet policy enrol request.pem
  mixnet policy sign
  mixnet policy explain --directory http://directory.example.org:8080 --key 1f…9c --policy-key 2e…8d`,
		RunE: listCommands,
		Args: cobra.ArbitraryArgs,
	}
	cmd.AddCommand(policyInitCommand(), policyKeyCommand(), policyAllowCommand(), policyEnrolCommand(), policyRevokeCommand(),
		policySignCommand(), policyShowCommand(), policyExplainCommand())
	return cmd
}

func policyInitCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make the key and the draft of a policy",
		Long: `Make a folder with policy.key, a new key, and policy.json, a policy that trusts nobody yet. Commands change it, or an
editor. Nothing that is there already is changed.

What is there from the start: mixes must wait for packets of 4 senders or for half a second, which is half of what a new
node.toml says, so that nobody can allow a mix by mistake that does not mix; a node must quote again within 2 hours;
and nodes measure what they run into register 14 of their TPMs.`,
		Example: "  mixnet policy init\n  mixnet policy init --soft    for trying out: keys in files count as machines",
		Args:    noArguments,
	}
	dir := policyDirFlag(cmd)
	soft := cmd.Flags().Bool("soft", false, "accept nodes without a TPM, whose evidence proves nothing of their machines")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		d := newDraft()
		if *soft {
			d.Attestors = append(d.Attestors, tao.Soft.String())
		}
		key, err := makeAuthority(*dir, d)
		if err != nil {
			return err
		}
		in := inFolder(*dir)
		fmt.Fprintf(cmd.OutOrStdout(), `Made %s and the key %s. Back the key up, and guard it: who has it decides which nodes are trusted.

Clients, nodes and directories of the network believe this policy key and no other:

  policy_key = %s

Next:
  mixnet policy allow program PROGRAM%s             what nodes may run: the file, or its SHA-256
  mixnet policy allow configuration NODE.toml%s     how they may be set up
  mixnet policy allow root CERTIFICATE%s            who makes their TPMs
  mixnet policy enrol REQUEST%s                     what 'mixnet node enrol' has made on the node's machine
  mixnet policy sign%s
`, filepath.Join(*dir, draftFile), filepath.Join(*dir, policyKeyFile), quoted(fmt.Sprintf("%x", key)), in, in, in, in, in)
		return nil
	}
	return cmd
}

// policyDirFlag adds the flag that names the folder of a policy.
func policyDirFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("dir", policyFolder, "folder of the policy")
}

// inFolder is what a command has to say to mean that folder.
func inFolder(dir string) string {
	if dir == policyFolder {
		return ""
	}
	return " --dir " + dir
}

// makeAuthority makes the folder of a policy, of which no part may be there, and returns the policy's public key.
func makeAuthority(dir string, d *draft) (ed25519.PublicKey, error) {
	for _, name := range []string{policyKeyFile, draftFile, nodesFile, signedPolicyFile} {
		if file := filepath.Join(dir, name); exists(file) {
			return nil, fmt.Errorf("%s is there already, and stays as it is: name another folder with --dir, or move the file away", file)
		}
	}
	refuse := func(err error) (ed25519.PublicKey, error) {
		return nil, fmt.Errorf("nothing was made in %s, name another folder with --dir: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return refuse(err)
	}
	if err := checkPrivateFolder(dir); err != nil {
		return refuse(err)
	}
	key := filepath.Join(dir, policyKeyFile)
	public, err := createKey(key)
	if err != nil {
		return refuse(err)
	}
	d.Key = publicKey(public)
	a := &authority{dir: dir, draft: d}
	if err = a.writeNodes(); err == nil {
		err = a.writeDraft()
	}
	if err != nil {
		return refuse(errors.Join(err, os.Remove(key)))
	}
	return public, nil
}

func exists(file string) bool {
	_, err := os.Lstat(file)
	return err == nil
}

func policyKeyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key FILE",
		Short: "Make a key for somebody who is to enrol nodes",
		Long: `Make a new key in a file, which must not be there, and print its public half. The authority of the policy allows it to
enrol nodes; whoever has it does that in a copy of the policy's folder that lacks policy.key, with
'mixnet policy enrol --as FILE'. It signs no policies, and revokes nothing.

That one TPM is one node is looked after by nodes.json of one folder: bring that of his copy back together with yours.
Until then readers help: of the nodes with one TPM they keep only the one that was enrolled last.`,
		Example: "  mixnet policy key enroller.key",
		Args:    oneArgument("the file to make"),
	}
	cmd.RunE = func(cmd *cobra.Command, files []string) error {
		public, err := createKey(files[0])
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s is there already, and stays as it is: name another file", files[0])
		} else if err != nil {
			return fmt.Errorf("%s %w: name another file", files[0], reason(err))
		}
		fmt.Fprintf(cmd.OutOrStdout(), "Made %s. Next, where the policy is kept:\n  mixnet policy allow enroller %x --days 365\n", files[0], public)
		return nil
	}
	return cmd
}

// oneArgument is what a command wants that takes one argument; it is told in an error what that is.
func oneArgument(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("'%s' takes one argument, %s; see '%s --help'", cmd.CommandPath(), what, cmd.CommandPath())
		}
		return nil
	}
}

// oneOrNone is the same for a command that can do without.
func oneOrNone(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return fmt.Errorf("'%s' takes one argument at most, %s; see '%s --help'", cmd.CommandPath(), what, cmd.CommandPath())
		}
		return nil
	}
}

// authority is an open folder of a policy: that of who signs it, or the copy of who may enrol nodes.
type authority struct {
	dir    string
	draft  *draft
	nodes  []enrolledNode
	folder *held
}

// openAuthority opens the folder of a policy, for this process alone, until close.
func openAuthority(dir string) (*authority, error) {
	draft := filepath.Join(dir, draftFile)
	if !exists(draft) {
		return nil, &remedied{fmt.Sprintf("there is no policy here (%s does not exist)", draft), "make one with 'mixnet policy init', or name its folder with --dir"}
	}
	if err := checkPrivateFolder(dir); err != nil {
		return nil, err
	}
	folder, err := hold(dir, "mixnet policy")
	if err != nil {
		return nil, err
	}
	a := &authority{dir: dir, folder: folder}
	if err = a.readDraft(); err == nil {
		err = a.readNodes()
	}
	if err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

func (a *authority) close() { a.folder.release() }

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

// key reads the policy's private key.
func (a *authority) key() (ed25519.PrivateKey, error) {
	file := a.file(policyKeyFile)
	if !exists(file) {
		return nil, &remedied{fmt.Sprintf("there is no file %s", file), "do this where the policy's key is; who may enrol nodes without it names a key with --as"}
	}
	key, err := readKey(file)
	if err != nil {
		return nil, err
	}
	if !key.Public().(ed25519.PublicKey).Equal(ed25519.PublicKey(a.draft.Key)) {
		return nil, &remedied{fmt.Sprintf("%s is not the key that %s names", file, a.file(draftFile)), "bring the right one back from the backup"}
	}
	return key, nil
}

// authorities returns the certificates of those who vouch for TPMs, as they are in the folder.
func (a *authority) authorities() ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for _, root := range a.draft.Authorities {
		c, err := readCertificate(a.file(root.File))
		if err != nil {
			return nil, err
		}
		if digestOf(c.Raw) != root.SHA256 {
			return nil, &remedied{fmt.Sprintf("%s is not the certificate that %s names", a.file(root.File), a.file(draftFile)), "bring the right one back from the backup, or take it out with 'mixnet policy allow root --remove'"}
		}
		all = append(all, c)
	}
	return all, nil
}

// signed returns the policy as it was signed last, and nil where none was.
func (a *authority) signed() (*tao.Policy, error) {
	name := a.file(signedPolicyFile)
	signed, err := readBlock(name, policyBlock)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var p *tao.Policy
	if err == nil {
		p, err = tao.ParsePolicy(signed, ed25519.PublicKey(a.draft.Key))
	}
	if err != nil {
		return nil, &remedied{fmt.Sprintf("%s cannot be used (%s)", name, wrongs(err)), "bring it back from a directory that has it: the next policy must have a higher version"}
	}
	return p, nil
}

func (a *authority) replace(name string, content []byte) error {
	if err := durable.WriteFile(a.file(name), content, 0o600); err != nil {
		return &remedied{fmt.Sprintf("%s cannot be written (%v)", a.file(name), reason(err)), "nothing was changed; make room on the disk, or give it to the user that runs this"}
	}
	return nil
}
