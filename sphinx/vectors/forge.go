package vectors

import (
	"sphinxmix.example/lioness"
	"sphinxmix.example/sphinx"
	"sphinxmix.example/sphinx/internal/schedule"
	"sphinxmix.example/sphinx/internal/x25519"
)

// forgery is a packet as no honest sender makes it: the MACs are right, over whatever stands in it. It is built as §3.2
// of the paper is written, with as many multiplications as there are scalars, and shares no step with sphinx.Wrap.
type forgery struct {
	params  sphinx.Params
	x       x25519.Key // clamped
	path    []sphinx.Hop
	final   []byte // what the last hop decrypts first, (2(r−n)+3)·16 bytes
	payload []byte // what the last hop finds in δ
}

func (f *forgery) packet() []byte {
	p, n := f.params, len(f.path)
	derive := newSchedule(p)
	alphas, keys := make([]x25519.Key, n), make([]schedule.Keys, n)
	x25519.Public(&alphas[0], &f.x)
	for i, hop := range f.path {
		secret := multiply(hop.Key[:], f.x[:])
		for j := range i {
			secret = multiply(secret, keys[j].Blinding()[:])
		}
		y := x25519.Key(hop.Key)
		derive.Derive(&keys[i], &alphas[i], &y, (*x25519.Key)(secret))
		if i+1 < n {
			alphas[i+1] = x25519.Key(multiply(alphas[i][:], keys[i].Blinding()[:]))
		}
	}

	var filler []byte
	for i := range n - 1 {
		filler = growFiller(filler, p, &keys[i])
	}
	beta := append(xor(f.final, keystream(keys[n-1].Stream(), len(f.final))), filler...)
	gamma := derive.MAC(nil, &keys[n-1], beta)
	for i := n - 2; i >= 0; i-- {
		plain := concat(f.path[i+1].Address[:], gamma, beta[:betaSize(p)-2*kappa])
		beta = xor(plain, keystream(keys[i].Stream(), len(plain)))
		gamma = derive.MAC(nil, &keys[i], beta)
	}

	delta := append([]byte{}, f.payload...)
	for i := n - 1; i >= 0; i-- {
		must(lioness.New(keys[i].Payload()).Encrypt(delta))
	}
	return concat(alphas[0][:], beta, gamma, delta)
}

// replyKeys returns the LIONESS keys that a reply passes: that of k̃, then every hop's.
func replyKeys(p sphinx.Params, path []node, encoded []byte) []*[lioness.KeySize]byte {
	header := encoded[sphinx.AddressSize : len(encoded)-32]
	first := new([lioness.KeySize]byte)
	newSchedule(p).ReplyKey(first, (*[32]byte)(encoded[len(encoded)-32:]))
	keys := []*[lioness.KeySize]byte{first}
	for _, steps := range peel(p, path, concat(header, make([]byte, p.PayloadSize))) {
		keys = append(keys, steps.keys.Payload())
	}
	return keys
}

// forgeReply returns the δ that reaches the client when payload is sent through a SURB with these keys.
func forgeReply(keys []*[lioness.KeySize]byte, payload []byte) []byte {
	delta := append([]byte{}, payload...)
	must(lioness.New(keys[0]).Encrypt(delta))
	for _, key := range keys[1:] {
		must(lioness.New(key).Decrypt(delta))
	}
	return delta
}

// openReply is the inverse of forgeReply.
func openReply(keys []*[lioness.KeySize]byte, delta []byte) []byte {
	payload := append([]byte{}, delta...)
	for i := len(keys) - 1; i > 0; i-- {
		must(lioness.New(keys[i]).Encrypt(payload))
	}
	must(lioness.New(keys[0]).Decrypt(payload))
	return payload
}
