package tao

import (
	"cmp"
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// Policy says which nodes are to be trusted. What it does not name is refused.
type Policy struct {
	Version uint64    // higher in each policy than in all that were signed before
	Issued  time.Time // for people: clocks differ
	Expires time.Time // from when on nobody is trusted by it

	Attestors   []Kind     // that are accepted
	Enrollers   []Enroller // who may sign records, beside the policy key
	Roots       [][32]byte // who vouches for TPMs: each the SHA-256 of a CA's certificate (DER), or an EndorsementHash
	Programs    []Allowed  // by the SHA-256 of their file
	Settings    []Allowed  // by the Digest of a Configuration
	LogRegister uint8      // that nodes measure events into

	// Registers are what a quote must be over beside the log's, and the values that they may have. For the log's own
	// it is the values that it may have before the first event; zero where it is not here. Soft attestors have no
	// others, and are asked for none.
	Registers []RegisterRule

	Minimum Minimum       // of mixes
	MaxAge  time.Duration // how old a stamp may be: after that a node must have quoted again

	// Revoked are nodes ([IdentityHash]), attestation keys ([Record.KeyHash]), TPMs ([EndorsementHash]), enrolments
	// ([Record.Hash]), and programs that are refused whatever else is said of them.
	Revoked [][32]byte

	// Key is what ParsePolicy found it signed by. It is no part of what is signed.
	Key ed25519.PublicKey
}

// Enroller is somebody whose records are believed until a date.
type Enroller struct {
	Key     ed25519.PublicKey
	Expires time.Time
}

// Allowed is a program or a configuration, and the roles of nodes that may run it.
type Allowed struct {
	Digest [32]byte
	Roles  Roles
	Name   string // for people: up to MaxNameSize visible ASCII characters and spaces
}

// RegisterRule is which values a register may have: one or more.
type RegisterRule struct {
	Index  uint8
	Values [][32]byte
}

// The limits of a Policy.
const (
	MaxPolicySize = 1<<16 - 1 // bytes, signed
	MaxNameSize   = 64        // bytes

	maxAgeLimit = 7 * 24 * time.Hour
)

const policyContext = "sphinxmix policy v1\x00"

// Sign returns the policy as ParsePolicy reads it, signed by key. Times are cut down to the second. The error wraps
// ErrPolicy.
func (p *Policy) Sign(key ed25519.PrivateKey) ([]byte, error) {
	signed := p.sorted()
	if err := signed.check(); err != nil {
		return nil, err
	}
	body, err := signed.encode()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	if size := len(body) + ed25519.SignatureSize; size > MaxPolicySize {
		return nil, fmt.Errorf("%w: it has %d bytes, at most %d", ErrPolicy, size, MaxPolicySize)
	}
	return sign(key, policyContext, body), nil
}

// ParsePolicy returns the policy in signed, of which it keeps no part, after it has checked that key signed it, and
// every limit. Whether it is good now is for [Policy.GoodAt]. The error wraps ErrPolicy.
func ParsePolicy(signed []byte, key ed25519.PublicKey) (*Policy, error) {
	switch {
	case len(key) != ed25519.PublicKeySize:
		return nil, fmt.Errorf("%w: the policy key has %d bytes, must have %d", ErrPolicy, len(key), ed25519.PublicKeySize)
	case len(signed) < ed25519.SignatureSize || len(signed) > MaxPolicySize:
		return nil, fmt.Errorf("%w: it has %d bytes", ErrPolicy, len(signed))
	case !verify(key, policyContext, signed):
		return nil, fmt.Errorf("%w: it is not signed by the policy key", ErrPolicy)
	}
	p, err := decodePolicy(signed[ed25519.SignatureSize:])
	if err != nil {
		return nil, err
	}
	p.Key = slices.Clone(key)
	return p, nil
}

// GoodAt returns an error that wraps ErrPolicy for a time at which the policy is not good.
func (p *Policy) GoodAt(now time.Time) error {
	if !now.Before(p.Expires) {
		return fmt.Errorf("%w: it was good until %s, and now is %s", ErrPolicy, date(p.Expires), date(now))
	}
	return nil
}

// Quoted returns the registers that an attestor of that kind is to quote, in ascending order.
func (p *Policy) Quoted(kind Kind) []uint8 {
	quoted := []uint8{p.LogRegister}
	if kind != Soft {
		for _, r := range p.Registers {
			if r.Index != p.LogRegister {
				quoted = append(quoted, r.Index)
			}
		}
	}
	slices.Sort(quoted)
	return quoted
}

// values returns what the policy says of a register; nil if nothing.
func (p *Policy) values(register uint8) [][32]byte {
	for _, r := range p.Registers {
		if r.Index == register {
			return r.Values
		}
	}
	return nil
}

// find returns what list says of a digest.
func find(list []Allowed, digest [32]byte) (Allowed, bool) {
	i := slices.IndexFunc(list, func(a Allowed) bool { return a.Digest == digest })
	if i < 0 {
		return Allowed{}, false
	}
	return list[i], true
}

// sorted returns the policy with its lists in the one order in which they are encoded.
func (p *Policy) sorted() *Policy {
	s := *p
	s.Attestors = slices.Sorted(slices.Values(p.Attestors))
	s.Enrollers = slices.SortedFunc(slices.Values(p.Enrollers), func(a, b Enroller) int { return slices.Compare(a.Key, b.Key) })
	s.Roots = sortedHashes(p.Roots)
	s.Programs = slices.SortedFunc(slices.Values(p.Programs), compareAllowed)
	s.Settings = slices.SortedFunc(slices.Values(p.Settings), compareAllowed)
	s.Revoked = sortedHashes(p.Revoked)
	s.Registers = slices.SortedFunc(slices.Values(p.Registers), func(a, b RegisterRule) int { return cmp.Compare(a.Index, b.Index) })
	for i := range s.Registers {
		s.Registers[i].Values = sortedHashes(s.Registers[i].Values)
	}
	return &s
}

func compareAllowed(a, b Allowed) int { return compareHashes(a.Digest, b.Digest) }

func compareHashes(a, b [32]byte) int { return slices.Compare(a[:], b[:]) }

func sortedHashes(hashes [][32]byte) [][32]byte {
	return slices.SortedFunc(slices.Values(hashes), compareHashes)
}

// check says what is wrong with a policy, whose lists must be sorted.
func (p *Policy) check() error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrPolicy}, args...)...)
	}
	switch {
	case !validTime(p.Issued) || !validTime(p.Expires) || p.Expires.Unix() <= p.Issued.Unix():
		return refuse("it must expire after it was issued, between the years 1970 and 9999")
	case CheckLogRegister(p.LogRegister) != nil:
		return refuse("the log's register is %d, must be 1 to 15", p.LogRegister)
	case p.Minimum.Size < 2:
		return refuse("mixes may let packets go that come from %d senders, must be 2 or more", p.Minimum.Size)
	case p.MaxAge < time.Second || p.MaxAge > maxAgeLimit || p.MaxAge%time.Second != 0:
		return refuse("stamps may be %v old, must be whole seconds, 1s to %v", p.MaxAge, maxAgeLimit)
	case !ascending(p.Attestors, func(a, b Kind) int { return cmp.Compare(a, b) }):
		return refuse("an attestor is in it twice")
	case !ascending(p.Roots, compareHashes) || !ascending(p.Revoked, compareHashes):
		return refuse("a root or a revocation is in it twice")
	case !ascending(p.Programs, compareAllowed) || !ascending(p.Settings, compareAllowed):
		return refuse("a program or a configuration is in it twice")
	case !ascending(p.Enrollers, func(a, b Enroller) int { return slices.Compare(a.Key, b.Key) }):
		return refuse("an enrolment key is in it twice")
	case !ascending(p.Registers, func(a, b RegisterRule) int { return cmp.Compare(a.Index, b.Index) }):
		return refuse("a register is in it twice")
	}
	for _, k := range p.Attestors {
		if !k.valid() {
			return refuse("there is no attestor of %v", k)
		}
	}
	for _, e := range p.Enrollers {
		if len(e.Key) != ed25519.PublicKeySize || lowOrder(e.Key) || !validTime(e.Expires) {
			return refuse("an enrolment key is none, or expires after the year 9999")
		}
	}
	for _, a := range slices.Concat(p.Programs, p.Settings) {
		if !a.Roles.valid() {
			return refuse("%x is allowed for no role", a.Digest)
		}
		if err := CheckName(a.Name); err != nil {
			return refuse("the name of %x %w", a.Digest, err)
		}
	}
	for _, r := range p.Registers {
		if r.Index > LastRegister || len(r.Values) == 0 || !ascending(r.Values, compareHashes) {
			return refuse("register %d must be 0 to %d, with one value or more, none of them twice", r.Index, LastRegister)
		}
	}
	return nil
}

