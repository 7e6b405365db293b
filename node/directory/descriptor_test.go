package directory

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/sphinx"
)

// full returns a descriptor of node n that is at every limit.
func full(n byte) Descriptor {
	d := describe(n)
	label := strings.Repeat("a", 62) + "."
	d.Address = strings.Repeat(label, 3) + strings.Repeat("b", 60) + ":65535"
	d.Keys = []EpochKey{{0, mixKey(1)}, {1, mixKey(2)}, {255, mixKey(3)}}
	d.Services = nil
	for i := range MaxServices {
		d.Services = append(d.Services, fmt.Sprintf("%0*d", MaxServiceSize, i))
	}
	d.Evidence = bytes.Repeat([]byte{0xee}, MaxEvidenceSize)
	d.Weight = MaxWeight
	return d
}

func TestDescriptorRoundTrip(t *testing.T) {
	small := describe(1)
	small.Services, small.Keys[0].Epoch, small.Weight = nil, 1<<64-1, 1
	for name, d := range map[string]Descriptor{"usual": describe(1), "full": full(1), "small": small} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseDescriptor(signed(t, 1, d), start)
			require.NoError(t, err)
			require.Equal(t, d, got)
			require.Equal(t, NodeIDOf(d.Identity), got.ID())
			require.Equal(t, got.ID(), (&Descriptor{Identity: d.Identity}).ID(), "one that nobody has read")
		})
	}
}

func TestTheLargestDescriptorHasTheDocumentedSize(t *testing.T) {
	require.Len(t, full(1).Address, MaxAddressSize)
	require.Len(t, signed(t, 1, full(1)), MaxDescriptorSize)
}

func TestSignDescriptorCompletes(t *testing.T) {
	d := describe(1)
	d.Identity, d.Weight = nil, 0
	d.Services = []string{"tcp", "echo"}
	d.Expires = d.Expires.Add(999 * time.Millisecond).In(time.FixedZone("", 3600))
	given := slices.Clone(d.Services)
	got, err := ParseDescriptor(signed(t, 1, d), start)
	require.NoError(t, err)
	require.Equal(t, public(identity(1)), got.Identity)
	require.EqualValues(t, DefaultWeight, got.Weight)
	require.Equal(t, []string{"echo", "tcp"}, got.Services)
	require.Equal(t, start.Add(time.Hour), got.Expires)
	require.Equal(t, given, d.Services, "the caller's slice was changed")
}

func TestParsedDescriptorKeepsNoPartOfTheInput(t *testing.T) {
	d := full(1)
	b := signed(t, 1, d)
	got, err := ParseDescriptor(b, start)
	require.NoError(t, err)
	clear(b)
	require.Equal(t, d, got)
}

func TestEveryByteOfADescriptorIsSigned(t *testing.T) {
	d := describe(1)
	d.Evidence = []byte("evidence")
	requireAllSigned(t, signed(t, 1, d), func(b []byte) error {
		_, err := ParseDescriptor(b, start)
		return err
	})
}

// requireAllSigned changes, cuts and lengthens what parse accepts, and wants that refused.
func requireAllSigned(t *testing.T, accepted []byte, parse func([]byte) error) {
	t.Helper()
	require.NoError(t, parse(accepted))
	for i := range accepted {
		for _, flip := range []byte{0x01, 0x80, 0xff} {
			b := bytes.Clone(accepted)
			b[i] ^= flip
			require.Error(t, parse(b), "byte %d ^ %#x", i, flip)
		}
		require.Error(t, parse(accepted[:i]), "cut to %d bytes", i)
	}
	require.Error(t, parse(append(bytes.Clone(accepted), 0)), "a byte more")
}

