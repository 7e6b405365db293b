package vectors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"sphinxmix.example/lioness"
	"sphinxmix.example/lioness/symmetric"
	"sphinxmix.example/sphinx"
	"sphinxmix.example/sphinx/internal/schedule"
	"sphinxmix.example/sphinx/internal/x25519"
	"sphinxmix.example/testvectors"
)

func checkLioness(s *setting, rawCase json.RawMessage) error {
	var v struct {
		Key                testvectors.Hex `json:"key"`
		BlockSize          int             `json:"block_size"`
		Plaintext          testvectors.Hex `json:"plaintext"`
		Ciphertext         testvectors.Hex `json:"ciphertext"`
		DecryptOfPlaintext testvectors.Hex `json:"decrypt_of_plaintext"`
	}
	if err := decode(rawCase, &v, false); err != nil {
		return err
	}
	if err := first(fixed("key", v.Key, lioness.KeySize), fixed("plaintext", v.Plaintext, v.BlockSize)); err != nil {
		return err
	}
	cipher := lioness.New((*[lioness.KeySize]byte)(v.Key))
	encrypted, err := cipher.AppendEncrypt(nil, v.Plaintext)
	if err != nil {
		return err
	}
	decrypted, err := cipher.AppendDecrypt(nil, v.Plaintext)
	if err != nil {
		return err
	}
	again, err := cipher.AppendDecrypt(nil, encrypted)
	if err != nil {
		return err
	}
	return first(
		same("ciphertext", encrypted, v.Ciphertext),
		same("decrypt_of_plaintext", decrypted, v.DecryptOfPlaintext),
		same("plaintext", again, v.Plaintext),
	)
}

func checkStream(s *setting, rawCase json.RawMessage) error {
	var v struct {
		Key    testvectors.Hex `json:"key"`
		Length int             `json:"length"`
		Stream testvectors.Hex `json:"stream"`
	}
	if err := decode(rawCase, &v, false); err != nil {
		return err
	}
	if err := first(fixed("key", v.Key, symmetric.StreamKeySize), fixed("stream", v.Stream, v.Length)); err != nil {
		return err
	}
	return same("stream", keystream((*[32]byte)(v.Key), v.Length), v.Stream)
}

func checkReferenceKDF(s *setting, rawCase json.RawMessage) error {
	var v struct {
		S              testvectors.Hex `json:"s"`
		Alpha          testvectors.Hex `json:"alpha"`
		BlindingFactor testvectors.Hex `json:"blinding_factor"`
		RhoKey         testvectors.Hex `json:"rho_key"`
		HMACKey        testvectors.Hex `json:"hmac_key"`
		Tau            testvectors.Hex `json:"tau"`
		BlockCipherKey testvectors.Hex `json:"block_cipher_key"`
		MACData        testvectors.Hex `json:"mac_data"`
		MAC            testvectors.Hex `json:"mac"`
		HashOfMACData  testvectors.Hex `json:"hash_of_mac_data"`
		TauGoTwin      testvectors.Hex `json:"tau_gotwin,omitzero"`
	}
	if err := decode(rawCase, &v, false); err != nil {
		return err
	}
	if err := first(fixed("s", v.S, x25519.Size), fixed("alpha", v.Alpha, x25519.Size)); err != nil {
		return err
	}
	derive := schedule.New(true)
	var keys schedule.Keys
	var payload [lioness.KeySize]byte
	shared, alpha, anyone := x25519.Key(v.S), x25519.Key(v.Alpha), x25519.Key{}
	derive.Derive(&keys, &alpha, &anyone, &shared)
	derive.ReplyKey(&payload, &shared) // the reference derives every LIONESS key like that of a k̃
	hash := func(parts ...[]byte) []byte {
		digest := make([]byte, 32)
		symmetric.NewHashes().Sum([]symmetric.Hashing{{Sum: digest, Message: slices.Concat(parts...)}})
		return digest
	}
	if err := first(
		same("blinding_factor", keys.Blinding()[:], v.BlindingFactor),
		same("rho_key", keys.Stream()[:], v.RhoKey),
		same("hmac_key", derive.MACKey(&keys), v.HMACKey),
		same("tau", keys.Tag()[:], v.Tau),
		same("block_cipher_key", keys.Payload()[:], v.BlockCipherKey),
		same("block_cipher_key", payload[:], v.BlockCipherKey),
		same("mac", derive.MAC(nil, &keys, v.MACData), v.MAC),
		same("hash_of_mac_data", hash(v.MACData), v.HashOfMACData),
	); err != nil || v.TauGoTwin == nil {
		return err
	}
	// The reference's twin in Go drops the last byte of s.
	return same("tau_gotwin", hash([]byte{0x55}, v.S[:31]), v.TauGoTwin)
}

