package main

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/tao"
)

// enrolledNode is what nodes.json says of a node: with which machine it was enrolled, so that no machine is two nodes.
type enrolledNode struct {
	Node     directory.NodeID `json:"node"`
	Identity publicKey        `json:"identity"`
	Attestor string           `json:"attestor"`
	TPM      *digest          `json:"tpm,omitempty"`  // of its endorsement key; none for a soft attestor
	Root     *digest          `json:"root,omitempty"` // who vouches for it; none for a soft attestor
	Key      digest           `json:"attestation_key"`
	Roles    []string         `json:"roles"`
	Issued   time.Time        `json:"issued"`
	Expires  time.Time        `json:"expires"`
	Signer   publicKey        `json:"signer"`
	Record   digest           `json:"enrolment"`         // by which this enrolment is revoked
	Earlier  []enrolledNode   `json:"earlier,omitempty"` // its enrolments with this machine that count too
}

// applicant returns the part of an entry that a request tells.
func applicant(r *tao.Request) (enrolledNode, error) {
	n := enrolledNode{
		Node:     directory.NodeIDOf(r.Identity),
		Identity: publicKey(r.Identity),
		Attestor: r.Kind.String(),
		Key:      digestOf(r.Key),
	}
	if r.Kind != tao.Soft {
		hash, err := tao.EndorsementHash(r.Endorsement.Public)
		if err != nil {
			return n, cleaned{err}
		}
		n.TPM = (*digest)(&hash)
	}
	return n, nil
}

// nodeOf returns the entry of a node that was enrolled.
func nodeOf(r *tao.Record) enrolledNode {
	n := enrolledNode{
		Node:     directory.NodeIDOf(r.Identity),
		Identity: publicKey(r.Identity),
		Attestor: r.Kind.String(),
		Key:      r.KeyHash(),
		Roles:    namesOf(r.Roles),
		Issued:   r.Issued.UTC().Truncate(time.Second),
		Expires:  r.Expires.UTC().Truncate(time.Second),
		Signer:   publicKey(r.Signer),
		Record:   r.Hash(),
	}
	if r.Kind != tao.Soft {
		n.TPM, n.Root = (*digest)(&r.Endorsement), (*digest)(&r.Root)
	}
	return n
}

// mark is a hash that stands for a node, or a part of one, in revocations.
type mark struct {
	what string
	hash digest
}

// marks returns all that stand for a node.
func (n *enrolledNode) marks() []mark {
	marks := []mark{
		{"node " + n.Node.String(), tao.IdentityHash(ed25519.PublicKey(n.Identity))},
		{"attestation key of node " + n.Node.String(), n.Key},
	}
	if n.TPM != nil {
		marks = append(marks, mark{"TPM of node " + n.Node.String(), *n.TPM})
	}
	return marks
}

// sameAs reports whether two entries are of one node on one machine.
func (n *enrolledNode) sameAs(m *enrolledNode) bool {
	if n.Node != m.Node || n.Attestor != m.Attestor {
		return false
	}
	if n.TPM != nil && m.TPM != nil {
		return *n.TPM == *m.TPM
	}
	return n.Key == m.Key
}

// shares says what two nodes, or two machines of one, have in common that nobody may; empty for nothing.
func (n *enrolledNode) shares(m *enrolledNode) string {
	switch {
	case n.sameAs(m):
		return ""
	case n.Node == m.Node:
		return "this node was enrolled with another machine"
	case n.TPM != nil && m.TPM != nil && *n.TPM == *m.TPM:
		return fmt.Sprintf("this TPM is that of node %v", m.Node)
	case n.Key == m.Key:
		return fmt.Sprintf("this attestation key is that of node %v", m.Node)
	}
	return ""
}

func (a *authority) readNodes() error {
	if !exists(a.file(nodesFile)) {
		return &remedied{fmt.Sprintf("there is no file %s, which says who was enrolled", a.file(nodesFile)), "bring it back from the backup: without it a machine could become a second node"}
	}
	return readStrict(a.file(nodesFile), &a.nodes)
}

func (a *authority) writeNodes() error {
	if a.nodes == nil {
		a.nodes = []enrolledNode{}
	}
	return a.replace(nodesFile, indented(a.nodes))
}

// lives reports whether nothing about a node is revoked.
func (a *authority) lives(n *enrolledNode) bool {
	return !slices.ContainsFunc(n.marks(), func(m mark) bool {
		_, revoked := a.draft.revokes(m.hash)
		return revoked
	})
}

// find returns the entry of a node: that which lives, else the last; nil for a node that never was enrolled.
func (a *authority) find(is func(*enrolledNode) bool) (found *enrolledNode) {
	for i := range a.nodes {
		if n := &a.nodes[i]; is(n) {
			if found = n; a.lives(n) {
				break
			}
		}
	}
	return found
}