func TestNobodySpeaksForAnotherIdentity(t *testing.T) {
	victim := describe(1)
	_, err := SignDescriptor(identity(2), victim)
	require.ErrorIs(t, err, ErrKey)

	_, err = ParseDescriptor(resign(2, victim), start)
	require.ErrorIs(t, err, ErrSignature, "signed by another key")

	b := signed(t, 2, describe(2))
	copy(b[ed25519.SignatureSize:], victim.Identity)
	_, err = ParseDescriptor(b, start)
	require.ErrorIs(t, err, ErrSignature, "another identity put in")

	_, err = ParseDescriptor(sign(identity(1), viewContext, victim.encode()), start)
	require.ErrorIs(t, err, ErrSignature, "signed in another context")

	_, err = ParseDescriptor(append(ed25519.Sign(identity(1), victim.encode()), victim.encode()...), start)
	require.ErrorIs(t, err, ErrSignature, "signed without a context")

	// A signature that holds for every message under an identity of low order.
	nobody := describe(1)
	nobody.Identity = make(ed25519.PublicKey, ed25519.PublicKeySize)
	nobody.Identity[0] = 1
	universal := make([]byte, ed25519.SignatureSize)
	universal[0] = 1
	_, err = ParseDescriptor(append(universal, nobody.encode()...), start)
	require.ErrorIs(t, err, ErrKey, "an identity that is nobody's")
}

func TestDescriptorExpiresToTheSecond(t *testing.T) {
	d := describe(1)
	b := signed(t, 1, d)
	for _, c := range []struct {
		after time.Duration
		want  error
	}{{-time.Second, nil}, {-1, nil}, {0, ErrExpired}, {time.Second, ErrExpired}} {
		_, err := ParseDescriptor(b, d.Expires.Add(c.after))
		require.ErrorIs(t, err, c.want, "%v after", c.after)
	}
}

func TestSignDescriptorRefusesUnusableKeys(t *testing.T) {
	for _, key := range []ed25519.PrivateKey{nil, make(ed25519.PrivateKey, 32), make(ed25519.PrivateKey, 64)} {
		_, err := SignDescriptor(key, describe(1))
		require.ErrorIs(t, err, ErrKey)
	}
	d := describe(1)
	d.Identity = d.Identity[:31]
	_, err := SignDescriptor(identity(1), d)
	require.ErrorIs(t, err, ErrKey)
}

func TestDescriptorLimits(t *testing.T) {
	key := func(epoch uint64, n byte) EpochKey { return EpochKey{epoch, mixKey(n)} }
	cases := map[string]func(*Descriptor){
		"no key":                    func(d *Descriptor) { d.Keys = nil },
		"four keys":                 func(d *Descriptor) { d.Keys = []EpochKey{key(1, 1), key(2, 2), key(3, 3), key(4, 4)} },
		"epochs out of order":       func(d *Descriptor) { d.Keys = []EpochKey{key(2, 1), key(1, 2)} },
		"epoch twice":               func(d *Descriptor) { d.Keys = []EpochKey{key(1, 1), key(1, 2)} },
		"epochs alike mod 256":      func(d *Descriptor) { d.Keys = []EpochKey{key(1, 1), key(2, 3), key(257, 2)} },
		"one key for two epochs":    func(d *Descriptor) { d.Keys = []EpochKey{key(1, 1), key(2, 1)} },
		"key of low order":          func(d *Descriptor) { d.Keys = []EpochKey{{1, sphinx.PublicKey{}}} },
		"seventeen services":        func(d *Descriptor) { d.Services = append(full(1).Services, "z") },
		"service without a name":    func(d *Descriptor) { d.Services = []string{""} },
		"service's name too long":   func(d *Descriptor) { d.Services = []string{strings.Repeat("s", 128)} },
		"service with a space":      func(d *Descriptor) { d.Services = []string{"e cho"} },
		"service with a newline":    func(d *Descriptor) { d.Services = []string{"echo\n"} },
		"service with an escape":    func(d *Descriptor) { d.Services = []string{"\x1b[2J"} },
		"service not ASCII":         func(d *Descriptor) { d.Services = []string{"écho"} },
		"service not UTF-8":         func(d *Descriptor) { d.Services = []string{"\xff"} },
		"service twice":             func(d *Descriptor) { d.Services = []string{"echo", "echo"} },
		"too much evidence":         func(d *Descriptor) { d.Evidence = make([]byte, MaxEvidenceSize+1) },
		"expires before 1970":       func(d *Descriptor) { d.Expires = time.Unix(-1, 0) },
		"expires never":             func(d *Descriptor) { d.Expires = time.Time{} },
		"expires in the year 10000": func(d *Descriptor) { d.Expires = time.Unix(lastSecond+1, 0) },
	}
	for _, address := range []string{
		"", "mix.example", ":4000", "mix.example:", "mix.example:0", "mix.example:04000", "mix.example:+80",
		"mix.example:65536", "mix.example:http", "mix example:80", "mix.example\n:80", "mix\x1b.example:80", "é.example:80",
		"a..b:80", ".:80", strings.Repeat("a", 64) + ":80", "0.0.0.0:80", "[::]:80", "[fe80::1%eth0]:80", "::1:80",
		"[127.0.0.1]:80", "[mix.example]:80", "http://mix.example:80", "user@mix.example:80",
	} {
		cases[fmt.Sprintf("address %q", address)] = func(d *Descriptor) { d.Address = address }
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			d := describe(1)
			spoil(&d)
			_, err := SignDescriptor(identity(1), d)
			require.ErrorIs(t, err, ErrDescriptor)
			_, err = ParseDescriptor(resign(1, d), start)
			require.ErrorIs(t, err, ErrDescriptor)
		})
	}
	t.Run("address too long", func(t *testing.T) {
		d := describe(1)
		d.Address = strings.Repeat("a.", 126) + "b:80"
		_, err := SignDescriptor(identity(1), d)
		require.ErrorIs(t, err, ErrDescriptor)
	})
	t.Run("services out of order", func(t *testing.T) {
		d := describe(1)
		d.Services = []string{"tcp", "echo"}
		_, err := ParseDescriptor(resign(1, d), start)
		require.ErrorIs(t, err, ErrDescriptor)
	})
}

