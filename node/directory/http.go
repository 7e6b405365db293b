package directory

import (
	"bytes"
	"crypto/ed25519"
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
	viewPath       = "/v1/view"
)

// refusals says which status goes with a reason to refuse a descriptor.
var refusals = []struct {
	reason error
	status int
}{
	{ErrDescriptor, http.StatusBadRequest},
	{ErrKey, http.StatusForbidden},
	{ErrSignature, http.StatusForbidden},
	{ErrExpired, http.StatusUnprocessableEntity},
	{ErrLifetime, http.StatusUnprocessableEntity},
	{ErrOtherNetwork, http.StatusUnprocessableEntity},
	{ErrOlder, http.StatusConflict},
	{ErrTaken, http.StatusConflict},
	{ErrFull, http.StatusServiceUnavailable},
}

// ServeHTTP answers what the package comment lists under HTTP, and other requests with 404 or 405.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

func (s *Server) serveRegistration(w http.ResponseWriter, r *http.Request) {
	signed, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxDescriptorSize))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			http.Error(w, fmt.Sprintf("a descriptor has at most %d bytes", MaxDescriptorSize), http.StatusRequestEntityTooLarge)
			return
		}
		http.Error(w, "the descriptor did not come whole", http.StatusBadRequest)
		return
	}
	if err := s.register(signed); err != nil {
		s.cfg.Log.Debug("descriptor refused", "reason", err)
		http.Error(w, err.Error(), statusOf(err))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func statusOf(err error) int {
	for _, r := range refusals {
		if errors.Is(err, r.reason) {
			return r.status
		}
	}
	return http.StatusInternalServerError
}

func (s *Server) serveView(w http.ResponseWriter, r *http.Request) {
	p := s.publish()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", p.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(p.signed))
}

func (s *Server) serveListing(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Write(s.listing())
}

// listing is the view for people. What nodes wrote is in it as it is: a descriptor with anything but visible ASCII is
// not accepted.
func (s *Server) listing() []byte {
	p := s.publish()
	now := s.cfg.Now()
	var page bytes.Buffer
	table := tabwriter.NewWriter(&page, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "Directory of a Sphinx mix network\n\n")
	fmt.Fprintf(table, "key\t%s\n", hex.EncodeToString(s.cfg.Key.Public().(ed25519.PublicKey)))
	fmt.Fprintf(table, "packets\tup to %d hops, payload of %d bytes, %d bytes in all\n", p.MaxHops, p.PayloadSize, p.PacketSize())
	fmt.Fprintf(table, "epochs\t%s each, now %d\n", p.Epoch, p.EpochAt(now))
	fmt.Fprintf(table, "view\tversion %d, from %s to %s\n", p.Version, stamp(p.Published), stamp(p.Expires))
	fmt.Fprintf(table, "nodes\t%d\n\n", len(p.Nodes))
	table.Flush()

	fmt.Fprintf(table, "NODE\tADDRESS\tEPOCHS\tSERVICES\tEVIDENCE\tEXPIRES\n")
	for _, d := range p.Nodes {
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
