package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// enrolments returns all of a node that nodes.json knows, the last of them first.
func (n *enrolledNode) enrolments() []enrolledNode {
	last := *n
	last.Earlier = nil
	return append([]enrolledNode{last}, n.Earlier...)
}

// exceeds reports whether an enrolment of a node lets it be what another one does not: in another role, for longer, or
// with another attestation key.
func (n *enrolledNode) exceeds(m *enrolledNode) bool {
	role := slices.ContainsFunc(n.Roles, func(role string) bool { return !slices.Contains(m.Roles, role) })
	return role || n.Expires.After(m.Expires) || n.Key != m.Key
}

// recordMark is what an enrolment is revoked by.
func (n *enrolledNode) recordMark() mark {
	return mark{fmt.Sprintf("enrolment of node %v of %s", n.Node, n.Issued.Format(time.DateTime)), n.Record}
}

// counts reports whether an enrolment is neither over nor revoked in the draft.
func (a *authority) counts(n *enrolledNode, now time.Time) bool {
	_, revoked := a.draft.revokes(n.Record)
	return !revoked && now.Before(n.Expires)
}

// before returns the enrolments of the same node with the same machine that count beside a new one.
func (a *authority) before(node *enrolledNode, now time.Time) (all []enrolledNode) {
	for i := range a.nodes {
		if known := &a.nodes[i]; known.sameAs(node) {
			for _, old := range known.enrolments() {
				if old.Record != node.Record && a.counts(&old, now) {
					all = append(all, old)
				}
			}
		}
	}
	return all
}

// enter puts a node in the list, in place of its last enrolment with the same machine. What counts beside that, and
// lets the node be more, is revoked; where it cannot be, it is returned as left.
func (a *authority) enter(node enrolledNode, mayRevoke bool, now time.Time) (revoked []mark, left []enrolledNode) {
	for _, old := range a.before(&node, now) {
		switch exceeds := old.exceeds(&node); {
		case exceeds && mayRevoke && old.Record != digest{}:
			revoked = append(revoked, a.revoke([]mark{old.recordMark()}, now)...)
			continue
		case exceeds:
			left = append(left, old)
		}
		node.Earlier = append(node.Earlier, old) // a later one may let it be less
	}
	i := slices.IndexFunc(a.nodes, func(n enrolledNode) bool { return n.sameAs(&node) })
	if i < 0 {
		a.nodes = append(a.nodes, node)
		return revoked, left
	}
	a.nodes[i] = node
	rest := slices.DeleteFunc(a.nodes[i+1:], func(n enrolledNode) bool { return n.sameAs(&node) }) // brought together from two lists
	a.nodes = a.nodes[:i+1+len(rest)]
	return revoked, left
}

// tellLeft says of enrolments that let a node be more than its last one that they count on.
func tellLeft(out io.Writer, left []enrolledNode) {
	for i := range left {
		fmt.Fprintf(out, "The %s counts beside this one until it ends, on %s: %v. Only who has the policy's key can revoke it, with 'mixnet policy revoke %v'.\n",
			left[i].recordMark().what, left[i].Expires.Format(time.DateOnly), strings.Join(left[i].Roles, ", "), left[i].Record)
	}
}
