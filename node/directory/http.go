package directory

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"text/tabwriter"
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
	{ErrFull, http.StatusServiceUnavailable},
	{ErrStore, http.StatusServiceUnavailable},
}

// ServeHTTP answers what the package comment lists under HTTP, and other requests with 404 or 405.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	source := sourceOf(r)
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
		return s.register(r.Context(), signed, sourceOf(r))
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
	switch status {
	case http.StatusTooManyRequests:
		w.Header().Set("Retry-After", strconv.Itoa(int(time.Hour/time.Second)/s.cfg.MaxNewNodes+1))
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", strconv.Itoa(int(retryEvery/time.Second)))
	}
	http.Error(w, reason.Error(), status)
}

func (s *Server) serveView(w http.ResponseWriter, r *http.Request) {
	p, err := s.publish(r.Context())
	if err != nil {
		s.refuse(w, err)
		return
	}
	connection := http.NewResponseController(w)
	_ = connection.SetWriteDeadline(time.Now().Add(viewDeadline))
	defer s.pins.add(p, connection)()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", p.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(p.signed))
}

func (s *Server) serveListing(w http.ResponseWriter, r *http.Request) {
	p, err := s.publish(r.Context())
	if err != nil {
		s.refuse(w, err)
		return
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(viewDeadline))
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Write(s.listing(p))
}

// listing is the view for people. What nodes wrote is in it as it is: a descriptor with anything but visible ASCII is
// not accepted.
func (s *Server) listing(p *publication) []byte {
	now := s.cfg.Now()
	nodes := p.nodes()
	var page bytes.Buffer
	table := tabwriter.NewWriter(&page, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "Directory of a Sphinx mix network\n\n")
	fmt.Fprintf(table, "key\t%s\n", hex.EncodeToString(s.publicKey()))
	fmt.Fprintf(table, "packets\tup to %d hops, payload of %d bytes, %d bytes in all\n", p.MaxHops, p.PayloadSize, p.PacketSize())
	fmt.Fprintf(table, "epochs\t%s each, now %d\n", p.Epoch, p.EpochAt(now))
	fmt.Fprintf(table, "view\tversion %d, from %s to %s\n", p.Version, stamp(p.Published), stamp(p.Expires))
	fmt.Fprintf(table, "nodes\t%d\n\n", len(nodes))
	table.Flush()

	fmt.Fprintf(table, "NODE\tADDRESS\tEPOCHS\tSERVICES\tEVIDENCE\tEXPIRES\n")
	for _, d := range nodes {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n",
			d.ID(), d.Address, epochs(d.Keys), orDash(strings.Join(d.Services, " ")), evidence(d.Evidence), remaining(d, now))
	}
	table.Flush()
	return page.Bytes()
}

func epochs(keys []EpochKey) string {
	var words []string
	for _, k := range keys {
		words = append(words, strconv.FormatUint(k.Epoch, 10))
	}
	return strings.Join(words, " ")
}

func evidence(e []byte) string {
	if len(e) == 0 {
		return "-"
	}
	return fmt.Sprintf("%d bytes", len(e))
}

func remaining(d *Descriptor, now time.Time) string {
	if d.expired(now) {
		return "expired"
	}
	return "in " + d.Expires.Sub(now).Round(time.Second).String()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
