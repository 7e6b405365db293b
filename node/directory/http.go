package directory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

const (
	descriptorPath = "/v1/descriptor"
	leavePath      = "/v1/leave"
	viewPath       = "/v1/view"
)

// refusals says which status goes with a reason to refuse a request.
var refusals = []struct {
	reason error
	status int
}{
	{ErrUntrusted, http.StatusForbidden}, // first, as it wraps whatever is wrong with evidence
	{ErrDescriptor, http.StatusBadRequest},
	{ErrLeave, http.StatusBadRequest},
	{ErrKey, http.StatusForbidden},
	{ErrSignature, http.StatusForbidden},
	{ErrExpired, http.StatusUnprocessableEntity},
	{ErrLifetime, http.StatusUnprocessableEntity},
	{ErrFuture, http.StatusUnprocessableEntity},
	{ErrOtherNetwork, http.StatusUnprocessableEntity},
	{ErrOlder, http.StatusConflict},
	{ErrTaken, http.StatusConflict},
	{ErrTooMany, http.StatusTooManyRequests},
	{ErrTooWrong, http.StatusTooManyRequests},
	{ErrTooMuch, http.StatusTooManyRequests},
	{ErrTooOften, http.StatusTooManyRequests},
	{ErrFull, http.StatusServiceUnavailable},
	{ErrStore, http.StatusServiceUnavailable},
	{ErrPolicy, http.StatusServiceUnavailable},
}

// ServeHTTP answers what the package comment lists under HTTP, and other requests with 404 or 405.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	source := sourceOf(r.RemoteAddr)
	if !s.guard.enter(source) {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many requests at once: try again later", http.StatusServiceUnavailable)
		return
	}
	defer s.guard.leave(source)
	s.mux.ServeHTTP(w, r)
}

func (s *Server) serveRegistration(w http.ResponseWriter, r *http.Request) {
	s.serveStatement(w, r, "a descriptor", MaxDescriptorSize, func(signed []byte) error {
		return s.register(r.Context(), signed, sourceOf(r.RemoteAddr))
	})
}

func (s *Server) serveLeave(w http.ResponseWriter, r *http.Request) {
	s.serveStatement(w, r, "a leave", LeaveSize, func(signed []byte) error {
		return s.leave(r.Context(), signed)
	})
}

// serveStatement reads what a node signed, and says whether take takes it.
func (s *Server) serveStatement(w http.ResponseWriter, r *http.Request, what string, size int64, take func([]byte) error) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyDeadline)) // a tunnel may not have deadlines
	signed, err := io.ReadAll(http.MaxBytesReader(w, r.Body, size))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			http.Error(w, fmt.Sprintf("%s has at most %d bytes", what, size), http.StatusRequestEntityTooLarge)
			return
		}
		http.Error(w, what+" did not come whole", http.StatusBadRequest)
		return
	}
	if err := take(signed); err != nil {
		s.refuse(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// refuse answers with the reason, in one line.
func (s *Server) refuse(w http.ResponseWriter, reason error) {
	s.cfg.Log.Debug("request refused", "reason", reason)
	status := http.StatusInternalServerError
	for _, r := range refusals {
		if errors.Is(reason, r.reason) {
			status = r.status
			break
		}
	}
	var wait time.Duration
	switch {
	case errors.Is(reason, ErrTooMany):
		wait = s.allowed.newNodes.every
	case errors.Is(reason, ErrTooWrong):
		wait = s.allowed.refusals.every
	case errors.Is(reason, ErrTooMuch):
		wait = s.allowed.bytes.every * MaxDescriptorSize
	case errors.Is(reason, ErrTooOften):
		wait = s.allowed.renewals.every
	case status == http.StatusServiceUnavailable:
		wait = retryEvery - 1
	}
	if wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
	}
	http.Error(w, reason.Error(), status)
}

func (s *Server) serveView(w http.ResponseWriter, r *http.Request) {
	p, err := s.publish(r.Context())
	if err != nil {
		s.refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", p.tag)
	s.send(w, r, p.signed)
}

func (s *Server) serveListing(w http.ResponseWriter, r *http.Request) {
	p, err := s.publish(r.Context())
	if err != nil {
		s.refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	s.send(w, r, s.page.of(p, s.publicKey(), s.attested))
}

// send answers with body, of which all readers share the one copy, and gives them the time that its size takes.
func (s *Server) send(w http.ResponseWriter, r *http.Request, body []byte) {
	connection := http.NewResponseController(w)
	_ = connection.SetWriteDeadline(time.Now().Add(readTime(len(body))))
	defer s.pins.add(body, sourceOf(r.RemoteAddr), connection)()
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}
