package vectors

import (
	"bytes"
	"crypto/ecdh"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/chacha20"

	"sphinxmix.example/testvectors"
)

// What follows is Sphinx under key schedule 1, written from testvectors/README.md alone on other primitives than the
// library's. That the library agrees with its own vectors says little; that this does says that they mean what the
// README says.

func stream(t *testing.T, key []byte, n int) []byte {
	cipher, err := chacha20.NewUnauthenticatedCipher(key, make([]byte, 12))
	require.NoError(t, err)
	out := make([]byte, n)
	cipher.XORKeyStream(out, out)
	return out
}

func hash(t *testing.T, size int, key []byte, data ...[]byte) []byte {
	digest, err := blake2b.New(size, key)
	require.NoError(t, err)
	for _, part := range data {
		digest.Write(part)
	}
	return digest.Sum(nil)
}

func dh(t *testing.T, private, public []byte) []byte {
	x, err := ecdh.X25519().NewPrivateKey(private)
	require.NoError(t, err)
	if public == nil {
		return x.PublicKey().Bytes()
	}
	y, err := ecdh.X25519().NewPublicKey(public)
	require.NoError(t, err)
	s, err := x.ECDH(y)
	require.NoError(t, err)
	return s
}

func clamp(b []byte) []byte {
	k := bytes.Clone(b)
	k[0] &= 248
	k[31] = k[31]&127 | 64
	return k
}

const label = "sphinx-x25519-chacha20-blake2b-1"

type hopKeys struct{ prk, rho, mu, pi, b, tau []byte }

func derive(t *testing.T, alpha, y, s []byte) (k hopKeys) {
	k.prk = hash(t, 32, []byte(label), alpha, y, s)
	okm := stream(t, k.prk, 320)
	k.rho, k.mu, k.pi, k.b, k.tau = okm[:32], okm[32:64], okm[64:256], clamp(okm[256:288]), okm[288:]
	return k
}

func lionessEncrypt(t *testing.T, key, block []byte) []byte {
	l, r := block[:32], block[32:]
	for i, k := range [][]byte{key[:32], key[32:96], key[96:128], key[128:]} {
		if i%2 == 0 {
			r = xor(r, stream(t, xor(l, k), len(r)))
		} else {
			l = xor(l, hash(t, 32, k, r))
		}
	}
	return concat(l, r)
}

func lionessDecrypt(t *testing.T, key, block []byte) []byte {
	l, r := block[:32], block[32:]
	for i, k := range [][]byte{key[128:], key[96:128], key[32:96], key[:32]} {
		if i%2 == 1 {
			r = xor(r, stream(t, xor(l, k), len(r)))
		} else {
			l = xor(l, hash(t, 32, k, r))
		}
	}
	return concat(l, r)
}

// header returns α ‖ β ‖ γ for nodes, the filler and each hop's keys. final is what the last hop reads, with its padding.
func header(t *testing.T, r int, x []byte, nodes []testvectors.Node, final []byte) (alpha, beta, gamma, filler []byte, keys []hopKeys) {
	n := len(nodes)
	scalars := [][]byte{x}
	for i := range n {
		a, s := []byte(nil), []byte(nodes[i].PublicKey)
		for j, scalar := range scalars {
			s = dh(t, scalar, s)
			if j == 0 {
				a = dh(t, scalar, nil)
			} else {
				a = dh(t, scalar, a)
			}
		}
		if i == 0 {
			alpha = a
		}
		keys = append(keys, derive(t, a, nodes[i].PublicKey, s))
		scalars = append(scalars, keys[i].b)
	}
	filler = []byte{}
	for i := 1; i < n; i++ {
		filler = xor(append(filler, make([]byte, 32)...), stream(t, keys[i-1].rho, (2*r+3)*16)[(2*(r-i)+3)*16:])
	}
	require.Len(t, final, (2*(r-n)+3)*16)
	beta = append(xor(final, stream(t, keys[n-1].rho, len(final))), filler...)
	gamma = hash(t, 16, keys[n-1].mu, beta)
	for i := n - 2; i >= 0; i-- {
		plain := concat(nodes[i+1].ID, gamma, beta[:(2*r-1)*16])
		beta = xor(plain, stream(t, keys[i].rho, len(plain)))
		gamma = hash(t, 16, keys[i].mu, beta)
	}
	return alpha, beta, gamma, filler, keys
}

