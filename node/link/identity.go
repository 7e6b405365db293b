package link

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// protocol is the name by which TLS negotiates this package's frames (ALPN).
const protocol = "sphinxmix/1"

// dialerTLS is the TLS configuration of a dialer.
func dialerTLS(cfg Config) (*tls.Config, error) {
	conf, err := commonTLS(cfg)
	if err != nil {
		return nil, err
	}
	// The peer's key is compared with the expected one, which stands in for
	// names, chains and authorities.
	conf.InsecureSkipVerify = true
	return conf, nil
}

// serverTLS is the TLS configuration of the accepting end.
func serverTLS(cfg Config) (*tls.Config, error) {
	if cfg.Key == nil {
		return nil, errors.New("link: a server needs an identity key")
	}
	conf, err := commonTLS(cfg)
	if err != nil {
		return nil, err
	}
	conf.ClientAuth = tls.RequestClientCert
	conf.SessionTicketsDisabled = true
	return conf, nil
}

func commonTLS(cfg Config) (*tls.Config, error) {
	conf := &tls.Config{
		MinVersion:       tls.VersionTLS13,
		CurvePreferences: []tls.CurveID{tls.X25519MLKEM768},
		NextProtos:       []string{protocol},
		// Short first records would cut frames into pieces.
		DynamicRecordSizingDisabled: true,
	}
	if cfg.Key != nil {
		cert, err := certificate(cfg.Key)
		if err != nil {
			return nil, err
		}
		conf.Certificates = []tls.Certificate{cert}
	}
	return conf, nil
}

// peerKey returns the key that the peer showed, nil if it showed none. TLS has
// seen to it, or will before the handshake ends, that the peer holds its private
// half.
func peerKey(state tls.ConnectionState) (ed25519.PublicKey, error) {
	// TLS lets a peer that offers no protocol at all pass for one that agrees.
	if state.NegotiatedProtocol != protocol {
		return nil, errors.New("peer does not speak " + protocol)
	}
	switch certs := state.PeerCertificates; len(certs) {
	case 0:
		return nil, nil
	case 1:
		if key, ok := certs[0].PublicKey.(ed25519.PublicKey); ok {
			return key, nil
		}
		return nil, fmt.Errorf("%w: its key is not an Ed25519 key", ErrIdentity)
	default:
		return nil, fmt.Errorf("%w: it showed %d certificates", ErrIdentity, len(certs))
	}
}

// certificate wraps key for TLS. Apart from the key all of it is constant, so
// that it tells nothing else, such as when the program was started.
func certificate(key ed25519.PrivateKey) (tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Unix(0, 0).UTC(),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // no expiry, RFC 5280 §4.1.2.5
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("link: certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
