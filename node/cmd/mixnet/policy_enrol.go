package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/tao"
)

// enrolment is what policy enrol was told.
type enrolment struct {
	dir, request, as, out string
	roles                 []string
	days                  int
	replace               bool
}

func policyEnrolCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "enrol REQUEST",
		Short: "Let a node in, with its machine",
		Long: `Check what 'mixnet node enrol' has made on a node's machine, and make a grant of it that only this machine's TPM can open.
The request must be signed by the node, quoted by its attestation key, and be of a TPM that a root of the draft vouches
for. 'mixnet policy show REQUEST' prints it before: compare the node's id with what its operator tells you.

A node that is enrolled anew for less, in fewer roles or for a shorter time, or with another attestation key, has what it
was enrolled with before revoked. With --as that cannot be: it counts until it ends.

A TPM is one node, and a node has one TPM. What would be a second one is refused; with --replace the first is revoked.
That is looked after by nodes.json of this one folder: bring the copies of those who enrol nodes with --as back together
with it. Of the nodes with one TPM, those who read a network's view keep only the one that was enrolled last.`,
		Example: "  mixnet policy show request.pem\n  mixnet policy enrol request.pem\n  mixnet policy enrol request.pem --role mix --days 90",
		Args:    oneArgument("the request of a node"),
	}
	e := new(enrolment)
	dir := policyDirFlag(cmd)
	cmd.Flags().StringSliceVar(&e.roles, "role", nil, "what the node may be, of what it asks for: mix, exit, directory (default all that it asks for)")
	cmd.Flags().IntVar(&e.days, "days", 365, "how many days the enrolment is good for")
	cmd.Flags().StringVar(&e.as, "as", "", "file with the key of an enroller, in place of the policy's key")
	cmd.Flags().StringVar(&e.out, "out", "", "file of the grant (default beside the request: grant.pem for request.pem)")
	cmd.Flags().BoolVar(&e.replace, "replace", false, "revoke what was enrolled before with this node's id or machine")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		e.dir, e.request = *dir, args[0]
		a, err := openAuthority(e.dir)
		if err != nil {
			return err
		}
		defer a.close()
		return a.enrol(cmd.OutOrStdout(), e)
	}
	return cmd
}

// enrol checks a request, writes down whom it enrols, and makes the grant.
func (a *authority) enrol(out io.Writer, e *enrolment) error {
	r, err := readRequest(e.request)
	if err != nil {
		return err
	}
	lasts, err := checkDays(e.days)
	if err != nil {
		return err
	}
	roles := r.Roles
	if len(e.roles) > 0 {
		if roles, err = checkRoles(e.roles); err != nil {
			return err
		}
	}
	if e.as != "" && e.replace {
		return errors.New("--replace revokes what was there before, which only the policy's key can: leave --as out, where that key is")
	}
	now := time.Now()
	signer, err := a.signer(e.as, now)
	if err != nil {
		return err
	}
	if !a.draft.accepts(r.Kind) {
		return &remedied{fmt.Sprintf("the node's attestor is a %v one, which the draft does not accept", r.Kind), adviceToAccept(r.Kind, e.dir)}
	}
	node, err := applicant(r)
	if err != nil {
		return err
	}
	replaced, err := a.admit(node, e.replace, now)
	if err != nil {
		return err
	}
	authorities, err := a.authorities()
	if err != nil {
		return err
	}
	roots := tao.Roots{Authorities: authorities}
	for _, t := range a.draft.TPMs {
		roots.Endorsements = append(roots.Endorsements, t.SHA256)
	}
	grant, record, err := tao.Grant(rand.Reader, r, signer, roots, tao.Terms{Roles: roles, Issued: now, Expires: now.Add(lasts)})
	switch {
	case errors.Is(err, tao.ErrRoot):
		return &remedied{wrongs(err), fmt.Sprintf("trust who makes such TPMs with 'mixnet policy allow root%s', or this one with 'mixnet policy allow tpm %v%s'", inFolder(e.dir), node.TPM, inFolder(e.dir))}
	case err != nil:
		return errors.New(wrongs(err))
	}
	entry := nodeOf(record)
	if _, is := a.draft.revokes(entry.Record); is {
		return errors.New("an enrolment like this one, of the same second, is revoked: try again")
	}
	narrowed, left := a.enter(entry, e.as == "", now)
	revoked := append(replaced, narrowed...)
	name := e.out
	if name == "" {
		name = grantFor(e.request)
	}
	// What was enrolled is written down before anybody has it.
	if err := a.writeDraft(); err != nil {
		return err
	}
	if err := a.writeNodes(); err != nil {
		return err
	}
	if err := writeBlock(name, grantBlock, grant, 0o644); err != nil {
		return err
	}
	printRequest(out, r)
	for _, m := range revoked {
		fmt.Fprintf(out, "Revoked the %s: %v\n", m.what, m.hash)
	}
	fmt.Fprintf(out, "\nEnrolled node %v to be: %v, until %s. %s\n", node.Node, roles, record.Expires.Format(time.DateOnly), a.vouched(record))
	tellLeft(out, left)
	if err := a.adviseToSign(out, &entry, len(revoked) > 0); err != nil {
		return err
	}
	fmt.Fprintf(out, "Next, with %s on the node's machine:\n  mixnet node enrol --config NODE.toml --grant %s\n", name, filepath.Base(name))
	return nil
}