// CheckName says what is wrong with a name for people in a policy, as a part of a sentence about it.
func CheckName(name string) error {
	if len(name) > MaxNameSize || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Errorf("is longer than %d bytes, or has characters other than visible ASCII", MaxNameSize)
	}
	return nil
}

func ascending[T any](list []T, compare func(a, b T) int) bool {
	for i := 1; i < len(list); i++ {
		if compare(list[i-1], list[i]) >= 0 {
			return false
		}
	}
	return true
}

func (p *Policy) encode() ([]byte, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, 1024))
	b.AddUint64(p.Version)
	addTime(b, p.Issued)
	addTime(b, p.Expires)
	addList(b, p.Attestors, func(b *cryptobyte.Builder, k Kind) { b.AddUint8(uint8(k)) })
	addList(b, p.Enrollers, func(b *cryptobyte.Builder, e Enroller) { b.AddBytes(e.Key); addTime(b, e.Expires) })
	addList(b, p.Roots, addHash)
	addList(b, p.Programs, addAllowed)
	addList(b, p.Settings, addAllowed)
	b.AddUint8(p.LogRegister)
	addList(b, p.Registers, func(b *cryptobyte.Builder, r RegisterRule) {
		b.AddUint8(r.Index)
		addList(b, r.Values, addHash)
	})
	b.AddUint32(p.Minimum.Size)
	b.AddUint32(milliseconds(p.Minimum.Interval))
	b.AddUint32(milliseconds(p.Minimum.MeanDelay))
	b.AddUint32(uint32(p.MaxAge / time.Second))
	addList(b, p.Revoked, addHash)
	return b.Bytes()
}