func pad(payload []byte, size int) []byte {
	filled := size - len(payload)
	return concat(payload, make([]byte, filled-2), []byte{byte(filled), byte(filled >> 8)})
}

// followIndependently compares each hop's keys and what it makes of the packet.
func followIndependently(t *testing.T, nodes []testvectors.Node, packet testvectors.Packet, keys []hopKeys, hops []testvectors.Hop, at string) (payload []byte) {
	require.Len(t, hops, len(nodes), at)
	alpha, beta, gamma, delta := packet.Alpha, packet.Beta, packet.Gamma, packet.Delta
	for i, hop := range hops {
		at := fmt.Sprintf("%s hop %d", at, i)
		s := dh(t, nodes[i].PrivateKey, alpha)
		k := derive(t, alpha, nodes[i].PublicKey, s)
		require.Equal(t, k, keys[i], at)
		require.Equal(t, []testvectors.Hex{s, k.prk, k.rho, k.mu, k.pi, k.b, k.tau},
			[]testvectors.Hex{hop.S, hop.PRK, hop.Rho, hop.Mu, hop.Pi, hop.BlindingFactor, hop.Tau}, at)
		require.EqualValues(t, hash(t, 16, k.mu, beta), gamma, at)
		plain := xor(concat(beta, make([]byte, 32)), stream(t, k.rho, len(beta)+32))
		delta = lionessDecrypt(t, k.pi, delta)
		if i == len(hops)-1 {
			require.EqualValues(t, plain, hop.Plain, at)
			break
		}
		alpha = dh(t, k.b, alpha)
		require.EqualValues(t, nodes[i+1].ID, plain[:16], at)
		require.EqualValues(t, plain[:16], hop.NextHop, at)
		gamma, beta = plain[16:32], plain[32:]
		require.Equal(t, testvectors.Header{Alpha: alpha, Beta: beta, Gamma: gamma}, hop.Packet.Header, at)
		requireLarge(t, delta, hop.Packet.Delta, hop.Packet.DeltaSHA256)
	}
	return delta
}

func requireLarge(t *testing.T, got []byte, whole, hash testvectors.Hex) {
	if whole == nil {
		sum := sha256.Sum256(got)
		got, whole = sum[:], hash
	}
	require.True(t, bytes.Equal(got, whole))
}

func messageOf(t *testing.T, m testvectors.Message) []byte {
	if m.Key != nil {
		return stream(t, m.Key, m.Length)
	}
	return m.Text
}

func TestForwardVectorsIndependently(t *testing.T) {
	t.Parallel()
	var file testvectors.File[testvectors.Forward]
	require.NoError(t, json.Unmarshal(read(t, "forward.json"), &file))
	for _, c := range file.Cases {
		if len(c.Nodes) > 10 {
			continue // for the time that n² multiplications take
		}
		r, n, size := c.Params.MaxHops, len(c.Nodes), c.Params.PayloadSize
		drawn := stream(t, c.Seed, 32+32*(r-n)+31)
		final := concat([]byte{0}, make([]byte, 16), drawn[32:])
		alpha, beta, gamma, filler, keys := header(t, r, drawn[:32], c.Nodes, final)
		require.Equal(t, testvectors.Header{Alpha: alpha, Beta: beta, Gamma: gamma}, c.Packet.Header, c.Name)
		require.EqualValues(t, filler, c.Filler, c.Name)

		message := messageOf(t, c.Message)
		plain := pad(concat(make([]byte, 16), []byte{byte(len(c.Destination))}, c.Destination, message), size)
		delta := plain
		for i := n - 1; i >= 0; i-- {
			delta = lionessEncrypt(t, keys[i].pi, delta)
		}
		requireLarge(t, delta, c.Packet.Delta, c.Packet.DeltaSHA256)
		sum := sha256.Sum256(concat(alpha, beta, gamma, delta))
		require.EqualValues(t, sum[:], c.RawSHA256, c.Name)

		packet := c.Packet
		packet.Delta = delta
		require.Equal(t, plain, followIndependently(t, c.Nodes, packet, keys, c.Hops, c.Name), c.Name)
		last := c.Hops[n-1]
		require.Equal(t, "exit", last.Result)
		require.Equal(t, c.Destination, last.Destination)
		requireLarge(t, message, last.Message, last.MessageSHA256)
	}
}