// grantFor names the grant of a request.
func grantFor(request string) string {
	folder, name := filepath.Split(request)
	if strings.Contains(name, "request") {
		return filepath.Join(folder, strings.Replace(name, "request", "grant", 1))
	}
	return filepath.Join(folder, "grant-"+name)
}

func adviceToAccept(kind tao.Kind, dir string) string {
	if kind == tao.Soft {
		return fmt.Sprintf("for trying out, 'mixnet policy allow soft%s'", inFolder(dir))
	}
	return fmt.Sprintf("add %q to the attestors in %s", kind, filepath.Join(dir, draftFile))
}

// signer returns the key that enrols: that of the policy, or that in a file, to which the draft must delegate.
func (a *authority) signer(as string, now time.Time) (ed25519.PrivateKey, error) {
	if as == "" {
		return a.key()
	}
	key, err := readKey(as)
	if err != nil {
		return nil, err
	}
	public := publicKey(key.Public().(ed25519.PublicKey))
	if slices.Equal(public, a.draft.Key) {
		return key, nil
	}
	i := slices.IndexFunc(a.draft.Enrollers, func(d delegation) bool { return slices.Equal(d.Key, public) })
	switch {
	case i < 0:
		return nil, &remedied{fmt.Sprintf("the draft lets nobody with the key %v enrol nodes", public), fmt.Sprintf("where the policy's key is: 'mixnet policy allow enroller %v', and sign", public)}
	case !now.Before(a.draft.Enrollers[i].Expires):
		return nil, &remedied{fmt.Sprintf("the key %v could enrol nodes until %s", public, a.draft.Enrollers[i].Expires.Format(time.RFC3339)), fmt.Sprintf("where the policy's key is: 'mixnet policy allow enroller %v', and sign", public)}
	}
	return key, nil
}

// admit refuses a node that was enrolled with another machine, and a machine that is another node. With replace, what
// is left of the one before is revoked instead: all but what the new one has too.
func (a *authority) admit(node enrolledNode, replace bool, now time.Time) (revoked []mark, err error) {
	for _, m := range node.marks() {
		if name, is := a.draft.revokes(m.hash); is {
			return nil, &remedied{fmt.Sprintf("the %s is revoked (%s)", m.what, clean(name)), fmt.Sprintf("if that was a mistake, 'mixnet policy revoke %v --remove'", m.hash)}
		}
	}
	for i := range a.nodes {
		known := &a.nodes[i]
		shared := node.shares(known)
		if shared == "" || !a.lives(known) {
			continue
		}
		if !replace {
			return nil, &remedied{fmt.Sprintf("%s, since %s", shared, known.Issued.Format(time.DateOnly)), "a machine is one node, and a node has one machine: to put this one in the place of that one, which is revoked then, say --replace"}
		}
		kept := node.marks()
		others := slices.DeleteFunc(known.marks(), func(m mark) bool {
			return slices.ContainsFunc(kept, func(k mark) bool { return k.hash == m.hash })
		})
		revoked = append(revoked, a.revoke(others, now)...)
	}
	return revoked, nil
}

