package directory

import (
	"crypto/ed25519"
	"fmt"
	"sync"
	"time"

	"sphinxmix.example/tao"
)

// What a judge remembers at most.
const (
	maxClocks = 2 * MaxNodes // of attestation keys
	maxStamps = MaxNodes
)

// judge judges the evidence in descriptors. It remembers what does not stand in any one of them: the clock that each
// attestation key has shown, so that what was quoted before is not believed after; and the stamps of its directory,
// which many nodes have in common.
type judge struct {
	directory ed25519.PublicKey

	mu     sync.Mutex
	clocks map[[32]byte]shown   // by the hash of the attestation key; guarded by mu
	stamps map[string]time.Time // guarded by mu
}

// shown is what the clock of an attestor was, and when it was seen.
type shown struct {
	tao.Clock
	seen time.Time
}

func newJudge(directoryKey ed25519.PublicKey) *judge {
	return &judge{directory: directoryKey, clocks: make(map[[32]byte]shown), stamps: make(map[string]time.Time)}
}

// judgement is what a policy says of a descriptor. The zero value is that of one that was not judged.
type judgement struct {
	policy  *tao.Policy
	at      time.Time
	verdict *tao.Verdict // nil where the descriptor is refused
	err     error        // why it is
}

// stands reports whether judging anew would come to the same. A refusal does not stand where a clock that was ahead has
// been put back; what was not refused is good until its verdict ends.
func (j *judgement) stands(by *tao.Policy, now time.Time) bool {
	return j.policy == by && (j.err == nil || !now.Before(j.at))
}

// judge returns what a policy says of a descriptor whose signature holds. It costs one Verify, of which a stamp that is
// known is no part.
func (j *judge) judge(d *Descriptor, p *tao.Policy, now time.Time) judgement {
	if len(d.Evidence) == 0 {
		return judgement{p, now, nil, fmt.Errorf("%w: there is none", tao.ErrEvidence)}
	}
	subject := SubjectOf(d, j.directory)
	subject.Stamped, subject.Seen = j.stamped, j.shownBy
	verdict, err := p.Verify(d.Evidence, subject, now)
	if err != nil {
		return judgement{p, now, nil, err}
	}
	if verdict.Record.Kind != tao.Soft {
		j.remember(verdict.Record.KeyHash(), shown{verdict.Clock, now})
	}
	return judgement{p, now, verdict, nil}
}

func (j *judge) shownBy(key [32]byte) tao.Clock {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.clocks[key].Clock
}

// remember keeps the later of what was shown and what is shown now: another descriptor by the same key may have been
// judged meanwhile. Of too many keys it forgets the one that was seen longest ago.
func (j *judge) remember(key [32]byte, now shown) {
	j.mu.Lock()
	defer j.mu.Unlock()
	before, known := j.clocks[key]
	if known && now.Clock.Before(before.Clock) {
		now.Clock = before.Clock
	}
	if !known && len(j.clocks) == maxClocks {
		var oldest [32]byte
		first := true
		for key, s := range j.clocks {
			if first || s.seen.Before(j.clocks[oldest].seen) {
				oldest, first = key, false
			}
		}
		delete(j.clocks, oldest)
	}
	j.clocks[key] = now
}

// stamped does what ParseStamp does, and checks no signature twice.
func (j *judge) stamped(stamp []byte) (time.Time, error) {
	j.mu.Lock()
	made, known := j.stamps[string(stamp)]
	j.mu.Unlock()
	if known {
		return made, nil
	}
	made, err := ParseStamp(stamp, j.directory)
	if err != nil {
		return time.Time{}, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.stamps) == maxStamps {
		clear(j.stamps)
	}
	j.stamps[string(stamp)] = made
	return made, nil
}
