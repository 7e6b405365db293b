package main

import (
	"cmp"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/tao"
)

func policyShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show [FILE]",
		Short: "Show a signed policy, a node's request or its enrolment",
		Long: `Show what is in a file in words: the policy that was signed last, or the file that is named, which may also be the request or
the enrolment of a node. A policy must be signed by the key that --policy-key gives, else by that of the folder.`,
		Example: "  mixnet policy show\n  mixnet policy show request.pem\n  mixnet policy show policy.signed --policy-key 2e…8d --json",
		Args:    oneOrNone("the file to show"),
	}
	dir := policyDirFlag(cmd)
	digits := cmd.Flags().String("policy-key", "", "public key of the policy, hexadecimal")
	raw := cmd.Flags().Bool("json", false, "print the policy as JSON, like the draft")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		file := filepath.Join(*dir, signedPolicyFile)
		if len(args) > 0 {
			file = args[0]
		} else if !exists(file) {
			return &remedied{fmt.Sprintf("there is no policy here that was signed (%s does not exist)", file), "name the file of one, or sign one with 'mixnet policy sign'"}
		}
		kind, err := kindOf(file)
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		switch {
		case kind == policyBlock:
			key, err := keyToShow(*digits, *dir)
			if err != nil {
				return err
			}
			p, err := readPolicy(file, key)
			if err != nil {
				return err
			}
			if *raw {
				_, err = out.Write(indented(draftOf(p)))
				return err
			}
			printPolicy(out, p, nil)
			return nil
		case *raw:
			return errors.New("--json is for policies")
		case kind == requestBlock:
			r, err := readRequest(file)
			if err != nil {
				return err
			}
			printRequest(out, r)
			return nil
		default:
			return showEnrolment(out, file)
		}
	}
	return cmd
}

// keyToShow returns the key that signs the policy to be shown.
func keyToShow(digits, dir string) (ed25519.PublicKey, error) {
	if digits != "" {
		return parsePolicyKey(digits), checkPolicyKeyFlag(digits)
	}
	a := &authority{dir: dir}
	if !exists(a.file(draftFile)) {
		return nil, errors.New("nothing says whose policy this is to be: give the policy's public key with --policy-key")
	}
	if err := a.readDraft(); err != nil {
		return nil, err
	}
	return ed25519.PublicKey(a.draft.Key), nil
}

// readPolicy reads a policy that must be signed by a key.
func readPolicy(file string, key ed25519.PublicKey) (*tao.Policy, error) {
	signed, err := readBlock(file, policyBlock)
	if err != nil {
		return nil, &remedied{wrongs(err), "name the file that 'mixnet policy sign' has made"}
	}
	p, err := tao.ParsePolicy(signed, key)
	if err != nil {
		return nil, &remedied{fmt.Sprintf("%s: %s", file, wrongs(err)), "is --policy-key the right one, and the file as it was signed?"}
	}
	return p, nil
}

// shown is a signed policy as JSON: the draft that it could have been made of, and what a signature adds.
type shown struct {
	Version uint64    `json:"version"`
	Issued  time.Time `json:"issued"`
	Expires time.Time `json:"expires"`
	*draft
}

func draftOf(p *tao.Policy) *shown {
	d := newDraft()
	s := &shown{p.Version, p.Issued, p.Expires, d}
	d.Key, d.Attestors, d.MaxAge, d.LogRegister = publicKey(p.Key), []string{}, span(p.MaxAge), p.LogRegister
	d.Minimum = draftMinimum{p.Minimum.Size, span(p.Minimum.Interval), span(p.Minimum.MeanDelay)}
	for _, k := range p.Attestors {
		d.Attestors = append(d.Attestors, k.String())
	}
	for _, a := range p.Programs {
		d.Programs = append(d.Programs, allowance{a.Digest, namesOf(a.Roles), a.Name})
	}
	for _, a := range p.Settings {
		d.Configurations = append(d.Configurations, allowance{a.Digest, namesOf(a.Roles), a.Name})
	}
	for _, root := range p.Roots {
		d.Authorities = append(d.Authorities, authorityRoot{SHA256: root})
	}
	for _, e := range p.Enrollers {
		d.Enrollers = append(d.Enrollers, delegation{Key: publicKey(e.Key), Expires: e.Expires})
	}
	for _, r := range p.Registers {
		allowance := registerAllowance{Register: r.Index}
		for _, value := range r.Values {
			allowance.Values = append(allowance.Values, value)
		}
		d.Registers = append(d.Registers, allowance)
	}
	for _, hash := range p.Revoked {
		d.Revoked = append(d.Revoked, revocation{SHA256: hash})
	}
	return s
}

