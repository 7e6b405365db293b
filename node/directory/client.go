package directory

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// Client asks one directory, at any of its servers. Its fields must not be changed after the first call. It is safe for
// concurrent use and must not be copied.
//
// It starts with a server chosen at random, stays with one that answers, and turns to the next when one fails, is
// behind what is known already, or does not renew its view in time. An error tells of every server that was asked.
type Client struct {
	// URLs are where the directory's servers are, each "http://host:port" or "https://…"; at least one.
	URLs []string

	// Key is the directory's public key, required.
	Key ed25519.PublicKey

	// Policy is the key of who says which nodes are to be trusted. Where it is given, a view must have a policy that it
	// has signed, and no older one than before; views list the nodes alone whose evidence satisfies it, and say of the
	// others why it does not. Nil trusts whatever nodes the directory lists.
	Policy ed25519.PublicKey

	// HTTP makes the requests. Nil means a client that uses no proxy and no compression, follows no redirect, and
	// keeps no connection. Whoever makes them, a server has 5 s to answer, and as much for each further part of its
	// answer; the whole may take 4 minutes.
	HTTP *http.Client

	// Now is the clock. time.Now if nil.
	Now func() time.Time

	mu     sync.Mutex
	reader *reader  // of all views; nil before the first; guarded by mu
	last   *fetched // the newest view; guarded by mu
	at     int      // the server to ask first; guarded by mu
	begun  bool     // at has been chosen; guarded by mu
}

// fetched is a view as a server has it.
type fetched struct {
	view  *View
	nodes cryptobyte.String // of which view does not know yet
	hash  [sha256.Size]byte // of the signed bytes
}

// Validate returns what is wrong with the fields, as every other call does before it asks anybody. The error wraps ErrKey where it
// is a key.
func (c *Client) Validate() error {
	_, err := c.servers()
	return err
}

// Fetch returns the view of the network, which is never older than one that it returned before. A view that is still
// current is not transferred again. Where no server has a newer view than the last, that one is returned while it is
// good. A descriptor that has not changed since the last view is not checked again. The error wraps what [ParseView]
// has against a view, ErrPolicy for one whose policy is not good under the key that Policy gives, ErrTwoViews for
// another one of the same version as the last, ErrOlder for one that is older than the last when that has expired,
// ErrRefused for an answer that is not a view, or ErrNoAnswer and its cause.
func (c *Client) Fetch(ctx context.Context) (*View, error) {
	var view *View
	err := c.each(ctx, func(s server) error {
		got, err := c.fetch(ctx, s)
		if err != nil {
			return err
		}
		newest, err := c.accept(s, got)
		if err != nil {
			return err
		}
		view = newest
		if c.lags(got.view) {
			return errLags
		}
		return nil
	})
	switch {
	case errors.Is(err, ErrTwoViews):
		return nil, err
	case view != nil:
		return view, nil
	}
	return nil, err
}

// errLags sends Fetch on to the next server. It is no error where nobody is ahead.
var errLags = errors.New("the view is old")

// lags reports whether a view, which a server has just shown, should have been followed by another one.
func (c *Client) lags(v *View) bool {
	c.mu.Lock()
	newest := c.last.view
	c.mu.Unlock()
	now, life := c.now(), v.Expires.Sub(v.Published)
	return v.Version < newest.Version || now.After(v.Published.Add(life/4*3)) || v.EpochAt(now) > v.EpochAt(v.Published)
}

// fetch returns the view that one server has: the last again if it is that.
func (c *Client) fetch(ctx context.Context, s server) (*fetched, error) {
	c.mu.Lock()
	before := c.last
	c.mu.Unlock()
	header := make(http.Header)
	if before != nil {
		header.Set("If-None-Match", entityTag(before.hash))
	}
	signed, err := s.view(ctx, header)
	if signed == nil {
		return before, err
	}
	view, nodes, err := openView(signed, c.Key)
	if err != nil {
		return nil, s.distrust(err)
	}
	return &fetched{view, nodes, sha256.Sum256(signed)}, nil
}

// view returns the view that the server has, as it is signed; nil where that is the one which header says is known.
func (s *server) view(ctx context.Context, header http.Header) ([]byte, error) {
	answer, err := s.ask(ctx, http.MethodGet, viewPath, header, nil)
	if err != nil {
		return nil, err
	}
	defer answer.close()
	switch {
	case answer.StatusCode == http.StatusNotModified && len(header) > 0:
		return nil, nil
	case answer.StatusCode == http.StatusOK:
		return answer.read(MaxViewSize + 1)
	}
	return nil, answer.refusal("to show its view")
}

