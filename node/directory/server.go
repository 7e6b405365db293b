package directory

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// MaxDescriptorLifetime is how far ahead a descriptor may expire when it is registered.
const MaxDescriptorLifetime = 7 * 24 * time.Hour

// ServerConfig holds what [NewServer] needs to know. Key and Network are required; a zero in any other field means its
// default.
type ServerConfig struct {
	// Key signs the views. Its public half is what clients are given.
	Key ed25519.PrivateKey

	// Network is what the directory is for.
	Network Network

	// Lifetime is how long a view is good for, rounded down to the second; at least 2 s. A view is signed anew when half
	// of that has gone. 1 h if zero.
	Lifetime time.Duration

	// MaxNodes is how many nodes the directory lists, up to the constant of that name. 1024 if zero.
	MaxNodes int

	// Now is the clock. time.Now if nil.
	Now func() time.Time

	// Log receives which nodes come and go, and for debugging why a descriptor was refused. Nil discards it.
	Log *slog.Logger
}

func (c ServerConfig) withDefaults() (ServerConfig, error) {
	if err := checkPrivate(c.Key); err != nil {
		return c, err
	}
	if err := c.Network.Validate(); err != nil {
		return c, err
	}
	if c.Lifetime == 0 {
		c.Lifetime = time.Hour
	}
	if c.Lifetime = c.Lifetime.Truncate(time.Second); c.Lifetime < 2*time.Second {
		return c, errors.New("directory: a view must live for 2 s or longer")
	}
	if c.MaxNodes == 0 {
		c.MaxNodes = 1024
	}
	if c.MaxNodes < 0 || c.MaxNodes > MaxNodes {
		return c, fmt.Errorf("directory: a limit of %d nodes, must be 1 to %d", c.MaxNodes, MaxNodes)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// Server is a directory, in memory: an [http.Handler] to be served at the root of its host, by an [http.Server] that has
// timeouts. It is safe for concurrent use and starts nothing of its own.
type Server struct {
	cfg  ServerConfig
	hash [32]byte // of cfg.Network
	mux  *http.ServeMux

	mu      sync.Mutex        // guards what follows
	nodes   map[NodeID]listed // registered, and dropped some time after they expire
	size    int               // of the view that lists them all, in bytes
	changed bool              // nodes has what current has not
	current *publication      // nil before the first; never changed once it is here
}

// listed is a registered node.
type listed struct {
	*Descriptor
	signed []byte
}

// publication is a view as it goes out.
type publication struct {
	*View
	signed []byte
	tag    string // entity tag (RFC 9110 §8.8.3)
}

// NewServer returns a directory without nodes. The error wraps ErrKey, ErrNetwork, ErrInsecureSchedule or sphinx.ErrParams, or says
// what else is wrong with cfg.
func NewServer(cfg ServerConfig) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg:   cfg,
		hash:  cfg.Network.Hash(),
		mux:   http.NewServeMux(),
		nodes: make(map[NodeID]listed),
		size:  viewHeaderSize,
	}
	s.mux.HandleFunc("POST "+descriptorPath, s.serveRegistration)
	s.mux.HandleFunc("GET "+viewPath, s.serveView)
	s.mux.HandleFunc("GET /{$}", s.serveListing)
	return s, nil
}

// register takes in a node, or what is new about one.
func (s *Server) register(signed []byte) error {
	now := s.cfg.Now()
	d, err := ParseDescriptor(signed, now)
	switch {
	case err != nil:
		return err
	case d.Network != s.hash:
		return fmt.Errorf("%w: here a packet has up to %d hops and a payload of %d bytes", ErrOtherNetwork, s.cfg.Network.MaxHops, s.cfg.Network.PayloadSize)
	case d.Expires.After(now.Add(MaxDescriptorLifetime)):
		return fmt.Errorf("%w: at most %s from now, which is %s here", ErrLifetime, MaxDescriptorLifetime, stamp(now))
	}
	id := d.ID()

	s.mu.Lock()
	defer s.mu.Unlock()
	held, known := s.nodes[id]
	if known {
		switch {
		case !held.Identity.Equal(d.Identity):
			return ErrTaken
		case bytes.Equal(held.signed, signed):
			return nil
		case d.Version <= held.Version:
			return fmt.Errorf("%w: the descriptor held has version %d, a new one must have a higher one", ErrOlder, held.Version)
		}
	}
	if !s.fits(id, signed) {
		s.dropExpired(now)
		if !s.fits(id, signed) {
			return ErrFull
		}
	}
	s.drop(id)
	s.nodes[id] = listed{&d, bytes.Clone(signed)}
	s.size += nodePrefixSize + len(signed)
	s.changed = true
	if !known {
		s.cfg.Log.Info("node registered", "node", id.String(), "nodes", len(s.nodes))
	}
	return nil
}

// fits reports whether there is room for signed as the descriptor of id. It is called with mu held.
func (s *Server) fits(id NodeID, signed []byte) bool {
	held, known := s.nodes[id]
	if !known {
		return len(s.nodes) < s.cfg.MaxNodes && s.size+nodePrefixSize+len(signed) <= MaxViewSize
	}
	return s.size-len(held.signed)+len(signed) <= MaxViewSize
}

// drop forgets a node, if it is there. It is called with mu held.
func (s *Server) drop(id NodeID) {
	if held, known := s.nodes[id]; known {
		s.size -= nodePrefixSize + len(held.signed)
		delete(s.nodes, id)
	}
}

// dropExpired is called with mu held.
func (s *Server) dropExpired(now time.Time) {
	for id, held := range s.nodes {
		if held.expired(now) {
			s.drop(id)
			s.cfg.Log.Info("node expired", "node", id.String(), "nodes", len(s.nodes))
		}
	}
}

// publish returns the view to give out, and signs a new one if the last does not have every node, has less than half
// its life before it, or is from a future that a corrected clock has taken back.
func (s *Server) publish() *publication {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	if p := s.current; p != nil && !s.changed && !now.Before(p.Published) && now.Before(p.Published.Add(s.cfg.Lifetime/2)) {
		return p
	}
	s.dropExpired(now)

	published := time.Unix(now.Unix(), 0).UTC()
	v := &View{
		Version:   s.nextVersion(now),
		Published: published,
		Expires:   published.Add(s.cfg.Lifetime),
		Network:   s.cfg.Network,
	}
	descriptors := make([][]byte, 0, len(s.nodes))
	for _, id := range slices.SortedFunc(maps.Keys(s.nodes), compare) {
		v.Nodes = append(v.Nodes, s.nodes[id].Descriptor)
		descriptors = append(descriptors, s.nodes[id].signed)
	}
	signed := sign(s.cfg.Key, viewContext, v.encode(descriptors))
	s.current, s.changed = &publication{v, signed, entityTag(sha256.Sum256(signed))}, false
	return s.current
}

// nextVersion counts in milliseconds since 1970, so that versions rise across a restart, of which nothing is left but
// the clock. It is called with mu held.
func (s *Server) nextVersion(now time.Time) uint64 {
	version := uint64(max(now.UnixMilli(), 1))
	if s.current != nil {
		version = max(version, s.current.Version+1)
	}
	return version
}

// entityTag makes the ETag of a signed view from its hash.
func entityTag(hash [sha256.Size]byte) string { return `"` + hex.EncodeToString(hash[:]) + `"` }