func checkGroup(s *setting, rawCase json.RawMessage) error {
	var v struct {
		Raw                testvectors.Hex   `json:"raw"`
		Clamped            testvectors.Hex   `json:"clamped"`
		Public             testvectors.Hex   `json:"public"`
		Base               testvectors.Hex   `json:"base"`
		ExponBase          testvectors.Hex   `json:"expon_base"`
		ExponBaseUnclamped testvectors.Hex   `json:"expon_base_unclamped"`
		BaseTopbit         testvectors.Hex   `json:"base_topbit"`
		ExponBaseTopbit    testvectors.Hex   `json:"expon_base_topbit"`
		Exps               []testvectors.Hex `json:"exps"`
		MultiexponG        testvectors.Hex   `json:"multiexpon_g"`
		MultiexponBase     testvectors.Hex   `json:"multiexpon_base"`
	}
	if err := decode(rawCase, &v, false); err != nil {
		return err
	}
	if err := first(fixed("raw", v.Raw, x25519.Size), fixed("base", v.Base, x25519.Size)); err != nil {
		return err
	}
	key, err := sphinx.NewPrivateKey(v.Raw)
	if err != nil {
		return err
	}
	public := key.Public()
	flipped := bytes.Clone(v.Base)
	flipped[31] ^= 0x80
	if err := first(
		same("clamped", key.Bytes(), v.Clamped),
		same("public", public[:], v.Public),
		same("base_topbit", flipped, v.BaseTopbit),
		same("expon_base", multiply(v.Base, v.Clamped), v.ExponBase),
		same("expon_base_unclamped", multiply(v.Base, v.Raw), v.ExponBaseUnclamped),
		same("expon_base_topbit", multiply(flipped, v.Clamped), v.ExponBaseTopbit),
	); err != nil {
		return err
	}

	if len(v.Exps) == 0 {
		return errors.New("exps: empty")
	}
	generator := make([]byte, x25519.Size)
	generator[0] = 9
	ofG, ofBase := generator, []byte(v.Base)
	var product x25519.Product
	for i, exp := range v.Exps {
		if err := fixed(fmt.Sprintf("exps[%d]", i), exp, x25519.Size); err != nil {
			return err
		}
		ofG, ofBase = multiply(ofG, exp), multiply(ofBase, exp)
		factor := x25519.Key(exp)
		x25519.Clamp(&factor)
		if i == 0 {
			product.Set(&factor)
		} else {
			product.Multiply(&factor)
		}
	}
	var scalar x25519.Key // the sender's way: one multiplication for all factors
	product.Scalar(&scalar)
	return first(
		same("multiexpon_g", ofG, v.MultiexponG),
		same("multiexpon_base", ofBase, v.MultiexponBase),
		same("multiexpon_g", multiply(generator, scalar[:]), v.MultiexponG),
	)
}

func checkLowOrder(s *setting, rawCase json.RawMessage) error {
	var v struct {
		Base  testvectors.Hex `json:"base"`
		Error string          `json:"error"`
	}
	if err := decode(rawCase, &v, false); err != nil {
		return err
	}
	if err := fixed("base", v.Base, x25519.Size); err != nil {
		return err
	}
	// What libsodium's refusal is called in PyNaCl.
	if v.Error != "nacl.exceptions."+errLowOrder {
		return fmt.Errorf("error: %.40q is not how the reference refuses a point of low order", v.Error)
	}
	scalar := bytes.Repeat([]byte{0x48}, x25519.Size)
	if product := multiply(v.Base, scalar); !bytes.Equal(product, make([]byte, x25519.Size)) {
		return errors.New("base: not of low order")
	}
	var secret x25519.Key
	if x25519.Shared(&secret, (*x25519.Key)(scalar), (*x25519.Key)(v.Base)) {
		return errors.New("base: its product is zero and not reported")
	}
	return nil
}

func checkNonCanonical(s *setting, rawCase json.RawMessage) error {
	var v struct {
		Base   testvectors.Hex `json:"base"`
		Exp    testvectors.Hex `json:"exp"`
		Result testvectors.Hex `json:"result"`
	}
	if err := decode(rawCase, &v, false); err != nil {
		return err
	}
	if err := first(fixed("base", v.Base, x25519.Size), fixed("exp", v.Exp, x25519.Size)); err != nil {
		return err
	}
	return same("result", multiply(v.Base, v.Exp), v.Result)
}