// Inspect returns what a server's view has for those who judge for themselves: the network's policy, empty where it has none, and
// the descriptor of each node that is listed, expired ones too, both as they were signed and neither checked any further. Errors
// are like those of Fetch.
func (c *Client) Inspect(ctx context.Context) (policy []byte, descriptors [][]byte, err error) {
	err = c.each(ctx, func(s server) error {
		signed, err := s.view(ctx, make(http.Header))
		if err != nil {
			return err
		}
		view, nodes, err := openView(signed, c.Key)
		if err == nil {
			_, err = view.At(c.now())
		}
		if err == nil {
			descriptors, err = splitNodes(nodes)
		}
		if err != nil {
			return s.distrust(err)
		}
		policy = view.SignedPolicy
		return nil
	})
	return policy, descriptors, err
}

// accept makes got the last view, if it is newer, and returns the last as it is good now.
func (c *Client) accept(s server, got *fetched) (*View, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	last, now := c.last, c.now()
	switch {
	case last == nil || got.view.Version > last.view.Version:
		if c.reader == nil {
			c.reader = newReader(c.Key, c.Policy)
		}
		if err := c.reader.read(got.view, got.nodes, now); err != nil {
			return nil, s.distrust(err)
		}
		last = &fetched{view: got.view, hash: got.hash}
	case got.view.Version == last.view.Version && got.hash != last.hash:
		return nil, s.distrust(fmt.Errorf("%w %d", ErrTwoViews, got.view.Version))
	}
	view, err := last.view.At(now)
	if err != nil {
		if got.view.Version < last.view.Version && errors.Is(err, ErrExpired) {
			err = fmt.Errorf("%w: it shows version %d after version %d, which has %w", ErrOlder, got.view.Version, last.view.Version, ErrExpired)
		}
		return nil, s.distrust(err)
	}
	c.last = &fetched{view: view, hash: last.hash}
	return view, nil
}

// Register hands the directory a descriptor as SignDescriptor returns it. One that takes the place of another must
// have a higher version; the same one again is no error. Every server is asked until one takes it. The error wraps
// ErrRefused and says in the servers' words why, or wraps ErrNoAnswer and its cause.
func (c *Client) Register(ctx context.Context, signed []byte) error {
	return c.post(ctx, descriptorPath, signed, "the descriptor")
}

// Leave tells the directory, with what SignLeave returned, that a node is no more. It is listed from the next view on,
// and no descriptor with a version below that of the leave brings it back. A node that is not listed, and the same
// leave again, are no errors. Errors are like those of Register.
func (c *Client) Leave(ctx context.Context, signed []byte) error {
	return c.post(ctx, leavePath, signed, "the leave")
}

func (c *Client) post(ctx context.Context, path string, signed []byte, what string) error {
	return c.each(ctx, func(s server) error {
		header := http.Header{"Content-Type": {"application/octet-stream"}}
		answer, err := s.ask(ctx, http.MethodPost, path, header, signed)
		if err != nil {
			return err
		}
		defer answer.close()
		if answer.StatusCode/100 != 2 {
			return answer.refusal(what)
		}
		return nil
	})
}

// each calls try for one server after the other, until it returns nil, the directory turns out to lie, or ctx ends.
func (c *Client) each(ctx context.Context, try func(server) error) error {
	servers, err := c.servers()
	if err != nil {
		return err
	}
	c.mu.Lock()
	if !c.begun {
		c.at, c.begun = rand.IntN(len(servers)), true
	}
	first := c.at
	c.mu.Unlock()
	var failures failures
	for i := range servers {
		at := (first + i) % len(servers)
		err := try(servers[at])
		if err == nil {
			c.mu.Lock()
			c.at = at
			c.mu.Unlock()
			return nil
		}
		failures = append(failures, err)
		if ctx.Err() != nil || errors.Is(err, ErrTwoViews) {
			break
		}
	}
	if len(failures) == 1 {
		return failures[0]
	}
	return failures
}

// failures are what each of several servers failed at.
type failures []error

func (f failures) Error() string {
	lines := make([]string, len(f))
	for i, err := range f {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "; ")
}

func (f failures) Unwrap() []error { return f }

// servers returns the servers of URLs, or says which of these cannot be one.
func (c *Client) servers() ([]server, error) {
	if len(c.URLs) == 0 {
		return nil, errors.New("no URL of a directory is given")
	}
	if err := checkIdentity(c.Key); err != nil {
		return nil, fmt.Errorf("directory %s: its key: %w", c.URLs[0], err)
	}
	if c.Policy != nil {
		if err := checkIdentity(c.Policy); err != nil {
			return nil, fmt.Errorf("directory %s: the policy key: %w", c.URLs[0], err)
		}
	}
	servers := make([]server, len(c.URLs))
	for i, given := range c.URLs {
		base, err := url.Parse(given)
		if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.User != nil {
			return nil, fmt.Errorf("the directory's URL %q is not of the form http://host:port", given)
		}
		servers[i] = server{given, base, c.HTTP}
		if c.HTTP == nil {
			servers[i].http = defaultHTTP()
		}
	}
	return servers, nil
}

func (c *Client) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}
