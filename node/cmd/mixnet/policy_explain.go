package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/tao"
)

// explanation is what policy explain was told.
type explanation struct {
	access           *access
	policy, save, at string
}

func policyExplainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain [NODE...|FILE...]",
		Short: "Say of nodes which rules of a policy they keep, and which they break",
		Long: `Judge the nodes of a running network, all of them or those whose ids are given, as clients do, and say for each rule of the
policy what was found. The policy is the one that the directory hands out, or another one: --policy tells what that would
change. Without --directory, the network is the one that 'mixnet up' runs.

With --save, each node's descriptor is kept in a folder, as a file that explain takes in place of an id. With --policy,
--policy-key and --key it needs no network then; without all three, these are those of the network that 'mixnet up' runs.
In such a file what the node has signed counts, and nothing else; the rest is for people to read.

A directory that knows the policy does not list nodes that break it: why those are refused stands in their own logs. What
cannot be seen from one look is whether a node has shown newer evidence before; clients look at that too.

The exit status is 1 where a node is refused.`,
		Example: `  mixnet policy explain --directory http://directory.example.org:8080 --key 1f…9c --policy-key 2e…8d --save nodes
  mixnet policy explain nodes/1f2e3d4c5b6a798897a6b5c4.json --policy policy.signed --policy-key 2e…8d --key 1f…9c`,
	}
	e := &explanation{access: new(access)}
	cmd.Flags().StringSliceVar(&e.access.urls, "directory", nil, "URL of the network's directory, in place of --network; once for each of its servers")
	cmd.Flags().StringVar(&e.access.key, "key", "", "public key of that directory, hexadecimal")
	cmd.Flags().StringVar(&e.access.policyKey, "policy-key", "", "public key of the network's policy, hexadecimal")
	e.access.file = networkFlag(cmd)
	cmd.MarkFlagsMutuallyExclusive("network", "directory")
	cmd.Flags().StringVar(&e.policy, "policy", "", "file of the policy to judge by, as 'mixnet policy sign' makes it (default the directory's)")
	cmd.Flags().StringVar(&e.save, "save", "", "folder to keep the nodes' descriptors in")
	cmd.Flags().StringVar(&e.at, "at", "", "judge files as of a time, like 2026-01-31T12:00:00Z (default now)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ids, files, err := sortArguments(args)
		if err != nil {
			return err
		}
		r, listed, err := e.gather(cmd.Context(), ids, files)
		if err != nil {
			return err
		}
		if e.save != "" {
			if err := saveDescriptors(e.save, listed, r.now); err != nil {
				return err
			}
		}
		return r.explain(cmd.OutOrStdout(), listed)
	}
	return cmd
}

// sortArguments tells ids of nodes from files.
func sortArguments(args []string) (ids []directory.NodeID, files []string, err error) {
	for _, argument := range args {
		var id directory.NodeID
		if len(argument) == 2*len(id) && id.UnmarshalText([]byte(argument)) == nil {
			ids = append(ids, id)
		} else if exists(argument) {
			files = append(files, argument)
		} else {
			return nil, nil, fmt.Errorf("no node and no file is called %s: ids of nodes have %d hexadecimal digits", clean(argument), 2*len(id))
		}
	}
	if len(ids) > 0 && len(files) > 0 {
		return nil, nil, errors.New("give ids of nodes, which are looked for in a network, or files, not both")
	}
	return ids, files, nil
}

// reading is how explain reads descriptors: by a policy, for a directory's network, as of a time.
type reading struct {
	policy    *tao.Policy
	directory ed25519.PublicKey
	now       time.Time
}

