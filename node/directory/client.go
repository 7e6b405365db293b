package directory

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode"
)

const maxReason = 512 // bytes of a directory's answer that are read for its first line

// Client asks one directory. Its fields must not be changed after the first call. It is safe for concurrent use and
// must not be copied.
type Client struct {
	// URLs are where the directory's servers are, each "http://host:port" or "https://…"; at least one.
	URLs []string

	// Key is the directory's public key, required.
	Key ed25519.PublicKey

	// HTTP makes the requests. Nil means a client that uses no proxy and no compression, follows no redirect, keeps no
	// connection, and gives up after 2 minutes in all or 30 seconds without an answer.
	HTTP *http.Client

	// Now is the clock. time.Now if nil.
	Now func() time.Time

	mu   sync.Mutex
	last *fetched // the newest view; guarded by mu
}

type fetched struct {
	view *View
	hash [sha256.Size]byte // of its signed bytes
}

// Fetch returns the view of the network, which is never older than one that it returned before. A view that the
// directory says is still current is not transferred again. The error wraps what [ParseView] has against the view,
// ErrOlder for a view older than the last or another one of the same version, ErrRefused for an answer that is not a
// view, or ErrNoAnswer and its cause.
func (c *Client) Fetch(ctx context.Context) (*View, error) {
	c.mu.Lock()
	before := c.last
	c.mu.Unlock()
	header := make(http.Header)
	if before != nil {
		header.Set("If-None-Match", entityTag(before.hash))
	}
	answer, err := c.do(ctx, http.MethodGet, viewPath, header, nil)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	got := before
	switch {
	case answer.StatusCode == http.StatusNotModified && before != nil:
	case answer.StatusCode == http.StatusOK:
		signed, err := io.ReadAll(io.LimitReader(answer.Body, MaxViewSize+1))
		if err != nil {
			return nil, c.noAnswer(ctx, err)
		}
		view, err := ParseView(signed, c.Key, c.now())
		if err != nil {
			return nil, c.distrust(err)
		}
		got = &fetched{view, sha256.Sum256(signed)}
	default:
		return nil, c.refusal(answer, "to show its view")
	}
	return c.accept(before, got)
}

// accept makes got the last view unless it is older than the one before the request. A newer one that another call
// fetched meanwhile takes its place.
func (c *Client) accept(before, got *fetched) (*View, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch last := c.last; {
	case before != nil && got.view.Version < before.view.Version:
		return nil, c.distrust(fmt.Errorf("%w: it shows version %d after version %d", ErrOlder, got.view.Version, before.view.Version))
	case last != nil && got.view.Version == last.view.Version && got.hash != last.hash:
		return nil, c.distrust(fmt.Errorf("%w: it shows two views of version %d", ErrOlder, got.view.Version))
	case last == nil || got.view.Version > last.view.Version:
		c.last = got
	}
	view, err := c.last.view.at(c.now())
	if err != nil {
		return nil, c.distrust(err)
	}
	return view, nil
}

// Register hands the directory a descriptor as SignDescriptor returns it. One that takes the place of another must
// have a higher version; the same one again is no error. The error wraps ErrRefused and says in the directory's words why, or
// wraps ErrNoAnswer and its cause.
func (c *Client) Register(ctx context.Context, signed []byte) error {
	header := http.Header{"Content-Type": {"application/octet-stream"}}
	answer, err := c.do(ctx, http.MethodPost, descriptorPath, header, signed)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		return c.refusal(answer, "the descriptor")
	}
	return nil
}

func (c *Client) do(ctx context.Context, method, path string, header http.Header, body []byte) (*http.Response, error) {
	base, err := url.Parse(c.URLs[0])
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.User != nil {
		return nil, fmt.Errorf("the directory's URL %q is not of the form http://host:port", c.URLs[0])
	}
	request, err := http.NewRequestWithContext(ctx, method, base.JoinPath(path).String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("directory %s: %w", c.URLs[0], err)
	}
	request.Header = header
	client := c.HTTP
	if client == nil {
		client = defaultHTTP()
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, c.noAnswer(ctx, err)
	}
	return answer, nil
}

// defaultHTTP makes a client that leaves nothing behind once its answers are closed.
func defaultHTTP() *http.Client {
	return &http.Client{
		Timeout:       2 * time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSHandshakeTimeout:    10 * time.Second,
			ResponseHeaderTimeout:  30 * time.Second,
			MaxResponseHeaderBytes: 16 << 10,
			DisableKeepAlives:      true,
			DisableCompression:     true,
		},
	}
}

func (c *Client) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

func (c *Client) noAnswer(ctx context.Context, cause error) error {
	// The name of the directory stands in the error already.
	var request *url.Error
	if errors.As(cause, &request) {
		cause = request.Err
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("directory %s: %w", c.URLs[0], cause)
	}
	return fmt.Errorf("directory %s %w: is it running, and is this its address? (%w)", c.URLs[0], ErrNoAnswer, cause)
}

func (c *Client) distrust(err error) error {
	advice := ""
	switch {
	case errors.Is(err, ErrView), errors.Is(err, ErrOlder):
	case errors.Is(err, ErrSignature):
		advice = ": is the directory's key the right one?"
	case errors.Is(err, ErrExpired):
		advice = ": are the clocks right, here and there?"
	}
	return fmt.Errorf("directory %s: %w%s", c.URLs[0], err, advice)
}

// refusal says in one line of visible characters why answer is not what was asked for.
func (c *Client) refusal(answer *http.Response, what string) error {
	text, _ := io.ReadAll(io.LimitReader(answer.Body, maxReason)) // what came before a failure says more than the failure
	reason, _, _ := strings.Cut(string(text), "\n")
	reason = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, reason)
	if reason == "" || answer.StatusCode/100 == 3 {
		reason = fmt.Sprintf("it answers %d %s, is this the address of a directory?", answer.StatusCode, http.StatusText(answer.StatusCode))
	}
	return fmt.Errorf("directory %s %w %s: %s", c.URLs[0], ErrRefused, what, reason)
}
