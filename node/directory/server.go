package directory

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// MaxDescriptorLifetime is how far ahead a descriptor may expire when it is registered.
const MaxDescriptorLifetime = 7 * 24 * time.Hour

// ServerConfig holds what [NewServer] needs to know. Key and Network are required; a zero in any other field means its
// default.
type ServerConfig struct {
	// Key signs the views. Its public half is what clients are given. Servers that share a store have one key.
	Key ed25519.PrivateKey

	// Network is what the directory is for. Servers that share a store have the same.
	Network Network

	// Policy says which nodes are to be trusted, as tao.Policy.Sign returns it, and PolicyKey is the key that has
	// signed it: both or neither. The directory lists the nodes alone whose evidence satisfies it, and shows it in each
	// view. SetPolicy and a newer one in the store take its place. Servers that share a store have the same key.
	Policy    []byte
	PolicyKey ed25519.PublicKey

	// Store keeps the nodes and the newest view. Whoever opened it closes it, after the last request. A Memory of the
	// server's own if nil.
	Store Store

	// Lifetime is how long a view is good for, rounded down to the second; at least 2 s. A view is signed anew when
	// half of that has gone. 1 h if zero.
	Lifetime time.Duration

	// MaxNodes is how many nodes the directory has room for, up to the constant of that name. A node takes up its
	// place until the last of its descriptors would have expired, even when it has left. Servers that share a store
	// may let in a few more when they are at the limit. 1024 if zero.
	MaxNodes int

	// MaxNewNodes is how many nodes that the directory does not know one address may register at once, and then again
	// within each hour. An address is one of IPv4 or a /64 of IPv6, as the server sees it: behind a proxy there is only
	// one. With it goes how many bytes of descriptors, of nodes known or not, an address may register: those of
	// MaxNewNodes + 64 of the largest, at once and then again within each hour; and MaxNewNodes times 512 in each
	// epoch, where that is more. 256 if zero.
	MaxNewNodes int

	// Now is the clock. time.Now if nil.
	Now func() time.Time

	// Log receives which nodes come and go, which of them a newer policy does not trust, what is wrong with the policy
	// or with the store, and for debugging why a node was refused. Nil discards it.
	Log *slog.Logger
}

func (c ServerConfig) withDefaults() (ServerConfig, error) {
	if err := checkPrivate(c.Key); err != nil {
		return c, err
	}
	if err := c.Network.Validate(); err != nil {
		return c, err
	}
	if (c.PolicyKey == nil) != (len(c.Policy) == 0) {
		return c, errors.New("directory: a policy needs the key that has signed it, and a policy key a policy")
	}
	if c.Store == nil {
		c.Store = new(Memory)
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
	if c.MaxNewNodes == 0 {
		c.MaxNewNodes = 256
	}
	if c.MaxNewNodes < 0 || c.MaxNewNodes > MaxNodes {
		return c, fmt.Errorf("directory: a limit of %d new nodes from one address, must be 1 to %d", c.MaxNewNodes, MaxNodes)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// Server is a directory, or one of the servers of a directory that share a [Store]: an [http.Handler] to be served at
// the root of its host, by an [http.Server] that has timeouts. It is safe for concurrent use and starts nothing of its
// own: what there is to do is done by the requests.
type Server struct {
	cfg     *ServerConfig // not in it, as package fmt looks into fields without asking Format
	hash    [32]byte      // of cfg.Network
	allowed allowance
	mux     *http.ServeMux
	guard   *guard
	pins    pins
	page    page
	judge   *judge // nil where there is no policy

	// turn holds one token while somebody reads the store or publishes. Whoever holds it may wait for the store; mu is
	// only ever held for a moment.
	turn      chan struct{}
	published int64 // a mark before which the newest view in the store is not; -1 at first; for whoever has the turn

	mu       sync.Mutex   // guards what follows
	roster   roster       // all nodes that are known
	policy   policy       // the newest; none where judge is nil
	unjudged bool         // policy has not judged some in roster
	mark     int64        // up to which the store has been read
	read     time.Time    // when that was, or was tried in vain; zero before the first time
	failure  error        // why the store could not be used the last time, nil if it could
	current  *publication // the newest view of cfg.Network; nil before the first; never changed once it is here
	changes  uint64       // how often something has happened that current may not have,
	shown    uint64       // and up to which of these times it has
	version  uint64       // the highest version of a view seen, of whatever network
	pace     bucket       // of publications for changes
}

// NewServer returns a directory. It does not ask the store yet. The error wraps ErrKey, ErrNetwork, ErrInsecureSchedule
// or sphinx.ErrParams, or ErrPolicy for a policy that its key has not signed, or says what else is wrong with cfg. A
// policy that has expired is no error: the directory lists nobody then.
func NewServer(cfg ServerConfig) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg:       &cfg,
		hash:      cfg.Network.Hash(),
		allowed:   allowanceOf(cfg),
		mux:       http.NewServeMux(),
		guard:     newGuard(),
		pins:      pins{limit: maxPinned},
		turn:      make(chan struct{}, 1),
		published: -1,
		roster:    newRoster(cfg.MaxNodes),
	}
	if cfg.PolicyKey != nil {
		if s.policy, err = s.policy.follow(cfg.Policy, cfg.PolicyKey); err != nil {
			return nil, err
		}
		s.judge, s.unjudged = newJudge(s.publicKey()), true
	}
	s.mux.HandleFunc("POST "+descriptorPath, s.serveRegistration)
	s.mux.HandleFunc("POST "+leavePath, s.serveLeave)
	s.mux.HandleFunc("GET "+viewPath, s.serveView)
	s.mux.HandleFunc("GET /{$}", s.serveListing)
	return s, nil
}

// Format prints the key by which clients know the directory, and nothing of the one that it signs with, whatever the verb.
func (s *Server) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "directory.Server(%x)", s.publicKey())
}

