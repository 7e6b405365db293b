package link_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/node/link"
)

// dialerTLS is what an anonymous dialer of another make would use.
func dialerTLS() *tls.Config {
	return &tls.Config{
		InsecureSkipVerify: true,
		CurvePreferences:   []tls.CurveID{tls.X25519MLKEM768},
		NextProtos:         []string{"sphinxmix/1"},
	}
}

// serverTLS is what a server of another make would use.
func serverTLS(cert tls.Certificate) *tls.Config {
	conf := dialerTLS()
	conf.ClientAuth = tls.RequestClientCert
	conf.Certificates = []tls.Certificate{cert}
	return conf
}

// selfSigned wraps a key of any kind for TLS.
func selfSigned(t testing.TB, key crypto.Signer) tls.Certificate {
	template := &x509.Certificate{SerialNumber: big.NewInt(7)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func ecdsaKey(t testing.TB) crypto.Signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

// stolen is the certificate of a server called "mix", as anyone can see it, with
// the thief's own key.
func stolen(t testing.TB) tls.Certificate {
	n := loopback(t)
	stop := serve(t, n, config("mix"), func(context.Context, *link.Conn) {})
	defer stop()
	conn := tls.Client(n.dial(t, "127.0.0.1"), dialerTLS())
	defer conn.Close()
	require.NoError(t, conn.HandshakeContext(t.Context()))
	cert := conn.ConnectionState().PeerCertificates[0].Raw
	return tls.Certificate{Certificate: [][]byte{cert}, PrivateKey: identity("thief")}
}

func TestBothEndsKnowEachOther(t *testing.T) {
	overBoth(t, func(t *testing.T, n network) {
		dialed, served := pair(t, n, config("other mix"), config("mix"))
		assert.Equal(t, public("mix"), dialed.Peer())
		assert.Equal(t, public("other mix"), served.Peer())
		assert.Equal(t, "127.0.0.1", served.Host())
		exchange(t, dialed, served, 3)
	})
}

func TestAnonymousDialer(t *testing.T) {
	overBoth(t, func(t *testing.T, n network) {
		dialed, served := pair(t, n, config(""), config("mix"))
		assert.Equal(t, public("mix"), dialed.Peer())
		assert.Nil(t, served.Peer())
		exchange(t, dialed, served, 3)
	})
}

func TestDialerRefusesAnotherIdentity(t *testing.T) {
	overBoth(t, func(t *testing.T, n network) {
		conns := accepted(t, n, config("impostor"))
		for _, dialer := range []string{"", "other mix"} {
			conn := n.dial(t, "127.0.0.1")
			_, err := link.Dial(t.Context(), conn, public("mix"), config(dialer))
			require.ErrorIs(t, err, link.ErrIdentity)
			_, err = conn.Write([]byte{1})
			require.Error(t, err, "the connection is closed")
		}
		n.settle()
		assert.Empty(t, conns, "the server never sees a link")
	})
}

func TestDialerRefuses(t *testing.T) {
	mix := selfSigned(t, identity("mix"))
	theft := stolen(t)
	ecdsaCert := selfSigned(t, ecdsaKey(t))
	for _, test := range []struct {
		name     string
		cert     tls.Certificate
		change   func(*tls.Config)
		identity bool // for the sake of which it refuses
	}{
		{name: "TLS 1.2", cert: mix, change: func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }},
		{name: "key exchange without ML-KEM", cert: mix, change: func(c *tls.Config) {
			c.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256}
		}},
		{name: "another protocol", cert: mix, change: func(c *tls.Config) { c.NextProtos = []string{"h2"} }},
		{name: "no protocol", cert: mix, change: func(c *tls.Config) { c.NextProtos = nil }},
		{name: "ECDSA key", cert: ecdsaCert, identity: true},
		{name: "stolen certificate", cert: theft},
		{name: "two certificates", identity: true, cert: tls.Certificate{
			Certificate: [][]byte{mix.Certificate[0], mix.Certificate[0]}, PrivateKey: mix.PrivateKey,
		}},
		{name: "malformed certificate", cert: tls.Certificate{
			Certificate: [][]byte{mix.Certificate[0][:100]}, PrivateKey: mix.PrivateKey,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			overBoth(t, func(t *testing.T, n network) {
				conf := serverTLS(test.cert)
				if test.change != nil {
					test.change(conf)
				}
				var server sync.WaitGroup
				server.Go(func() {
					conn, err := n.Accept()
					if assert.NoError(t, err) {
						assert.Error(t, tls.Server(conn, conf).Handshake())
						conn.Close()
					}
				})
				defer server.Wait()
				_, err := link.Dial(t.Context(), n.dial(t, "127.0.0.1"), public("mix"), config(""))
				require.Error(t, err)
				assert.Equal(t, test.identity, errors.Is(err, link.ErrIdentity), "%v", err)
			})
		})
	}
	t.Run("nothing else", func(t *testing.T) {
		overBoth(t, func(t *testing.T, n network) {
			var server sync.WaitGroup
			server.Go(func() {
				conn, err := n.Accept()
				if assert.NoError(t, err) {
					assert.NoError(t, tls.Server(conn, serverTLS(mix)).Handshake())
				}
			})
			defer server.Wait()
			dial(t, n.dial(t, "127.0.0.1"), config(""))
		})
	})
}

