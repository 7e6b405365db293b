package directory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
)

const (
	maxSilence = 5 * time.Second // that a client bears before and within an answer
	maxRequest = 4 * time.Minute // that it may take in all: more than a server gives it
	maxReason  = 512             // bytes of a refusal that are read for its first line
)

var errSilent = fmt.Errorf("it sends nothing for %s", maxSilence)

// server is one server of a directory.
type server struct {
	url  string // as it was given
	base *url.URL
	http *http.Client
}

// defaultHTTP makes a client that leaves nothing behind once its answers are closed.
func defaultHTTP() *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			MaxResponseHeaderBytes: 16 << 10,
			DisableKeepAlives:      true,
			DisableCompression:     true,
		},
	}
}

// answer is what a server says. It must be closed.
type answer struct {
	*http.Response
	server  server
	outer   context.Context // of the caller
	inner   context.Context // of the request, which ends with outer or when the server is too slow
	silence *time.Timer
	cancel  context.CancelFunc
}

// ask sends a request and waits for the answer to begin.
func (s server) ask(ctx context.Context, method, path string, header http.Header, body []byte) (*answer, error) {
	a := &answer{server: s, outer: ctx}
	limited, stop := context.WithTimeout(ctx, maxRequest)
	inner, cancel := context.WithCancelCause(limited)
	a.inner = inner
	a.silence = time.AfterFunc(maxSilence, func() { cancel(errSilent) })
	a.cancel = func() {
		a.silence.Stop()
		cancel(nil)
		stop()
	}
	request, err := http.NewRequestWithContext(inner, method, s.base.JoinPath(path).String(), bytes.NewReader(body))
	if err != nil {
		a.cancel()
		return nil, fmt.Errorf("directory %s: %w", s.url, err)
	}
	request.Header = header
	if a.Response, err = s.http.Do(request); err != nil {
		err = a.failure(err)
		a.cancel()
		return nil, err
	}
	return a, nil
}

func (a *answer) close() {
	a.Body.Close()
	a.cancel()
}

// read returns up to limit bytes of the answer.
func (a *answer) read(limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(steady{a}, limit))
	if err != nil {
		return nil, a.failure(err)
	}
	return b, nil
}

// steady reads an answer that may not pause for longer than maxSilence.
type steady struct{ *answer }

func (r steady) Read(b []byte) (int, error) {
	n, err := r.Body.Read(b)
	if n > 0 {
		r.silence.Reset(maxSilence)
	}
	return n, err
}

// failure says why there is no answer, or no whole one.
func (a *answer) failure(cause error) error {
	// The name of the directory stands in the error already.
	var request *url.Error
	if errors.As(cause, &request) {
		cause = request.Err
	}
	if errors.Is(a.outer.Err(), context.Canceled) {
		return fmt.Errorf("directory %s: %w", a.server.url, cause)
	}
	if errors.Is(context.Cause(a.inner), errSilent) {
		cause = errSilent
	}
	return fmt.Errorf("directory %s %w: is it running, and is this its address? (%w)", a.server.url, ErrNoAnswer, cause)
}

// distrust says what is wrong with a view of the server.
func (s server) distrust(err error) error {
	advice := ""
	switch {
	case errors.Is(err, ErrView), errors.Is(err, ErrPolicy), errors.Is(err, ErrOlder), errors.Is(err, ErrTwoViews):
	case errors.Is(err, ErrSignature):
		advice = ": is the directory's key the right one?"
	case errors.Is(err, ErrExpired):
		advice = ": are the clocks right, here and there?"
	}
	return fmt.Errorf("directory %s: %w%s", s.url, err, advice)
}

// refusal says in one line of visible characters why a is not what was asked for.
func (a *answer) refusal(what string) error {
	text, _ := io.ReadAll(io.LimitReader(steady{a}, maxReason)) // what came before a failure says more than the failure
	reason, _, _ := strings.Cut(string(text), "\n")
	reason = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, reason)
	if reason == "" || a.StatusCode/100 == 3 {
		reason = fmt.Sprintf("it answers %d %s, is this the address of a directory?", a.StatusCode, http.StatusText(a.StatusCode))
	}
	return fmt.Errorf("directory %s %w %s: %s", a.server.url, ErrRefused, what, reason)
}
