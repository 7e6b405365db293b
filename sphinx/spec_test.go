package sphinx

import (
	"crypto/ecdh"
	"encoding/binary"
	"slices"

	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/chacha20"
)

// The format a second time, straight from its text and as slow as it likes to be: crypto/ecdh, every shared secret by
// its own fold over all blinding scalars, every list of bytes a new one.

type specKeys struct{ alpha, s, stream, mac, payload, blinding, tag []byte }

func specXOR(a, b []byte) []byte {
	out := slices.Clone(a)
	for i := range out {
		out[i] ^= b[i]
	}
	return out
}

func specStream(key []byte, n int) []byte {
	c, err := chacha20.NewUnauthenticatedCipher(key, make([]byte, 12))
	if err != nil {
		panic(err)
	}
	out := make([]byte, n)
	c.XORKeyStream(out, out)
	return out
}

func specHash(size int, key []byte, parts ...[]byte) []byte {
	h, err := blake2b.New(size, key)
	if err != nil {
		panic(err)
	}
	h.Write(slices.Concat(parts...))
	return h.Sum(nil)
}

func specClamp(b []byte) []byte {
	out := slices.Clone(b)
	out[0] &= 0b11111000
	out[31] &= 0b01111111
	out[31] |= 0b01000000
	return out
}

func specMultiply(scalar, point []byte) []byte {
	private, err := ecdh.X25519().NewPrivateKey(scalar)
	if err != nil {
		panic(err)
	}
	public, err := ecdh.X25519().NewPublicKey(point)
	if err != nil {
		panic(err)
	}
	secret, err := private.ECDH(public)
	if err != nil {
		panic(err)
	}
	return secret
}

func specDerive(p Params, alpha, y, s []byte) specKeys {
	k := specKeys{alpha: alpha, s: s}
	if p.Schedule == InsecureReferenceSchedule {
		k.stream = specHash(32, nil, []byte{0x22}, s)
		k.mac = specHash(16, nil, []byte{0x33}, s)
		k.blinding = specClamp(specHash(32, nil, []byte{0x11}, alpha, s))
		k.tag = specHash(32, nil, []byte{0x55}, s)
		k.payload = specStream(k.stream, 192)
		return k
	}
	okm := specStream(specHash(32, []byte("sphinx-x25519-chacha20-blake2b-1"), alpha, y, s), 320)
	k.stream, k.mac, k.payload = okm[:32], okm[32:64], okm[64:256]
	k.blinding, k.tag = specClamp(okm[256:288]), okm[288:]
	return k
}

// specChain derives the keys of every hop: s of hop i is (…((x·yᵢ)·b₀)…)·bᵢ₋₁.
func specChain(p Params, x []byte, path []Hop) []specKeys {
	base := append([]byte{9}, make([]byte, 31)...)
	alpha, scalars := specMultiply(specClamp(x), base), [][]byte{specClamp(x)}
	var all []specKeys
	for _, hop := range path {
		s := hop.Key[:]
		for _, scalar := range scalars {
			s = specMultiply(scalar, s)
		}
		k := specDerive(p, alpha, hop.Key[:], s)
		all = append(all, k)
		alpha, scalars = specMultiply(k.blinding, alpha), append(scalars, k.blinding)
	}
	return all
}

// specHeaders returns α ‖ β ‖ γ as every hop gets it.
func specHeaders(p Params, keys []specKeys, path []Hop, final, id, padding []byte) [][]byte {
	r, n := p.MaxHops, len(path)
	streams := make([][]byte, n)
	for i, k := range keys {
		streams[i] = specStream(k.stream, (2*r+3)*16)
	}
	var filler []byte
	for i := 1; i <= n-1; i++ {
		filler = specXOR(append(filler, make([]byte, 32)...), streams[i-1][(2*(r-i)+3)*16:(2*r+3)*16])
	}
	beta := append(specXOR(slices.Concat(final, id, padding), streams[n-1][:(2*(r-n)+3)*16]), filler...)
	gamma := specHash(16, keys[n-1].mac, beta)
	headers := make([][]byte, n)
	headers[n-1] = slices.Concat(keys[n-1].alpha, beta, gamma)
	for i := n - 2; i >= 0; i-- {
		beta = specXOR(slices.Concat(path[i+1].Address[:], gamma, beta[:(2*r-1)*16]), streams[i][:(2*r+1)*16])
		gamma = specHash(16, keys[i].mac, beta)
		headers[i] = slices.Concat(keys[i].alpha, beta, gamma)
	}
	return headers
}

// specPad fills content up to a payload.
func specPad(p Params, content []byte) []byte {
	offset := make([]byte, 2)
	binary.LittleEndian.PutUint16(offset, uint16(p.PayloadSize-len(content)))
	return slices.Concat(content, make([]byte, p.PayloadSize-len(content)-2), offset)
}

func specLioness(key, block []byte, encrypt bool) []byte {
	l, r := block[:32], block[32:]
	k1, k2, k3, k4 := key[:32], key[32:96], key[96:128], key[128:]
	if encrypt {
		r = specXOR(r, specStream(specXOR(l, k1), len(r)))
		l = specXOR(l, specHash(32, k2, r))
		r = specXOR(r, specStream(specXOR(l, k3), len(r)))
		l = specXOR(l, specHash(32, k4, r))
	} else {
		l = specXOR(l, specHash(32, k4, r))
		r = specXOR(r, specStream(specXOR(l, k3), len(r)))
		l = specXOR(l, specHash(32, k2, r))
		r = specXOR(r, specStream(specXOR(l, k1), len(r)))
	}
	return slices.Concat(l, r)
}

// specWrap returns the packet as every hop gets it.
func specWrap(p Params, x, padding []byte, path []Hop, destination, message []byte) [][]byte {
	keys := specChain(p, x, path)
	packets := specHeaders(p, keys, path, []byte{0}, make([]byte, 16), padding)
	delta := specPad(p, slices.Concat(make([]byte, 16), []byte{byte(len(destination))}, destination, message))
	for i := len(path) - 1; i >= 0; i-- {
		delta = specLioness(keys[i].payload, delta, true)
		packets[i] = append(packets[i], delta...)
	}
	return packets
}

// specReply returns the SURB, the reply as every hop gets it and the payload as the client gets it.
func specReply(p Params, x, padding, ktilde []byte, path []Hop, client, id, message []byte) (surb []byte, packets [][]byte, payload []byte) {
	keys := specChain(p, x, path)
	packets = specHeaders(p, keys, path, slices.Concat([]byte{byte(len(client))}, client), id, padding)
	surb = slices.Concat(path[0].Address[:], packets[0], ktilde)
	var key []byte
	if p.Schedule == InsecureReferenceSchedule {
		key = specStream(specHash(32, nil, []byte{0x22}, ktilde), 192)
	} else {
		key = specStream(specHash(32, []byte("sphinx-x25519-chacha20-blake2b-1"), []byte("reply"), ktilde), 192)
	}
	payload = specLioness(key, specPad(p, slices.Concat(make([]byte, 16), message)), true)
	for i := range path {
		packets[i] = append(packets[i], payload...)
		payload = specLioness(keys[i].payload, payload, false)
	}
	return surb, packets, payload
}