// clash says which two nodes have one machine, or which has two; nil where none do.
func (a *authority) clash() error {
	for i := range a.nodes {
		for j := range a.nodes[:i] {
			n, m := &a.nodes[i], &a.nodes[j]
			if shared := n.shares(m); shared != "" && a.lives(n) && a.lives(m) {
				return &remedied{fmt.Sprintf("%s names node %v twice or with another one's machine: %s", a.file(nodesFile), n.Node, shared), "revoke one of them"}
			}
		}
	}
	return nil
}

// revoke adds marks to the draft's revocations, and returns those that were not there.
func (a *authority) revoke(marks []mark, now time.Time) (added []mark) {
	for _, m := range marks {
		if _, known := a.draft.revokes(m.hash); !known {
			a.draft.Revoked = append(a.draft.Revoked, revocation{m.hash, fmt.Sprintf("%s, %s", m.what, now.UTC().Format(time.DateOnly))})
			added = append(added, m)
		}
	}
	return added
}

func policyRevokeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke NODE|SHA256",
		Short: "Trust a node, a machine or a program no more",
		Long: `Revoke a node that was enrolled here, by its id: the node, its attestation key and its TPM, none of which can be enrolled
anew then. Or revoke what has a SHA-256: a program, a TPM's endorsement key, an attestation key, one enrolment of a node or
a node's identity.
It is in force when the policy is signed, and directories, nodes and clients have that. --remove takes it back.`,
		Example: "  mixnet policy revoke 1f2e3d4c5b6a798897a6b5c4\n  mixnet policy revoke 1f2e3d4c5b6a798897a6b5c4 --remove",
		Args:    oneArgument("the id of a node, or a SHA-256"),
	}
	dir := policyDirFlag(cmd)
	remove := cmd.Flags().Bool("remove", false, "take the revocation back")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return editPolicy(cmd, *dir, func(a *authority) (string, error) {
			marks, err := a.marksOf(args[0])
			if err != nil {
				return "", err
			}
			if *remove {
				return fmt.Sprintf("%s is revoked no more.", args[0]), a.unrevoke(args[0], marks)
			}
			added := a.revoke(marks, time.Now())
			if len(added) == 0 {
				return "", fmt.Errorf("%s is revoked already", args[0])
			}
			var lines []string
			for _, m := range added {
				lines = append(lines, fmt.Sprintf("Revoked the %s: %v", m.what, m.hash))
			}
			if len(marks) == 1 && marks[0].what == unknownMark {
				lines = append(lines, "Nothing that was enrolled or allowed here has this SHA-256. The public key of a node is none: 'mixnet policy explain' shows it.")
			}
			return strings.Join(lines, "\n"), nil
		})
	}
	return cmd
}

// marksOf returns what an argument of revoke stands for.
func (a *authority) marksOf(argument string) ([]mark, error) {
	var id directory.NodeID
	if len(argument) == 2*len(id) && id.UnmarshalText([]byte(argument)) == nil {
		n := a.find(func(n *enrolledNode) bool { return n.Node == id })
		if n == nil {
			return nil, &remedied{fmt.Sprintf("%s names no node %s", a.file(nodesFile), argument), "give the SHA-256 of what is to be revoked, as 'mixnet policy explain' shows it"}
		}
		return n.marks(), nil
	}
	hash, err := parseDigest(argument)
	if err != nil {
		return nil, fmt.Errorf("%q is neither the id of a node, %d hexadecimal digits, nor a SHA-256, 64 of them", clean(argument), 2*len(id))
	}
	if n := a.find(func(n *enrolledNode) bool { return slices.Equal(n.Identity, hash[:]) }); n != nil {
		return n.marks(), nil // it is the node's public key, and no hash of anything
	}
	for i := range a.nodes {
		marks := a.nodes[i].marks()
		for _, n := range a.nodes[i].enrolments() {
			marks = append(marks, n.recordMark())
		}
		for _, m := range marks {
			if m.hash == hash {
				return []mark{m}, nil
			}
		}
	}
	for _, p := range a.draft.Programs {
		if p.SHA256 == hash {
			return []mark{{"program " + clean(p.Name), hash}}, nil
		}
	}
	return []mark{{unknownMark, hash}}, nil
}

const unknownMark = "program, TPM, attestation key, enrolment or node"

// unrevoke takes marks back.
func (a *authority) unrevoke(argument string, marks []mark) error {
	before := len(a.draft.Revoked)
	a.draft.Revoked = slices.DeleteFunc(a.draft.Revoked, func(r revocation) bool {
		return slices.ContainsFunc(marks, func(m mark) bool { return m.hash == r.SHA256 })
	})
	if len(a.draft.Revoked) == before {
		return fmt.Errorf("%s is not revoked", argument)
	}
	return a.clash()
}

// editPolicy changes a draft, says what was changed, and what makes it count.
func editPolicy(cmd *cobra.Command, dir string, change func(*authority) (said string, err error)) error {
	a, err := openAuthority(dir)
	if err != nil {
		return err
	}
	defer a.close()
	said, err := change(a)
	if err != nil {
		return err
	}
	if err := a.writeDraft(); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s\nIn force after 'mixnet policy sign%s'.\n", said, inFolder(dir))
	return nil
}