func TestServerRefuses(t *testing.T) {
	own := selfSigned(t, identity("other mix"))
	theft := stolen(t)
	ecdsaCert := selfSigned(t, ecdsaKey(t))
	for _, test := range []struct {
		name   string
		change func(*tls.Config)
	}{
		{"TLS 1.2", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }},
		{"key exchange without ML-KEM", func(c *tls.Config) {
			c.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256}
		}},
		{"another protocol", func(c *tls.Config) { c.NextProtos = []string{"h2", "http/1.1"} }},
		{"no protocol", func(c *tls.Config) { c.NextProtos = nil }},
		{"ECDSA key", func(c *tls.Config) { c.Certificates = []tls.Certificate{ecdsaCert} }},
		{"stolen certificate", func(c *tls.Config) { c.Certificates = []tls.Certificate{theft} }},
		{"two certificates", func(c *tls.Config) {
			c.Certificates = []tls.Certificate{{
				Certificate: [][]byte{own.Certificate[0], own.Certificate[0]}, PrivateKey: own.PrivateKey,
			}}
		}},
		{"malformed certificate", func(c *tls.Config) {
			c.Certificates = []tls.Certificate{{
				Certificate: [][]byte{own.Certificate[0][:100]}, PrivateKey: own.PrivateKey,
			}}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			overBoth(t, func(t *testing.T, n network) {
				conns := accepted(t, n, config("mix"))
				conf := dialerTLS()
				test.change(conf)
				raw := tls.Client(n.dial(t, "127.0.0.1"), conf)
				err := raw.HandshakeContext(t.Context())
				if err == nil {
					// The dialer's part of the handshake is over before the server judges.
					_, err = raw.Read(make([]byte, 1))
				}
				require.Error(t, err)
				assert.Empty(t, conns)

				dialed := dial(t, n.dial(t, "127.0.0.1"), config("other mix"))
				exchange(t, dialed, <-conns, 3)
			})
		})
	}
}

func TestNothingIsResumed(t *testing.T) {
	n := loopback(t)
	conns := accepted(t, n, config("mix"))
	conf := dialerTLS()
	conf.ServerName = "any"
	conf.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	for range 3 {
		raw := tls.Client(n.dial(t, "127.0.0.1"), conf)
		require.NoError(t, raw.HandshakeContext(t.Context()))
		served := <-conns
		go requireSend(t, served, 1, 2, body(1))
		_, err := raw.Read(make([]byte, 1)) // a ticket would come before this
		require.NoError(t, err)
		assert.False(t, raw.ConnectionState().DidResume)
	}
	_, found := conf.ClientSessionCache.Get("any")
	assert.False(t, found, "the server gave a ticket")
}

func TestCertificateTellsNothingButTheKey(t *testing.T) {
	first, second := stolen(t), stolen(t)
	assert.Equal(t, first.Certificate, second.Certificate)
	cert, err := x509.ParseCertificate(first.Certificate[0])
	require.NoError(t, err)
	assert.Equal(t, public("mix"), cert.PublicKey)
	assert.Empty(t, cert.Subject.String())
	assert.Empty(t, cert.Issuer.String())
	assert.Empty(t, cert.DNSNames)
	assert.Empty(t, cert.IPAddresses)
}