// vouched says who vouches for the machine of a record.
func (a *authority) vouched(r *tao.Record) string {
	if r.Kind == tao.Soft {
		return "Nobody vouches for its machine."
	}
	for _, root := range a.draft.Authorities {
		if root.SHA256 == r.Root {
			return fmt.Sprintf("Its TPM is one of %s.", clean(root.Name))
		}
	}
	for _, t := range a.draft.TPMs {
		if t.SHA256 == r.Root {
			return fmt.Sprintf("Its TPM is trusted by its hash (%s).", orNameless(t.Name))
		}
	}
	return ""
}

// adviseToSign says that the policy that is in force does not do for a node, or for what was revoked, where it does
// not.
func (a *authority) adviseToSign(out io.Writer, node *enrolledNode, revoked bool) error {
	p, err := a.signed()
	if err != nil {
		return err
	}
	switch {
	case p == nil || node.refusedBy(p) != "":
		fmt.Fprintf(out, "It counts after the policy has been signed anew, 'mixnet policy sign%s'.\n", inFolder(a.dir))
	case revoked:
		fmt.Fprintf(out, "What is revoked counts until the policy has been signed anew, 'mixnet policy sign%s'. Take the grant to the node before.\n", inFolder(a.dir))
	}
	return nil
}

// readRequest reads and checks a request.
func readRequest(name string) (*tao.Request, error) {
	signed, err := readBlock(name, requestBlock)
	if err != nil {
		return nil, &remedied{wrongs(err), "name the file that 'mixnet node enrol' has made on the node's machine"}
	}
	r, err := tao.ParseRequest(signed)
	if err != nil {
		return nil, &remedied{fmt.Sprintf("%s: %s", name, wrongs(err)), "let it be made anew, and sent as it is"}
	}
	return r, nil
}

// printRequest writes what a person has to know of a request.
func printRequest(to io.Writer, r *tao.Request) {
	t := newTable(to)
	defer t.Flush()
	t.line("node", "%v", directory.NodeIDOf(r.Identity))
	t.line("wants to be", "%v", r.Roles)
	if r.Kind == tao.Soft {
		t.line("attestor", "soft: a key in a file, which proves nothing of its machine")
	} else {
		t.line("attestor", "a TPM, at start %d of its machine, on for %v", r.Clock.Resets, lapse(time.Duration(r.Clock.Time)*time.Millisecond))
		if hash, err := tao.EndorsementHash(r.Endorsement.Public); err != nil {
			t.line("TPM", "%v", err)
		} else {
			t.line("TPM", "%x", hash)
		}
		printCertificates(t, r.Endorsement.Certificates)
	}
	t.line("attestation key", "%x", sha256.Sum256(r.Key))
	for _, register := range r.Registers {
		t.line(fmt.Sprintf("register %d", register.Index), "%x", register.Value)
	}
}

func printCertificates(t table, certificates [][]byte) {
	if len(certificates) == 0 {
		t.line("certificate", "none: somebody has to know this TPM by its hash")
	}
	for i, der := range certificates {
		name := "certificate"
		if i > 0 {
			name = "issuer's"
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.line(name, "cannot be read: %v", err)
			continue
		}
		t.line(name, "%s, by %s, good until %s; who issued it is checked by 'mixnet policy enrol'", subjectOf(c), c.Issuer, c.NotAfter.Format(time.DateOnly))
	}
}

// subjectOf names whom a certificate is for: those of TPMs often have no subject.
func subjectOf(c *x509.Certificate) string {
	if name := c.Subject.String(); name != "" {
		return name
	}
	return "serial number " + strings.ToLower(c.SerialNumber.Text(16))
}