func decodePolicy(body []byte) (*Policy, error) {
	var (
		p                           = new(Policy)
		s                           = cryptobyte.String(body)
		interval, meanDelay, maxAge uint32
	)
	ok := s.ReadUint64(&p.Version) && readTime(&s, &p.Issued) && readTime(&s, &p.Expires) &&
		readList(&s, &p.Attestors, func(s *cryptobyte.String, k *Kind) bool { return s.ReadUint8((*uint8)(k)) }) &&
		readList(&s, &p.Enrollers, func(s *cryptobyte.String, e *Enroller) bool {
			e.Key = make(ed25519.PublicKey, ed25519.PublicKeySize)
			return s.CopyBytes(e.Key) && readTime(s, &e.Expires)
		}) &&
		readList(&s, &p.Roots, readHash) && readList(&s, &p.Programs, readAllowed) && readList(&s, &p.Settings, readAllowed) &&
		s.ReadUint8(&p.LogRegister) &&
		readList(&s, &p.Registers, func(s *cryptobyte.String, r *RegisterRule) bool {
			return s.ReadUint8(&r.Index) && readList(s, &r.Values, readHash)
		}) &&
		s.ReadUint32(&p.Minimum.Size) && s.ReadUint32(&interval) && s.ReadUint32(&meanDelay) && s.ReadUint32(&maxAge) &&
		readList(&s, &p.Revoked, readHash) && s.Empty()
	if !ok {
		return nil, fmt.Errorf("%w: its fields are not as long as it is", ErrPolicy)
	}
	p.Minimum.Interval = time.Duration(interval) * time.Millisecond
	p.Minimum.MeanDelay = time.Duration(meanDelay) * time.Millisecond
	p.MaxAge = time.Duration(maxAge) * time.Second
	return p, p.check()
}

func addList[T any](b *cryptobyte.Builder, list []T, add func(*cryptobyte.Builder, T)) {
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, v := range list {
			add(b, v)
		}
	})
}

func readList[T any](s *cryptobyte.String, list *[]T, read func(*cryptobyte.String, *T) bool) bool {
	var all cryptobyte.String
	if !s.ReadUint16LengthPrefixed(&all) {
		return false
	}
	for !all.Empty() {
		var v T
		if !read(&all, &v) {
			return false
		}
		*list = append(*list, v)
	}
	return true
}

func addHash(b *cryptobyte.Builder, h [32]byte)       { b.AddBytes(h[:]) }
func readHash(s *cryptobyte.String, h *[32]byte) bool { return s.CopyBytes(h[:]) }
func addAllowed(b *cryptobyte.Builder, a Allowed) {
	b.AddBytes(a.Digest[:])
	b.AddUint8(uint8(a.Roles))
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(a.Name)) })
}

func readAllowed(s *cryptobyte.String, a *Allowed) bool {
	var name cryptobyte.String
	ok := s.CopyBytes(a.Digest[:]) && s.ReadUint8((*uint8)(&a.Roles)) && s.ReadUint8LengthPrefixed(&name)
	a.Name = string(name)
	return ok
}