// gather returns how to read, and what.
func (e *explanation) gather(ctx context.Context, ids []directory.NodeID, files []string) (*reading, []*listedNode, error) {
	if len(files) > 0 {
		return e.gatherFiles(ctx, files)
	}
	if e.at != "" {
		return nil, nil, errors.New("--at is for files: a network is judged as it is now")
	}
	r, listed, err := e.gatherNetwork(ctx)
	if err != nil {
		return nil, nil, err
	}
	if len(ids) > 0 {
		if listed, err = pick(listed, ids); err != nil {
			return nil, nil, err
		}
	}
	if len(listed) == 0 {
		return nil, nil, errors.New("the directory lists no node: those that it refuses say why in their logs")
	}
	return r, listed, nil
}

// gatherNetwork returns how to read what a network's directory lists, and that.
func (e *explanation) gatherNetwork(ctx context.Context) (*reading, []*listedNode, error) {
	client, where, err := e.access.directory()
	if err != nil {
		return nil, nil, err
	}
	if client.Policy == nil {
		return nil, nil, fmt.Errorf("nothing says by whose policy the network %s is to be judged: give the policy's public key with --policy-key, and with --directory, the directory's", where)
	}
	r := &reading{directory: client.Key, now: time.Now()}
	signed, descriptors, err := client.Inspect(ctx)
	if err != nil {
		return nil, nil, err
	}
	var listed []*listedNode
	for _, d := range descriptors {
		listed = append(listed, newListedNode("in the view", d))
	}
	if e.policy != "" {
		r.policy, err = readPolicy(e.policy, client.Policy)
	} else if len(signed) == 0 {
		err = fmt.Errorf("the network %s has no policy: its directory.toml names one in [policy]; or judge by one of yours, with --policy", where)
	} else if r.policy, err = tao.ParsePolicy(signed, client.Policy); err != nil {
		err = &remedied{fmt.Sprintf("the directory's policy: %s", wrongs(err)), "is --policy-key the right one?"}
	}
	return r, listed, err
}

// gatherFiles does as gather does for files that were saved.
func (e *explanation) gatherFiles(ctx context.Context, files []string) (r *reading, listed []*listedNode, err error) {
	if len(e.access.urls) > 0 || e.save != "" {
		return nil, nil, errors.New("files are judged without a network: leave --directory and --save out")
	}
	given := e.policy != "" || e.access.policyKey != "" || e.access.key != ""
	if !given && exists(*e.access.file) {
		r, _, err = e.gatherNetwork(ctx)
	} else {
		r, err = e.withoutNetwork()
	}
	if err != nil {
		return nil, nil, err
	}
	if e.at != "" {
		if r.now, err = time.Parse(time.RFC3339, e.at); err != nil {
			return nil, nil, fmt.Errorf("--at %s: is no time like 2026-01-31T12:00:00Z", clean(e.at))
		}
	}
	for _, file := range files {
		n, err := readDescriptor(file)
		if err != nil {
			return nil, nil, err
		}
		listed = append(listed, n)
	}
	return r, listed, nil
}

// withoutNetwork returns how to read by what flags give alone.
func (e *explanation) withoutNetwork() (*reading, error) {
	if e.policy == "" || e.access.policyKey == "" || e.access.key == "" {
		return nil, errors.New("files are judged by a policy, which its key has signed, for the network of a directory: give all three, with --policy, --policy-key and --key")
	}
	if err := checkPolicyKeyFlag(e.access.policyKey); err != nil {
		return nil, err
	}
	r := &reading{now: time.Now()}
	var err error
	if r.directory, err = parsePublicKey(e.access.key); err != nil {
		return nil, fmt.Errorf("--key %w: copy it from where 'mixnet init directory' printed it", err)
	}
	if r.policy, err = readPolicy(e.policy, parsePolicyKey(e.access.policyKey)); err != nil {
		return nil, err
	}
	return r, nil
}

// pick returns the nodes with these ids.
func pick(listed []*listedNode, ids []directory.NodeID) (picked []*listedNode, err error) {
	for _, id := range ids {
		i := slices.IndexFunc(listed, func(n *listedNode) bool { return n.id == id })
		if i < 0 {
			return nil, fmt.Errorf("the directory does not list node %v: it does not run, or the directory refuses it, which the node's log says", id)
		}
		picked = append(picked, listed[i])
	}
	return picked, nil
}

