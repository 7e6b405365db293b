package tao

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
)

// A Role is what a node does in its network. A Policy allows programs and configurations for roles.
type Role uint8

// The roles. They are bits, so that [Roles] can be made of them.
const (
	Mix       Role = 1 << iota // takes packets and sends them on
	Exit                       // is a mix that serves clients at the last hop
	Directory                  // lists the others
)

var roleNames = []struct {
	role Role
	name string
}{{Mix, "mix"}, {Exit, "exit"}, {Directory, "directory"}}

// String returns "mix", "exit" or "directory".
func (r Role) String() string {
	for _, known := range roleNames {
		if r == known.role {
			return known.name
		}
	}
	return fmt.Sprintf("role %d", uint8(r))
}

// ParseRole is the reverse of [Role.String].
func ParseRole(name string) (Role, error) {
	for _, known := range roleNames {
		if name == known.name {
			return known.role, nil
		}
	}
	return 0, fmt.Errorf("tao: there is no role %q: give mix, exit or directory", name)
}

// Roles are any number of roles.
type Roles uint8

const allRoles = Roles(Mix | Exit | Directory)

// RolesOf returns what has these roles and no other.
func RolesOf(roles ...Role) (all Roles) {
	for _, r := range roles {
		all |= Roles(r)
	}
	return all
}

// Has reports whether r is among them.
func (rs Roles) Has(r Role) bool { return rs&Roles(r) != 0 }

// valid reports whether there is at least one, and none that nobody knows.
func (rs Roles) valid() bool { return rs != 0 && rs&^allRoles == 0 }

// String returns the roles with commas between them.
func (rs Roles) String() string {
	var names []string
	for _, known := range roleNames {
		if rs.Has(known.role) {
			names = append(names, known.name)
		}
	}
	return strings.Join(names, ", ")
}

// MaxKeys is how many epoch keys a node has at a time.
const MaxKeys = 3

// EpochKey is a Curve25519 key that a node opens packets with, and the epoch that it does this in.
type EpochKey struct {
	Epoch uint64
	Key   [32]byte
}

// Claim is what a node says of itself, and what its quote is over.
type Claim struct {
	Identity      ed25519.PublicKey // proves the node on its links, and signs its descriptor
	Role          Role
	Keys          []EpochKey // that it opens packets with: up to MaxKeys, by ascending epoch; none for a directory
	Configuration [32]byte   // Digest of its Configuration
	Stamp         [32]byte   // StampDigest of the newest stamp that it knew
}

const claimContext = "sphinxmix claim v1\x00"

// Digest returns what a quote has as its qualifying data: the SHA-256 of
//
//	"sphinxmix claim v1" ‖ 0x00 ‖ identity(32) ‖ role(1) ‖ number of keys(1) ‖ 3 × (epoch(8) ‖ key(32)) ‖
//	configuration(32) ‖ stamp(32)
//
// where keys that there are not are zero. The identity must have its 32 bytes, and the keys be no more than MaxKeys.
func (c *Claim) Digest() [32]byte {
	b := make([]byte, 0, len(claimContext)+32+2+MaxKeys*40+64)
	b = append(b, claimContext...)
	b = append(b, c.Identity...)
	b = append(b, byte(c.Role), byte(len(c.Keys)))
	var keys [MaxKeys * 40]byte
	for i, k := range c.Keys {
		binary.BigEndian.PutUint64(keys[40*i:], k.Epoch)
		copy(keys[40*i+8:], k.Key[:])
	}
	b = append(b, keys[:]...)
	b = append(b, c.Configuration[:]...)
	b = append(b, c.Stamp[:]...)
	return sha256.Sum256(b)
}

const stampContext = "sphinxmix stamp v1\x00"

// StampDigest returns what stands for a stamp in a Claim.
func StampDigest(stamp []byte) [32]byte { return hash(stampContext, stamp) }

// hash returns the SHA-256 of context ‖ data.
func hash(context string, data []byte) [32]byte {
	return sha256.Sum256(append([]byte(context), data...))
}