func (s *Server) publicKey() ed25519.PublicKey { return s.cfg.Key.Public().(ed25519.PublicKey) }

// register takes in a node, or what is new about one. from is the address that it comes from.
func (s *Server) register(ctx context.Context, signed []byte, from string) error {
	r, err := s.readDescriptor(signed, s.cfg.Now())
	if err != nil {
		return err
	}
	return s.enter(ctx, r, from)
}

// leave strikes a node off the list.
func (s *Server) leave(ctx context.Context, signed []byte) error {
	r, err := readLeave(signed, s.cfg.Now())
	if err != nil {
		return err
	}
	return s.enter(ctx, r, "")
}

// attempts is how often a server tries to change the store before it gives up because others were faster each time.
const attempts = 5

// enter puts a record into the store, and then into the roster.
func (s *Server) enter(ctx context.Context, r *record, from string) error {
	paid := false
	lost := int64(-1) // the mark after which another server was faster
	for range attempts {
		if err := s.know(ctx, lost); err != nil {
			return err
		}
		next, mark, err := s.prepare(r, from, &paid)
		if next == nil {
			return err
		}
		if s.judge != nil && r.desc != nil {
			if r.judged.policy == nil {
				err = s.vet(r, from)
			}
			if next.judged = r.judged; err != nil {
				return err
			}
		}
		set, err := s.store(ctx, next, mark)
		if err != nil {
			return err
		}
		if set {
			s.mu.Lock()
			defer s.mu.Unlock()
			_, known := s.roster.records[next.id]
			s.take(next)
			if next.desc == nil {
				s.cfg.Log.Info("node left", "node", next.id.String(), "known", len(s.roster.records))
			} else if !known {
				s.cfg.Log.Info("node registered", "node", next.id.String(), "known", len(s.roster.records))
			}
			return nil
		}
		lost = mark
	}
	return fmt.Errorf("%w: other servers keep changing this node", ErrStore)
}

// store puts a record into the store, unless another server has changed what is known of the node after mark.
func (s *Server) store(ctx context.Context, r *record, mark int64) (bool, error) {
	ctx, cancel := patience(ctx)
	defer cancel()
	return s.set(ctx, r.name(), r.encode(), mark)
}

// prepare returns r as it is to be stored, and the mark up to which that was decided; or nil if nothing is to be
// stored, and why. What is stored is paid for once.
func (s *Server) prepare(r *record, from string, paid *bool) (next *record, mark int64, err error) {
	now := s.cfg.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.judge != nil && r.desc != nil {
		if err := s.policy.goodAt(now); err != nil {
			return nil, 0, err
		}
	}
	changes, err := s.roster.weigh(r, now)
	if err == nil && !changes {
		err = s.doubt(r.id, now)
	}
	if err != nil || !changes {
		return nil, 0, err
	}
	if !*paid {
		if err := s.admit(r, from, now); err != nil {
			return nil, 0, err
		}
		*paid = true
	}
	stored := *r
	stored.keep = s.roster.keepOf(r)
	return &stored, s.mark, nil
}

// take merges a record into the roster. It is called with mu held.
func (s *Server) take(r *record) {
	if !s.roster.merge(r) {
		return
	}
	s.changes++
	if s.judge != nil && r.desc != nil && r.judged.policy != s.policy.Policy {
		s.unjudged = true
	}
}
