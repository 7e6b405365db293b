package directory

import (
	"crypto/sha256"
	"fmt"

	"golang.org/x/crypto/cryptobyte"

	"sphinxmix.example/sphinx"
)

const networkSize = 1 + 4 + 1 // of encoded parameters, in bytes

// The numbers of the key schedules on the wire are those of the packet format, not those of package sphinx.
const (
	scheduleReference = 0
	scheduleBound     = 1
)

// ParamsHash stands for the parameters of a network in the descriptors of its nodes. p must be valid.
func ParamsHash(p sphinx.Params) [32]byte {
	b := cryptobyte.NewBuilder([]byte(paramsContext))
	addParams(b, p)
	return sha256.Sum256(b.BytesOrPanic())
}

// checkParams returns ErrInsecureSchedule, or an error that wraps sphinx.ErrParams.
func checkParams(p sphinx.Params) error {
	if err := p.Validate(); err != nil {
		return fmt.Errorf("%w", err)
	}
	if p.Schedule != sphinx.BoundSchedule {
		return ErrInsecureSchedule
	}
	return nil
}

func addParams(b *cryptobyte.Builder, p sphinx.Params) {
	b.AddUint8(uint8(p.MaxHops))
	b.AddUint32(uint32(p.PayloadSize))
	if p.Schedule == sphinx.BoundSchedule {
		b.AddUint8(scheduleBound)
	} else {
		b.AddUint8(scheduleReference)
	}
}

// readParams reads what addParams wrote, and checks it.
func readParams(s *cryptobyte.String) (sphinx.Params, error) {
	var (
		maxHops, schedule uint8
		payloadSize       uint32
	)
	if !s.ReadUint8(&maxHops) || !s.ReadUint32(&payloadSize) || !s.ReadUint8(&schedule) {
		return sphinx.Params{}, fmt.Errorf("%w: it ends before its parameters do", ErrView)
	}
	switch schedule {
	case scheduleBound:
	case scheduleReference:
		return sphinx.Params{}, ErrInsecureSchedule
	default:
		return sphinx.Params{}, fmt.Errorf("%w: no key schedule %d", sphinx.ErrParams, schedule)
	}
	p := sphinx.Params{MaxHops: int(maxHops), PayloadSize: int(payloadSize), Schedule: sphinx.BoundSchedule}
	return p, checkParams(p)
}
