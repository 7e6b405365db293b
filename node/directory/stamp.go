package directory

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"sphinxmix.example/tao"
)

const (
	// stampSize is the size of a view's first part, which is signed and has the hash of what is behind it. Without that
	// it still proves when the directory made the view.
	stampSize = ed25519.SignatureSize + 8 + timeSize + timeSize + networkSize + sha256.Size

	policyPrefixSize = 2
	nodesPrefixSize  = 3
	minViewSize      = stampSize + policyPrefixSize + nodesPrefixSize

	_ = uint(tao.MaxStampSize - stampSize) // evidence has room for a stamp
)

// ParseStamp returns when the directory with that key made a stamp, which is the Stamp of one of its views. The error
// wraps ErrKey, ErrSignature or what [ParseView] has against a view that begins so.
func ParseStamp(stamp []byte, directoryKey ed25519.PublicKey) (time.Time, error) {
	if err := checkIdentity(directoryKey); err != nil {
		return time.Time{}, err
	}
	if len(stamp) != stampSize {
		return time.Time{}, fmt.Errorf("%w: a stamp of %d bytes, must have %d", ErrView, len(stamp), stampSize)
	}
	v, _, err := parseStamp(stamp, directoryKey)
	if err != nil {
		return time.Time{}, err
	}
	return v.Published, nil
}

// parseStamp returns a view without what is behind its stamp, and the hash of that.
func parseStamp(stamp []byte, directoryKey ed25519.PublicKey) (*View, [sha256.Size]byte, error) {
	var (
		v                  = &View{Stamp: bytes.Clone(stamp)}
		published, expires uint64
		rest               [sha256.Size]byte
	)
	body, err := verify(directoryKey, viewContext, stamp)
	if err != nil {
		return nil, rest, err
	}
	s := cryptobyte.String(body)
	if !s.ReadUint64(&v.Version) || !s.ReadUint64(&published) || !s.ReadUint64(&expires) {
		return nil, rest, fmt.Errorf("%w: it ends before its dates do", ErrView)
	}
	var publishedOK, expiresOK bool
	v.Published, publishedOK = second(published)
	v.Expires, expiresOK = second(expires)
	if !publishedOK || !expiresOK || !v.Published.Before(v.Expires) {
		return nil, rest, fmt.Errorf("%w: published %s, expires %s", ErrView, date(v.Published), date(v.Expires))
	}
	if v.Network, err = readNetwork(&s); err != nil {
		return nil, rest, err
	}
	if !s.CopyBytes(rest[:]) || !s.Empty() {
		return nil, rest, fmt.Errorf("%w: its stamp has another length", ErrView)
	}
	return v, rest, nil
}

// openView checks all of a signed view but its policy and its nodes. It returns the view without them, which keeps no
// part of signed, and the nodes, which are one.
func openView(signed []byte, directoryKey ed25519.PublicKey) (*View, cryptobyte.String, error) {
	if err := checkIdentity(directoryKey); err != nil {
		return nil, nil, err
	}
	if len(signed) < minViewSize || len(signed) > MaxViewSize {
		return nil, nil, fmt.Errorf("%w: %d bytes, must have %d to %d", ErrView, len(signed), minViewSize, MaxViewSize)
	}
	v, hash, err := parseStamp(signed[:stampSize], directoryKey)
	if err != nil {
		return nil, nil, err
	}
	if sha256.Sum256(signed[stampSize:]) != hash {
		return nil, nil, fmt.Errorf("%w: the directory signed another view than this", ErrSignature)
	}
	var policy, nodes cryptobyte.String
	s := cryptobyte.String(signed[stampSize:])
	if !s.ReadUint16LengthPrefixed(&policy) || !s.ReadUint24LengthPrefixed(&nodes) || !s.Empty() {
		return nil, nil, fmt.Errorf("%w: its policy and its nodes are not as long as it is", ErrView)
	}
	if len(policy) > 0 {
		v.SignedPolicy = bytes.Clone(policy)
	}
	return v, nodes, nil
}

// sign returns the view with what stands behind its stamp, as openView reads it, and gives it the stamp. v must be
// valid.
func (v *View) sign(key ed25519.PrivateKey, rest []byte) []byte {
	b := cryptobyte.NewFixedBuilder(make([]byte, 0, stampSize-ed25519.SignatureSize))
	b.AddUint64(v.Version)
	b.AddUint64(uint64(v.Published.Unix()))
	b.AddUint64(uint64(v.Expires.Unix()))
	v.Network.add(b)
	hash := sha256.Sum256(rest)
	b.AddBytes(hash[:])
	v.Stamp = sign(key, viewContext, b.BytesOrPanic())
	return slices.Concat(v.Stamp, rest)
}

// encodeRest returns what stands behind the stamp: a signed policy, which may be empty, and the signed descriptors of
// the nodes, by ascending id, which must fit.
func encodeRest(policy []byte, descriptors [][]byte) []byte {
	size := policyPrefixSize + len(policy) + nodesPrefixSize
	for _, d := range descriptors {
		size += nodePrefixSize + len(d)
	}
	b := cryptobyte.NewFixedBuilder(make([]byte, 0, size))
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(policy) })
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, d := range descriptors {
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(d) })
		}
	})
	return b.BytesOrPanic()
}
