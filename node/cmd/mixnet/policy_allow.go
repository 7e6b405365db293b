package main

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sphinxmix.example/tao"
)

func policyAllowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "allow",
		Short: "Allow what nodes may be, or with --remove, allow it no more",
		Long: `Change the draft of a policy: what nodes may run, how they may be set up, and on which machines. What is allowed once more
takes the place of what was said of it before. With --remove it is allowed no more, which is no revocation: nodes that
were enrolled stay so, and are refused only for what they have no more.`,
		RunE: listCommands,
		Args: cobra.ArbitraryArgs,
	}
	cmd.AddCommand(allowProgramCommand(), allowConfigurationCommand(), allowRootCommand(), allowTPMCommand(), allowEnrollerCommand(),
		allowSoftCommand(), allowRegisterCommand())
	return cmd
}

// allowCommand is one of those that change the draft. change is told whether to remove.
func allowCommand(cmd *cobra.Command, change func(a *authority, args []string, remove bool) (said string, err error)) *cobra.Command {
	dir := policyDirFlag(cmd)
	remove := cmd.Flags().Bool("remove", false, "allow it no more")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return editPolicy(cmd, *dir, func(a *authority) (string, error) { return change(a, args, *remove) })
	}
	return cmd
}

// rolesFlag adds the flag that names roles.
func rolesFlag(cmd *cobra.Command) *[]string {
	return cmd.Flags().StringSlice("role", []string{tao.Mix.String(), tao.Exit.String()}, "what nodes with it may be: mix, exit, directory")
}

// nameFlag adds the flag that names something for people.
func nameFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("name", "", "what people are to call it")
}

// checkName says what keeps a name from being in a policy.
func checkName(name string) error {
	if err := tao.CheckName(name); err != nil {
		return fmt.Errorf("--name %w: give another", err)
	}
	return nil
}

// fitting makes a name that can be in a policy of any text.
func fitting(name string) string {
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, name)
	return name[:min(len(name), tao.MaxNameSize)]
}

// put puts an entry in a list, in place of one that is the same, or takes that out. It returns the one that was there
// before, and nil where none was.
func put[T any](list []T, entry T, same func(T) bool, remove bool) (changed []T, before *T) {
	i := slices.IndexFunc(list, same)
	switch {
	case i < 0 && remove:
		return list, nil
	case i < 0:
		return append(list, entry), nil
	}
	old := list[i]
	if remove {
		return slices.Delete(list, i, i+1), &old
	}
	list[i] = entry
	return list, &old
}

// putAllowance is put for programs and configurations.
func putAllowance(list []allowance, entry allowance, remove bool) ([]allowance, error) {
	changed, before := put(list, entry, func(a allowance) bool { return a.SHA256 == entry.SHA256 }, remove)
	if remove && before == nil {
		return nil, fmt.Errorf("%v is not allowed", entry.SHA256)
	}
	return changed, nil
}

// checkRoles says what is wrong with the roles of a flag.
func checkRoles(names []string) (tao.Roles, error) {
	roles, err := parseRoles(names)
	if err != nil || roles == 0 {
		return 0, fmt.Errorf("--role %s: give mix, exit or directory, or several with commas between them", clean(strings.Join(names, ",")))
	}
	return roles, nil
}

func allowProgramCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "program [FILE|SHA256]",
		Short: "Allow nodes to run a program",
		Long: `Allow nodes to run a program: the one in a file, or that with a SHA-256, or without either, the one that runs now. Best give what
was built in a way that others can repeat, so that they can see for themselves what the policy allows.`,
		Example: "  mixnet policy allow program --name \"mixnet 1.4\"\n  mixnet policy allow program /usr/local/bin/mixnet --role mix\n  mixnet policy allow program 3a…f0 --remove",
		Args:    oneOrNone("the file of a program, or its SHA-256"),
	}
	roles, name := rolesFlag(cmd), nameFlag(cmd)
	return allowCommand(cmd, func(a *authority, args []string, remove bool) (string, error) {
		entry, err := programOf(args)
		if err != nil {
			return "", err
		}
		granted, err := checkRoles(*roles)
		if err != nil {
			return "", err
		}
		entry.Roles, entry.Name = namesOf(granted), fitting(cmp.Or(*name, entry.Name))
		if err := checkName(*name); err != nil {
			return "", err
		}
		if a.draft.Programs, err = putAllowance(a.draft.Programs, entry, remove); err != nil {
			return "", err
		}
		if remove {
			return fmt.Sprintf("The program %v is allowed no more.", entry.SHA256), nil
		}
		return fmt.Sprintf("Allowed the program %s to be: %v. Its SHA-256 is %v.", orNameless(entry.Name), granted, entry.SHA256), nil
	})
}