// printPolicy writes a signed policy for people, with the names that a draft has for what is in it, where there is one.
func printPolicy(to io.Writer, p *tao.Policy, names *draft) {
	if names == nil {
		names = new(draft)
	}
	t := newTable(to)
	defer t.Flush()
	t.line("policy key", "%x", p.Key)
	t.line("version", "%d", p.Version)
	t.line("issued", "%s", p.Issued.Format(time.RFC3339))
	t.line("good until", "%s", p.Expires.Format(time.RFC3339))
	var attestors []string
	for _, k := range p.Attestors {
		if attestors = append(attestors, k.String()); k == tao.Soft {
			attestors[len(attestors)-1] += " (proves nothing of a machine)"
		}
	}
	t.line("attestors", "%s", cmp.Or(strings.Join(attestors, ", "), "none"))
	t.line("must quote", "every %s", short(p.MaxAge))
	t.line("must mix", "%d senders or more, waiting for %s or longer; mean delays of %s or more", p.Minimum.Size, short(p.Minimum.Interval), short(p.Minimum.MeanDelay))
	t.line("events in", "register %d", p.LogRegister)
	for _, r := range p.Registers {
		for i, value := range r.Values {
			t.line(either(i == 0, fmt.Sprintf("register %d", r.Index), ""), "%x", value)
		}
	}
	listed := func(name string, count int, entry func(i int) string) {
		if count == 0 {
			t.line(name, "none")
		}
		for i := range count {
			t.line(either(i == 0, name, ""), "%s", entry(i))
		}
	}
	listed("programs", len(p.Programs), func(i int) string { return describe(p.Programs[i]) })
	listed("configurations", len(p.Settings), func(i int) string { return describe(p.Settings[i]) })
	listed("roots", len(p.Roots), func(i int) string { return fmt.Sprintf("%x %s", p.Roots[i], names.rootName(p.Roots[i])) })
	listed("enrollers", len(p.Enrollers), func(i int) string {
		return fmt.Sprintf("%x until %s", p.Enrollers[i].Key, p.Enrollers[i].Expires.Format(time.RFC3339))
	})
	listed("revoked", len(p.Revoked), func(i int) string {
		name, _ := names.revokes(p.Revoked[i])
		return fmt.Sprintf("%x %s", p.Revoked[i], name)
	})
}

func describe(a tao.Allowed) string {
	return strings.TrimSuffix(fmt.Sprintf("%x to be: %v; %s", a.Digest, a.Roles, a.Name), "; ")
}

// rootName returns what a draft calls a root.
func (d *draft) rootName(hash [32]byte) string {
	for _, r := range d.Authorities {
		if r.SHA256 == hash {
			return r.Name
		}
	}
	for _, t := range d.TPMs {
		if t.SHA256 == hash {
			return strings.TrimSpace("one TPM " + t.Name)
		}
	}
	return ""
}

func either(is bool, text, otherwise string) string {
	if is {
		return text
	}
	return otherwise
}

// showEnrolment writes what is in a node's enrolment.
func showEnrolment(to io.Writer, file string) error {
	signed, err := readBlock(file, enrolmentBlock)
	if err != nil {
		return err
	}
	r, err := tao.ParseRecord(signed)
	if err != nil {
		return fmt.Errorf("%s: %w", file, cleaned{err})
	}
	t := newTable(to)
	defer t.Flush()
	t.line("node", "%v", directory.NodeIDOf(r.Identity))
	t.line("may be", "%v", r.Roles)
	t.line("attestor", "%v", r.Kind)
	t.line("attestation key", "%x", r.KeyHash())
	if r.Kind != tao.Soft {
		t.line("TPM", "%x", r.Endorsement)
		t.line("root", "%x", r.Root)
		t.line("enrolled", "at start %d of the machine", r.Resets)
	}
	t.line("issued", "%s", r.Issued.Format(time.RFC3339))
	t.line("good until", "%s", r.Expires.Format(time.RFC3339))
	t.line("signed by", "%x", r.Signer)
	return nil
}