// explain writes what the policy says of nodes. The error is errReported where it refuses one.
func (r *reading) explain(out io.Writer, listed []*listedNode) error {
	fmt.Fprintf(out, "By version %d of the policy of %x, at %s:\n\n", r.policy.Version, r.policy.Key, r.now.UTC().Format(time.RFC3339))
	accepted := 0
	for i, n := range listed {
		if i > 0 {
			fmt.Fprintln(out)
		}
		if r.explainNode(out, n) {
			accepted++
		}
	}
	if len(listed) > 1 {
		fmt.Fprintf(out, "\n%d of %d nodes are accepted.\n", accepted, len(listed))
	}
	if accepted < len(listed) {
		return errReported
	}
	return nil
}

// explainNode writes what the policy says of one node, and returns whether it accepts it.
func (r *reading) explainNode(out io.Writer, n *listedNode) (accepted bool) {
	fmt.Fprintf(out, "%s\n", n.title())
	until, first := time.Time{}, error(nil)
	findings := []tao.Finding{r.checkDescriptor(n)}
	if n.desc != nil {
		more, verdict := r.policy.Explain(n.desc.Evidence, directory.SubjectOf(n.desc, r.directory), r.now)
		findings = append(findings, more...)
		if verdict != nil {
			until = verdict.Until
		}
	}
	t := newTable(out)
	for _, f := range findings {
		if f.Err != nil {
			t.line("  ✗ "+f.Rule, "%s", wrongs(f.Err))
			if first == nil {
				first = f.Err
			}
			continue
		}
		t.line("  ✓ "+f.Rule, "%s", f.Detail)
	}
	for _, m := range n.marks() {
		t.line("    SHA-256 of "+m.what, "%v", m.hash)
	}
	t.Flush()
	if first != nil {
		fmt.Fprintf(out, "REFUSED: %s\n", wrongs(first))
		return false
	}
	if n.desc.Expires.Before(until) {
		until = n.desc.Expires
	}
	fmt.Fprintf(out, "ACCEPTED for %v, until %s\n", lapse(until.Sub(r.now)), until.Format(time.RFC3339))
	return true
}

// checkDescriptor says of a descriptor what needs no policy.
func (r *reading) checkDescriptor(n *listedNode) tao.Finding {
	const rule = "descriptor"
	switch {
	case n.err != nil:
		return tao.Finding{Rule: rule, Err: n.err}
	case !r.now.Before(n.desc.Expires):
		return tao.Finding{Rule: rule, Err: fmt.Errorf("it was good until %s, and now is %s", n.desc.Expires.Format(time.RFC3339), r.now.UTC().Format(time.RFC3339))}
	}
	return tao.Finding{Rule: rule, Detail: "signed by the node, good until " + n.desc.Expires.Format(time.RFC3339)}
}

// title names a node.
func (n *listedNode) title() string {
	if n.desc == nil {
		return "node " + n.from
	}
	return clean(fmt.Sprintf("node %v at %s, %v", n.id, n.desc.Address, n.desc.Role()))
}

// marks returns what can be revoked of a node.
func (n *listedNode) marks() []mark {
	if n.desc == nil {
		return nil
	}
	marks := []mark{{"the node", tao.IdentityHash(n.desc.Identity)}}
	evidence, err := tao.ParseEvidence(n.desc.Evidence)
	if err != nil {
		return marks
	}
	record, err := tao.ParseRecord(evidence.Record)
	if err != nil {
		return marks
	}
	marks = append(marks, mark{"its key", record.KeyHash()}, mark{"its enrolment", record.Hash()})
	if record.Kind != tao.Soft {
		marks = append(marks, mark{"its TPM", record.Endorsement})
	}
	return marks
}