// programOf returns the program that an argument names, without roles.
func programOf(args []string) (allowance, error) {
	if len(args) == 0 {
		hash, err := tao.ProgramDigest()
		return allowance{SHA256: hash, Name: "mixnet " + version()}, err
	}
	if hash, err := parseDigest(args[0]); err == nil {
		return allowance{SHA256: hash}, nil
	}
	hash, err := tao.FileDigest(args[0])
	if err != nil {
		return allowance{}, fmt.Errorf("%s is no program: name its file, or give its SHA-256, 64 hexadecimal digits (%w)", clean(args[0]), reason(err))
	}
	return allowance{SHA256: hash, Name: filepath.Base(args[0])}, nil
}

func orNameless(name string) string {
	if name == "" {
		return "without a name"
	}
	return clean(name)
}

func allowRootCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "root CERTIFICATE",
		Short: "Trust who makes TPMs",
		Long: `Trust the TPMs whose endorsement keys an authority certifies: the maker of the chips, or of virtual ones. The file has its
certificate, in PEM or DER, as the maker publishes it; compare its SHA-256 with what the maker says. A copy is kept in
the policy's folder. With --remove, name the certificate by file or SHA-256.`,
		Example: "  mixnet policy allow root optiga-ecc-root-ca.crt",
		Args:    oneArgument("the file of a certificate"),
	}
	return allowCommand(cmd, func(a *authority, args []string, remove bool) (string, error) {
		if remove {
			return a.removeRoot(args[0])
		}
		c, err := readCertificate(args[0])
		if err != nil {
			return "", err
		}
		now := time.Now()
		switch hash := digestOf(c.Raw); {
		case !c.IsCA:
			return "", fmt.Errorf("%s is no certificate of an authority: a TPM's own is not needed here, its maker's is", args[0])
		case now.After(c.NotAfter):
			return "", fmt.Errorf("%s was good until %s, and vouches for nothing any more", args[0], c.NotAfter.Format(time.DateOnly))
		default:
			root := authorityRoot{hash, clean(c.Subject.String()), "root-" + hash.String()[:16] + ".pem"}
			if err := writeBlock(a.file(root.File), certificateBlock, c.Raw, 0o600); err != nil {
				return "", err
			}
			a.draft.Authorities, _ = put(a.draft.Authorities, root, hash.isRoot, false)
			return fmt.Sprintf("Trusted the TPMs of %s, whose certificate is good until %s.\nIts SHA-256 is %v.", root.Name, c.NotAfter.Format(time.DateOnly), hash), nil
		}
	})
}

func (d digest) isRoot(r authorityRoot) bool { return r.SHA256 == d }

// removeRoot takes out a root that a SHA-256 or a file names.
func (a *authority) removeRoot(argument string) (string, error) {
	hash, err := parseDigest(argument)
	if err != nil {
		c, err := readCertificate(argument)
		if err != nil {
			return "", err
		}
		hash = digestOf(c.Raw)
	}
	roots, root := put(a.draft.Authorities, authorityRoot{}, hash.isRoot, true)
	if root == nil {
		return "", fmt.Errorf("%v is no root", hash)
	}
	a.draft.Authorities = roots
	return fmt.Sprintf("The TPMs of %s are trusted no more; its certificate stays in %s.", clean(root.Name), a.file(root.File)), nil
}

func allowTPMCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tpm SHA256",
		Short: "Trust one TPM, by the hash of its endorsement key",
		Long: `Trust one TPM by the hash of its endorsement key, as many have no certificate. 'mixnet node enrol' prints it on the node's
machine, and 'mixnet policy show REQUEST' here: compare the two, for nobody else vouches for it.`,
		Example: "  mixnet policy allow tpm 5c…21 --name \"rack 3, unit 7\"",
		Args:    oneArgument("the SHA-256 of an endorsement key"),
	}
	name := nameFlag(cmd)
	return allowCommand(cmd, func(a *authority, args []string, remove bool) (string, error) {
		hash, err := parseDigest(args[0])
		if err != nil {
			return "", fmt.Errorf("%w: give the TPM's as 'mixnet policy show REQUEST' prints it", err)
		}
		if err := checkName(*name); err != nil {
			return "", err
		}
		var before *knownTPM
		a.draft.TPMs, before = put(a.draft.TPMs, knownTPM{hash, *name}, func(t knownTPM) bool { return t.SHA256 == hash }, remove)
		switch {
		case remove && before == nil:
			return "", fmt.Errorf("%v is not allowed", hash)
		case remove:
			return fmt.Sprintf("The TPM %v is trusted no more by itself.", hash), nil
		}
		return fmt.Sprintf("Trusted the TPM %v.", hash), nil
	})
}

func allowEnrollerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "enroller KEY",
		Short: "Let somebody else enrol nodes, until a date",
		Long: `Let whoever has a key enrol nodes, without the policy's key, until a date. Nodes that he enrolled are trusted as long as that lasts.
'mixnet policy key' makes such a key. He needs a copy of this folder without policy.key, and enrols nodes there with
'mixnet policy enrol --as'. Bring his nodes.json back together with this one, so that no machine becomes two nodes.`,
		Example: "  mixnet policy allow enroller 7b…e4 --days 90",
		Args:    oneArgument("a public key"),
	}
	days, name := daysFlag(cmd, 365, "how many days it lasts"), nameFlag(cmd)
	return allowCommand(cmd, func(a *authority, args []string, remove bool) (string, error) {
		key, err := parsePublicKey(args[0])
		if err != nil {
			return "", fmt.Errorf("%s %w: give the public key that 'mixnet policy key' printed", clean(args[0]), err)
		}
		lasts, err := checkDays(*days)
		if err := errors.Join(err, checkName(*name)); err != nil {
			return "", err
		}
		entry := delegation{publicKey(key), time.Now().Add(lasts).UTC().Truncate(time.Second), *name}
		if slices.Equal(a.draft.Key, entry.Key) {
			return "", errors.New("this is the policy key, which may enrol nodes anyway")
		}
		var before *delegation
		a.draft.Enrollers, before = put(a.draft.Enrollers, entry, func(d delegation) bool { return slices.Equal(d.Key, entry.Key) }, remove)
		switch {
		case remove && before == nil:
			return "", fmt.Errorf("%x is no enroller", key)
		case remove:
			return fmt.Sprintf("Nodes that %x enrolled are trusted no more.", key), nil
		}
		return fmt.Sprintf("Whoever has %x may enrol nodes until %s.", key, entry.Expires.Format(time.DateOnly)), nil
	})
}

// daysFlag adds a flag for a number of days.
func daysFlag(cmd *cobra.Command, standard int, about string) *int {
	return cmd.Flags().Int("days", standard, about)
}

const maxDays = 3650

// checkDays returns how long that many days are.
func checkDays(days int) (time.Duration, error) {
	if days < 1 || days > maxDays {
		return 0, fmt.Errorf("--days %d: give 1 to %d", days, maxDays)
	}
	return time.Duration(days) * 24 * time.Hour, nil
}

func allowSoftCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "soft",
		Short: "Accept nodes without a TPM, for trying out",
		Long: `Accept nodes whose attestor is a key in a file. Their evidence says what an honest node would say, and proves nothing of
their machines: whoever has the key can say anything with it.`,
		Args: noArguments,
	}
	return allowCommand(cmd, func(a *authority, _ []string, remove bool) (string, error) {
		soft := tao.Soft.String()
		var before *string
		a.draft.Attestors, before = put(a.draft.Attestors, soft, func(name string) bool { return name == soft }, remove)
		switch {
		case remove && before == nil:
			return "", errors.New("nodes without a TPM are not accepted")
		case remove:
			return "Nodes without a TPM are accepted no more.", nil
		case before != nil:
			return "", errors.New("nodes without a TPM are accepted already")
		}
		return "Nodes without a TPM are accepted, whose evidence proves nothing of their machines.", nil
	})
}

func allowRegisterCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "register N=VALUE[,VALUE]",
		Short: "Want a register of every TPM to have one of these values",
		Long: `Want every node to quote a register (PCR) of its TPM, in the SHA-256 bank, and it to have one of these values: those of
the firmware, the secure boot or the kernel that nodes may have. 'mixnet policy show REQUEST' prints what a node's are.
For the register that nodes measure into, these are the values that it may have before; it is zero unless something
else measures into it when the machine starts. With --remove, name the number alone.`,
		Example: "  mixnet policy allow register 7=65ca…0f,b5d1…77\n  mixnet policy allow register 7 --remove",
		Args:    oneArgument("a register and its values"),
	}
	return allowCommand(cmd, func(a *authority, args []string, remove bool) (string, error) {
		number, values, some := strings.Cut(args[0], "=")
		index, err := strconv.ParseUint(number, 10, 8)
		if err != nil || index > tao.LastRegister || some == remove {
			return "", fmt.Errorf("%q is not of the form 7=VALUE,VALUE, with a register from 0 to %d and values of 64 hexadecimal digits (with --remove, give the number alone)", clean(args[0]), tao.LastRegister)
		}
		entry := registerAllowance{Register: uint8(index)}
		if some {
			for digits := range strings.SplitSeq(values, ",") {
				value, err := parseDigest(digits)
				if err != nil {
					return "", fmt.Errorf("register %d: %w", index, err)
				}
				if !slices.Contains(entry.Values, value) {
					entry.Values = append(entry.Values, value)
				}
			}
		}
		var before *registerAllowance
		a.draft.Registers, before = put(a.draft.Registers, entry, func(r registerAllowance) bool { return r.Register == entry.Register }, remove)
		switch {
		case remove && before == nil:
			return "", fmt.Errorf("nothing is said of register %d", index)
		case remove:
			return fmt.Sprintf("Register %d may have any value.", index), nil
		}
		return fmt.Sprintf("Register %d must have one of %d values.", index, len(entry.Values)), nil
	})
}
