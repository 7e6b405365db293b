package vectors

import (
	"encoding/json"

	"sphinxmix.example/lioness"
	"sphinxmix.example/sphinx"
	"sphinxmix.example/sphinx/internal/schedule"
	"sphinxmix.example/sphinx/internal/x25519"
	"sphinxmix.example/testvectors"
)

func checkKDF(s *setting, rawCase json.RawMessage) error {
	var v testvectors.KDF
	if err := decode(rawCase, &v, true); err != nil {
		return err
	}
	if err := first(
		fixed("private_key", v.PrivateKey, x25519.Size),
		fixed("alpha", v.Alpha, x25519.Size),
		fixed("ktilde", v.Ktilde, 32),
	); err != nil {
		return err
	}
	got, err := deriveKDF(v.Name, v.PrivateKey, v.Alpha, v.MACData, v.Ktilde)
	if err != nil {
		return err
	}
	return compare(rawCase, got, true)
}

// deriveKDF computes the outputs of key schedule 1 from its inputs, each of which has its size.
func deriveKDF(name string, private, alpha, macData, ktilde []byte) (testvectors.KDF, error) {
	key, err := sphinx.NewPrivateKey(private)
	if err != nil {
		return testvectors.KDF{}, err
	}
	public := key.Public()
	derive := schedule.New(false)
	var keys schedule.Keys
	shared := x25519.Key(multiply(alpha, key.Bytes()))
	prk := derive.Derive(&keys, (*x25519.Key)(alpha), (*x25519.Key)(&public), &shared)
	var reply [lioness.KeySize]byte
	derive.ReplyKey(&reply, (*[32]byte)(ktilde))
	return testvectors.KDF{
		Name:       name,
		PrivateKey: key.Bytes(),
		PublicKey:  public[:],
		Alpha:      alpha,
		S:          shared[:],
		PRK:        prk[:],
		Rho:        keys.Stream()[:],
		Mu:         derive.MACKey(&keys),
		Pi:         keys.Payload()[:],
		Blinding:   keys.Blinding()[:],
		Tau:        keys.Tag()[:],
		NextAlpha:  multiply(alpha, keys.Blinding()[:]),
		MACData:    macData,
		MAC:        derive.MAC(nil, &keys, macData),
		Ktilde:     ktilde,
		ReplyKey:   reply[:],
	}, nil
}