// TestNoWeightIsMoreThanTheLimit, or none at all: a node cannot claim more of the paths than that.
func TestNoWeightIsMoreThanTheLimit(t *testing.T) {
	for weight := range 256 {
		d := describe(1)
		d.Weight = uint8(weight)
		got, err := ParseDescriptor(resign(1, d), start)
		if weight < 1 || weight > MaxWeight {
			require.ErrorIs(t, err, ErrDescriptor, "weight %d", weight)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, d.Weight, got.Weight)
	}
	d := describe(1)
	d.Weight = MaxWeight + 1
	_, err := SignDescriptor(identity(1), d)
	require.ErrorIs(t, err, ErrDescriptor)
}

func TestAddressesThatCanBeDialled(t *testing.T) {
	for _, address := range []string{
		"127.0.0.1:4000", "[::1]:4000", "[2001:db8::1]:1", "mix.example:65535", "mix.example.:80", "mix_1:80", "MIX-1:80", "10:80",
	} {
		d := describe(1)
		d.Address = address
		got, err := ParseDescriptor(signed(t, 1, d), start)
		require.NoError(t, err)
		require.Equal(t, address, got.Address)
	}
}

// What the limits of a Descriptor cannot express is refused as well.
func TestMalformedDescriptorEncodings(t *testing.T) {
	d := describe(1)
	body := d.encode()
	const (
		expires  = ed25519.PublicKeySize + 8
		address  = expires + timeSize + 32 + 1
		services = 1 + len("mix.example:4000") + address + 1 + epochKeySize
	)
	for name, spoil := range map[string]func(b []byte) []byte{
		"a byte too many":              func(b []byte) []byte { return append(b, 0) },
		"a byte too few":               func(b []byte) []byte { return b[:len(b)-1] },
		"identity alone":               func(b []byte) []byte { return b[:ed25519.PublicKeySize] },
		"half a key":                   func(b []byte) []byte { b[address+1+16]--; return append(b[:services-1], b[services:]...) },
		"service longer than the list": func(b []byte) []byte { b[services+2]++; return b },
		"list longer than its service": func(b []byte) []byte {
			b[services+1]++
			return slices.Insert(b, services+2+5, 'x')
		},
		"time past all times": func(b []byte) []byte { b[expires] = 0xff; return b },
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseDescriptor(sign(identity(1), descriptorContext, spoil(bytes.Clone(body))), start)
			require.ErrorIs(t, err, ErrDescriptor)
		})
	}
	for _, size := range []int{0, 1, ed25519.SignatureSize, ed25519.SignatureSize + ed25519.PublicKeySize - 1, MaxDescriptorSize + 1} {
		_, err := ParseDescriptor(make([]byte, size), start)
		require.ErrorIs(t, err, ErrDescriptor, "%d bytes", size)
	}
}
