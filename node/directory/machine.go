package directory

import (
	"fmt"
	"slices"
	"time"
)

// doubles returns why some of the nodes that the policy trusts are refused all the same: their machine is another node of
// the view, too. Several enrollers may have enrolled it, none of whom knows of the others; and a path has different
// machines only where each is one node. The node that was enrolled last stays, which is what is wanted of a machine that
// was set up anew; of those that were enrolled in the same second it is the one with the lowest id. What has expired at that
// time counts for nothing.
func doubles(all []*understood, now time.Time) map[*understood]error {
	var trusted []*understood
	for _, u := range all {
		if u.verdict != nil && now.Before(u.verdict.Until) && !u.desc.expired(now) {
			trusted = append(trusted, u)
		}
	}
	slices.SortFunc(trusted, func(a, b *understood) int {
		if order := b.verdict.Record.Issued.Compare(a.verdict.Record.Issued); order != 0 {
			return order
		}
		return compare(a.id, b.id)
	})
	refused := make(map[*understood]error)
	byKey, byTPM := make(map[[32]byte]NodeID, len(trusted)), make(map[[32]byte]NodeID, len(trusted))
	for _, u := range trusted {
		record := u.verdict.Record
		key, tpm := record.KeyHash(), record.Endorsement
		other, taken := byKey[key]
		if !taken && tpm != [32]byte{} {
			other, taken = byTPM[tpm]
		}
		if taken {
			refused[u] = fmt.Errorf("%w: %s, which was enrolled later or has the lower id", ErrSameMachine, other)
			continue
		}
		byKey[key] = u.id
		if tpm != [32]byte{} {
			byTPM[tpm] = u.id
		}
	}
	return refused
}
