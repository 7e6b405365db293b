package main

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sphinxmix.example/tao"
)

func policySignCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sign",
		Short: "Sign the draft, for directories to hand out",
		Long: `Sign the draft, and write policy.signed, which directories hand out: copy it to where their [policy] file is, which they read
again when it changes. What is signed, and what may be a mistake in it, is printed.

A policy is good for a while, and then nobody is trusted by it. Sign it anew in time, as it is or changed: its version
rises, and who has seen a newer one takes no older one.`,
		Example: "  mixnet policy sign\n  mixnet policy sign --days 7",
		Args:    noArguments,
	}
	dir := policyDirFlag(cmd)
	days := daysFlag(cmd, 30, "how many days the policy is good for")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		lasts, err := checkDays(*days)
		if err != nil {
			return err
		}
		a, err := openAuthority(*dir)
		if err != nil {
			return err
		}
		defer a.close()
		return a.sign(cmd.OutOrStdout(), cmd.ErrOrStderr(), time.Now(), lasts)
	}
	return cmd
}

// sign signs the draft at a time.
func (a *authority) sign(out, warnings io.Writer, now time.Time, lasts time.Duration) error {
	key, err := a.key()
	if err != nil {
		return err
	}
	last, err := a.signed()
	if err != nil {
		return err
	}
	version := uint64(now.UnixMilli())
	if last != nil {
		version = max(version, last.Version+1)
	}
	policy, err := a.draft.policy(version, now, now.Add(lasts))
	if err == nil {
		err = a.clash()
	}
	if err == nil {
		_, err = a.authorities()
	}
	if err != nil {
		return fmt.Errorf("nothing was signed: %w", err)
	}
	signed, err := policy.Sign(key)
	if err != nil {
		return &remedied{fmt.Sprintf("nothing was signed: %s", wrongs(err)), "change " + a.file(draftFile)}
	}
	policy, err = tao.ParsePolicy(signed, key.Public().(ed25519.PublicKey)) // what others will read
	if err != nil {
		return err
	}
	if err := writeBlock(a.file(signedPolicyFile), policyBlock, signed, 0o644); err != nil {
		return err
	}
	fmt.Fprintf(out, "Signed %s:\n\n", a.file(signedPolicyFile))
	printPolicy(out, policy, a.draft)
	for _, doubt := range a.doubts(policy, last, now) {
		fmt.Fprintf(warnings, "Note: %s.\n", doubt)
	}
	fmt.Fprintf(out, "\nNext, on the machine of each directory, where the policy's file is as its directory.toml says ([policy]):\n  copy %s there; it is read again when it changes\n", a.file(signedPolicyFile))
	return nil
}

// What a policy that is no mistake keeps to.
const (
	shortestAge = 10 * time.Minute
	longestLife = 90 * 24 * time.Hour
)

// doubts says what may be a mistake in a policy.
func (a *authority) doubts(p, last *tao.Policy, now time.Time) (all []string) {
	doubt := func(format string, arguments ...any) { all = append(all, clean(fmt.Sprintf(format, arguments...))) }
	if slices.Contains(p.Attestors, tao.Soft) {
		doubt("nodes without a TPM are accepted, whose evidence proves nothing of their machines")
	}
	if len(p.Attestors) == 0 {
		doubt("no attestor is accepted: every node is refused")
	}
	if slices.Contains(p.Attestors, tao.TPM) && len(p.Roots) == 0 {
		doubt("nobody vouches for a TPM: every node with one is refused ('mixnet policy allow root', 'mixnet policy allow tpm')")
	}
	if len(p.Programs) == 0 {
		doubt("no program is allowed: every node is refused ('mixnet policy allow program')")
	}
	if len(p.Settings) == 0 {
		doubt("no configuration is allowed: every node is refused ('mixnet policy allow configuration')")
	}
	ofStart := func(r tao.RegisterRule) bool { return r.Index != p.LogRegister }
	if slices.Contains(p.Attestors, tao.TPM) && !slices.ContainsFunc(p.Registers, ofStart) {
		doubt("no register of the machines' start is wanted: that programs measure themselves truly is taken from whoever has root there ('mixnet policy allow register')")
	}
	if p.MaxAge < shortestAge {
		doubt("nodes have to quote again within %v, and a directory takes news of a node once a minute: give max_age %v or more", p.MaxAge, shortestAge)
	}
	if life := p.Expires.Sub(p.Issued); life > longestLife {
		doubt("it is good for %d days, and so long can a directory hide its revocations from who has not seen a newer one", int(life/(24*time.Hour)))
	}
	for _, program := range p.Programs {
		if slices.Contains(p.Revoked, program.Digest) {
			doubt("the program %s (%x) is allowed, and revoked: it is refused", program.Name, program.Digest)
		}
	}
	for _, e := range p.Enrollers {
		switch {
		case !now.Before(e.Expires):
			doubt("%x could enrol nodes until %s: those are refused now", e.Key, e.Expires.Format(time.DateOnly))
		case e.Expires.Before(p.Expires):
			doubt("%x may enrol nodes until %s, before the policy ends: those are refused then", e.Key, e.Expires.Format(time.DateOnly))
		}
	}
	if last != nil && last.Version > uint64(now.Add(24*time.Hour).UnixMilli()) {
		doubt("the last policy had a version of the future: is the clock of this machine right?")
	}
	for i := range a.nodes {
		if n := &a.nodes[i]; a.lives(n) {
			if why := n.refusedBy(p); why != "" {
				doubt("node %v, which was enrolled, is refused: %s", n.Node, why)
			} else if n.Expires.Before(p.Expires) {
				doubt("the enrolment of node %v ends on %s", n.Node, n.Expires.Format(time.DateOnly))
			}
			for _, old := range n.Earlier {
				if old.exceeds(n) && a.counts(&old, now) && old.refusedBy(p) == "" {
					doubt("the %s lets it be more than its last one, and counts until %s: %v ('mixnet policy revoke %v')",
						old.recordMark().what, old.Expires.Format(time.DateOnly), strings.Join(old.Roles, ", "), old.Record)
				}
			}
		}
	}
	return all
}

// refusedBy says why a policy refuses a node whatever it runs; empty where it need not.
func (n *enrolledNode) refusedBy(p *tao.Policy) string {
	kind, err := tao.ParseKind(n.Attestor)
	signer := bytes.Equal(n.Signer, p.Key) || slices.ContainsFunc(p.Enrollers, func(e tao.Enroller) bool { return bytes.Equal(n.Signer, e.Key) })
	for _, m := range append(n.marks(), n.recordMark()) {
		if slices.Contains(p.Revoked, [32]byte(m.hash)) {
			return "the " + m.what + " is revoked"
		}
	}
	switch {
	case err != nil || !slices.Contains(p.Attestors, kind):
		return fmt.Sprintf("its attestor is a %s one", n.Attestor)
	case !signer:
		return fmt.Sprintf("%v enrolled it, who may not do that any more", n.Signer)
	case n.Root != nil && !slices.Contains(p.Roots, [32]byte(*n.Root)):
		return "nobody vouches for its TPM any more"
	case !n.Expires.After(p.Issued):
		return "its enrolment ended on " + n.Expires.Format(time.DateOnly)
	}
	return ""
}