func TestSURBVectorsIndependently(t *testing.T) {
	t.Parallel()
	var file testvectors.File[testvectors.SURB]
	require.NoError(t, json.Unmarshal(read(t, "surb.json"), &file))
	for _, c := range file.Cases {
		if len(c.Nodes) > 10 {
			continue
		}
		r, n, size := c.Params.MaxHops, len(c.Nodes), c.Params.PayloadSize
		padding := 32*(r-n) + 31 - len(c.ClientID)
		drawn := stream(t, c.Seed, 32+padding+32)
		ktilde := drawn[32+padding:]
		final := concat([]byte{byte(len(c.ClientID))}, c.ClientID, c.MessageID, drawn[32:32+padding])
		alpha, beta, gamma, filler, keys := header(t, r, drawn[:32], c.Nodes, final)
		require.EqualValues(t, concat(c.Nodes[0].ID, alpha, beta, gamma, ktilde), c.Encoded, c.Name)
		require.EqualValues(t, filler, c.Filler, c.Name)

		reply := stream(t, hash(t, 32, []byte(label), []byte("reply"), ktilde), 192)
		require.EqualValues(t, reply, c.ReplyKey, c.Name)
		message := messageOf(t, c.Message)
		delta := lionessEncrypt(t, reply, pad(concat(make([]byte, 16), message), size))
		require.Equal(t, testvectors.Header{Alpha: alpha, Beta: beta, Gamma: gamma}, c.Packet.Header, c.Name)
		requireLarge(t, delta, c.Packet.Delta, c.Packet.DeltaSHA256)

		packet := c.Packet
		packet.Delta = delta
		arrived := followIndependently(t, c.Nodes, packet, keys, c.Hops, c.Name)
		last := c.Hops[n-1]
		require.Equal(t, "client", last.Result)
		require.Equal(t, []testvectors.Hex{c.ClientID, c.MessageID}, []testvectors.Hex{last.ClientID, last.MessageID}, c.Name)
		requireLarge(t, arrived, last.Delta, last.DeltaSHA256)
		for i := n - 1; i >= 0; i-- {
			arrived = lionessEncrypt(t, keys[i].pi, arrived)
		}
		require.Equal(t, pad(concat(make([]byte, 16), message), size), lionessDecrypt(t, reply, arrived), c.Name)
		requireLarge(t, message, c.Decrypted, c.DecryptedSHA256)
	}
}

func TestKDFVectorsIndependently(t *testing.T) {
	var file testvectors.File[testvectors.KDF]
	require.NoError(t, json.Unmarshal(read(t, "kdf.json"), &file))
	for _, c := range file.Cases {
		k := derive(t, c.Alpha, c.PublicKey, c.S)
		require.EqualValues(t, dh(t, c.PrivateKey, nil), c.PublicKey)
		require.EqualValues(t, dh(t, c.PrivateKey, c.Alpha), c.S)
		require.Equal(t, []testvectors.Hex{k.prk, k.rho, k.mu, k.pi, k.b, k.tau},
			[]testvectors.Hex{c.PRK, c.Rho, c.Mu, c.Pi, c.Blinding, c.Tau})
		require.EqualValues(t, dh(t, k.b, c.Alpha), c.NextAlpha)
		require.EqualValues(t, hash(t, 16, k.mu, c.MACData), c.MAC)
		require.EqualValues(t, stream(t, hash(t, 32, []byte(label), []byte("reply"), c.Ktilde), 192), c.ReplyKey)
	}
}
