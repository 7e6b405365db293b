package nodetest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"sphinxmix.example/node/directory"
)

// Lie makes the directory list all mixes that register from now on, whatever the policy says of them, in views that have
// its signature and are right in all else.
func (n *Network) Lie() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.liar = &liar{server: n.server, key: n.key, known: make(map[directory.NodeID][]byte)}
}

func (n *Network) serveDirectory(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	liar := n.liar
	n.mu.Unlock()
	if liar == nil {
		n.server.ServeHTTP(w, r)
		return
	}
	liar.ServeHTTP(w, r)
}

// liar is a directory that does not keep to its policy: it adds to what a server shows.
type liar struct {
	server *directory.Server
	key    ed25519.PrivateKey

	mu      sync.Mutex
	known   map[directory.NodeID][]byte // what the server has refused, signed by who it is about; guarded by mu
	version uint64                      // of the last view; guarded by mu
	rest    []byte                      // of that view, what is behind its stamp; guarded by mu
	view    []byte                      // guarded by mu
}

func (l *liar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.Header.Del("If-None-Match")
	answer := httptest.NewRecorder()
	l.server.ServeHTTP(answer, r)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case strings.HasSuffix(r.URL.Path, "/view") && answer.Code == http.StatusOK:
		_, _ = w.Write(l.show(answer.Body.Bytes()))
		return
	case strings.HasSuffix(r.URL.Path, "/descriptor") && answer.Code/100 == 4:
		if d, err := directory.ParseDescriptor(body, time.Now()); err == nil {
			l.known[d.ID()] = body
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// The parts of a view: see package directory. A stamp is signature ‖ version ‖ dates and network ‖ hash of the rest.
const (
	versionAt = ed25519.SignatureSize
	datesAt   = versionAt + 8
	hashAt    = datesAt + 2*8 + 14
	restAt    = hashAt + sha256.Size
)

// show returns a view with what is known beside it. It has the version that it had before where it says the same. It is called
// with mu held.
func (l *liar) show(view []byte) []byte {
	var policy, nodes cryptobyte.String
	rest := cryptobyte.String(view[restAt:])
	if !rest.ReadUint16LengthPrefixed(&policy) || !rest.ReadUint24LengthPrefixed(&nodes) {
		panic("a server's view is read wrongly")
	}
	all := maps.Clone(l.known)
	for !nodes.Empty() {
		var signed cryptobyte.String
		if !nodes.ReadUint16LengthPrefixed(&signed) {
			panic("a server's view is read wrongly")
		}
		all[idOf(signed)] = signed
	}
	b := cryptobyte.NewBuilder(nil)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(policy) })
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, id := range slices.SortedFunc(maps.Keys(all), func(a, b directory.NodeID) int { return bytes.Compare(a[:], b[:]) }) {
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(all[id]) })
		}
	})
	body := slices.Clone(view[versionAt:hashAt])
	if l.view != nil && bytes.Equal(l.rest, b.BytesOrPanic()) && bytes.Equal(l.view[datesAt:hashAt], view[datesAt:hashAt]) {
		return l.view
	}
	l.rest = b.BytesOrPanic()
	l.version = max(l.version+1, binary.BigEndian.Uint64(body))
	binary.BigEndian.PutUint64(body, l.version)
	hash := sha256.Sum256(l.rest)
	body = append(body, hash[:]...)
	signature := ed25519.Sign(l.key, append([]byte("sphinxmix view v2\x00"), body...))
	l.view = slices.Concat(signature, body, l.rest)
	return l.view
}

// idOf returns whose signed descriptor it is.
func idOf(descriptor []byte) directory.NodeID {
	return directory.NodeIDOf(descriptor[ed25519.SignatureSize:][:ed25519.PublicKeySize])
}
