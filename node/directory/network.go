package directory

import (
	"crypto/sha256"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"sphinxmix.example/sphinx"
)

// Network is what all who use a network must agree on. Its directory publishes it in every view.
type Network struct {
	sphinx.Params // of all packets; never with the insecure key schedule

	// Epoch is how long a mix key is the current one: whole seconds, 1 s to MaxEpoch. Epoch 0 began in 1970, so that
	// everybody with a clock agrees on the current one.
	Epoch time.Duration

	// MeanDelay is the mean of the exponentially distributed delays that packets ask mixes for: whole milliseconds, up
	// to MaxMeanDelay. Zero in networks whose mixes do not heed delays.
	MeanDelay time.Duration
}

// The limits of a Network.
const (
	MaxEpoch     = 7 * 24 * time.Hour
	MaxMeanDelay = MaxDelay / 10 // so that a routing block can ask for the longest delay of any network
)

// LongestDelay returns 10 times MeanDelay, which is at most MaxDelay. One in 22,000 delays would exceed it: makers of
// packets draw no longer ones, and mixes hold none longer. Zero where MeanDelay is.
func (n Network) LongestDelay() time.Duration { return 10 * n.MeanDelay }

// EpochAt returns the number of the epoch that t is in; times before 1970 are in epoch 0.
func (n Network) EpochAt(t time.Time) uint64 {
	return uint64(max(t.Unix(), 0)) / uint64(n.Epoch/time.Second)
}

// EpochStart returns when the epoch of that number begins, in UTC.
func (n Network) EpochStart(number uint64) time.Time {
	return time.Unix(int64(number)*int64(n.Epoch/time.Second), 0).UTC()
}

// Validate returns nil for a network that can be. The error wraps ErrNetwork, ErrInsecureSchedule or sphinx.ErrParams.
func (n Network) Validate() error {
	if err := n.Params.Validate(); err != nil {
		return err
	}
	if n.Schedule != sphinx.BoundSchedule {
		return ErrInsecureSchedule
	}
	if n.Epoch < time.Second || n.Epoch > MaxEpoch || n.Epoch%time.Second != 0 {
		return fmt.Errorf("%w: an epoch of %v, must be whole seconds, 1 s to %v", ErrNetwork, n.Epoch, MaxEpoch)
	}
	if n.MeanDelay < 0 || n.MeanDelay > MaxMeanDelay || n.MeanDelay%time.Millisecond != 0 {
		return fmt.Errorf("%w: a mean delay of %v, must be whole milliseconds, 0 to %v", ErrNetwork, n.MeanDelay, MaxMeanDelay)
	}
	return nil
}

// Hash stands for the network in the descriptors of its nodes. n must be valid.
func (n Network) Hash() [32]byte {
	b := cryptobyte.NewBuilder([]byte(networkContext))
	n.add(b)
	return sha256.Sum256(b.BytesOrPanic())
}

const networkSize = 1 + 4 + 1 + 4 + 4 // of an encoded network, in bytes

// The numbers of the key schedules on the wire are those of the packet format, not those of package sphinx.
const (
	scheduleReference = 0
	scheduleBound     = 1
)

func (n Network) add(b *cryptobyte.Builder) {
	b.AddUint8(uint8(n.MaxHops))
	b.AddUint32(uint32(n.PayloadSize))
	if n.Schedule == sphinx.BoundSchedule {
		b.AddUint8(scheduleBound)
	} else {
		b.AddUint8(scheduleReference)
	}
	b.AddUint32(uint32(n.Epoch / time.Second))
	b.AddUint32(uint32(n.MeanDelay / time.Millisecond))
}

// readNetwork reads what add wrote, and checks it.
func readNetwork(s *cryptobyte.String) (Network, error) {
	var (
		maxHops, schedule         uint8
		payloadSize, epoch, delay uint32
	)
	if !s.ReadUint8(&maxHops) || !s.ReadUint32(&payloadSize) || !s.ReadUint8(&schedule) || !s.ReadUint32(&epoch) || !s.ReadUint32(&delay) {
		return Network{}, fmt.Errorf("%w: it ends before its network does", ErrView)
	}
	switch schedule {
	case scheduleBound:
	case scheduleReference:
		return Network{}, ErrInsecureSchedule
	default:
		return Network{}, fmt.Errorf("%w: no key schedule %d", sphinx.ErrParams, schedule)
	}
	n := Network{
		Params:    sphinx.Params{MaxHops: int(maxHops), PayloadSize: int(payloadSize), Schedule: sphinx.BoundSchedule},
		Epoch:     time.Duration(epoch) * time.Second,
		MeanDelay: time.Duration(delay) * time.Millisecond,
	}
	return n, n.Validate()
}
