package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"sphinxmix.example/tao"
)

// draft is a policy as its authority writes it: policy.json. Names and files are for people; nothing else is left out
// of what is signed.
type draft struct {
	Key            publicKey           `json:"policy_key"` // whose policy this is
	Attestors      []string            `json:"attestors"`
	MaxAge         span                `json:"max_age"`
	Minimum        draftMinimum        `json:"minimum"`
	Programs       []allowance         `json:"programs"`
	Configurations []allowance         `json:"configurations"`
	Authorities    []authorityRoot     `json:"roots"`
	TPMs           []knownTPM          `json:"tpms"`
	Enrollers      []delegation        `json:"enrollers"`
	LogRegister    uint8               `json:"log_register"`
	Registers      []registerAllowance `json:"registers"`
	Revoked        []revocation        `json:"revoked"`
}

type draftMinimum struct {
	Senders   uint32 `json:"senders"`
	Interval  span   `json:"interval"`
	MeanDelay span   `json:"mean_delay"`
}

// tao returns it as it is signed.
func (m *draftMinimum) tao() tao.Minimum {
	return tao.Minimum{Size: m.Senders, Interval: time.Duration(m.Interval), MeanDelay: time.Duration(m.MeanDelay)}
}

// allowance is a program or a configuration that nodes of these roles may have.
type allowance struct {
	SHA256 digest   `json:"sha256"`
	Roles  []string `json:"roles"`
	Name   string   `json:"name"`
}

// authorityRoot is a maker of TPMs, whose certificate is beside the draft.
type authorityRoot struct {
	SHA256 digest `json:"sha256"` // of the certificate
	Name   string `json:"name"`
	File   string `json:"file"`
}

// knownTPM is one that is trusted by itself, as many have no certificate.
type knownTPM struct {
	SHA256 digest `json:"sha256"` // of its endorsement key
	Name   string `json:"name"`
}

type delegation struct {
	Key     publicKey `json:"key"`
	Expires time.Time `json:"expires"`
	Name    string    `json:"name"`
}

type registerAllowance struct {
	Register uint8    `json:"register"`
	Values   []digest `json:"values"`
}

type revocation struct {
	SHA256 digest `json:"sha256"`
	Name   string `json:"name"` // what it is, and when it was revoked
}

// newDraft returns a policy that trusts nobody.
func newDraft() *draft {
	return &draft{
		Attestors:   []string{tao.TPM.String()},
		MaxAge:      span(2 * time.Hour),
		Minimum:     draftMinimum{4, span(500 * time.Millisecond), span(500 * time.Millisecond)},
		LogRegister: tao.DefaultRegister,
		Programs:    []allowance{}, Configurations: []allowance{}, Authorities: []authorityRoot{}, TPMs: []knownTPM{},
		Enrollers: []delegation{}, Registers: []registerAllowance{}, Revoked: []revocation{},
	}
}

// policy returns what is to be signed.
func (d *draft) policy(version uint64, issued, expires time.Time) (*tao.Policy, error) {
	p := &tao.Policy{
		Version: version, Issued: issued, Expires: expires,
		LogRegister: d.LogRegister,
		Minimum:     d.Minimum.tao(),
		MaxAge:      time.Duration(d.MaxAge),
	}
	for _, name := range d.Attestors {
		kind, err := tao.ParseKind(name)
		if err != nil {
			return nil, err
		}
		p.Attestors = append(p.Attestors, kind)
	}
	var err error
	if p.Programs, err = allowed(d.Programs); err != nil {
		return nil, err
	}
	if p.Settings, err = allowed(d.Configurations); err != nil {
		return nil, err
	}
	for _, root := range d.Authorities {
		p.Roots = append(p.Roots, root.SHA256)
	}
	for _, t := range d.TPMs {
		p.Roots = append(p.Roots, t.SHA256)
	}
	for _, e := range d.Enrollers {
		p.Enrollers = append(p.Enrollers, tao.Enroller{Key: ed25519.PublicKey(e.Key), Expires: e.Expires})
	}
	for _, r := range d.Registers {
		rule := tao.RegisterRule{Index: r.Register}
		for _, value := range r.Values {
			rule.Values = append(rule.Values, value)
		}
		p.Registers = append(p.Registers, rule)
	}
	for _, r := range d.Revoked {
		p.Revoked = append(p.Revoked, r.SHA256)
	}
	return p, nil
}

func allowed(list []allowance) (all []tao.Allowed, err error) {
	for _, a := range list {
		roles, err := parseRoles(a.Roles)
		if err != nil {
			return nil, err
		}
		all = append(all, tao.Allowed{Digest: a.SHA256, Roles: roles, Name: a.Name})
	}
	return all, nil
}

// accepts reports whether nodes with that kind of attestor are let in.
func (d *draft) accepts(kind tao.Kind) bool { return slices.Contains(d.Attestors, kind.String()) }

// revokes returns what is said of a revoked hash.
func (d *draft) revokes(hash [32]byte) (name string, revoked bool) {
	i := slices.IndexFunc(d.Revoked, func(r revocation) bool { return r.SHA256 == hash })
	if i < 0 {
		return "", false
	}
	return d.Revoked[i].Name, true
}

// parseRoles returns what the names of roles stand for.
func parseRoles(names []string) (roles tao.Roles, err error) {
	for _, name := range names {
		role, err := tao.ParseRole(name)
		if err != nil {
			return 0, err
		}
		roles |= tao.Roles(role)
	}
	return roles, nil
}

// namesOf returns the names of roles, in their one order.
func namesOf(roles tao.Roles) []string { return strings.Split(roles.String(), ", ") }

func (a *authority) readDraft() error {
	a.draft = new(draft)
	return readStrict(a.file(draftFile), a.draft)
}

func (a *authority) writeDraft() error { return a.replace(draftFile, indented(a.draft)) }

const maxDraft = 1 << 20 // bytes

// readStrict reads a JSON file that people may have changed: with every field known, none twice, and nothing behind it.
func readStrict(file string, into any) error {
	text, err := readSome(file, maxDraft)
	if err != nil {
		return err
	}
	if err := decodeStrict(text, into); err != nil {
		var syntax *json.SyntaxError
		var kind *json.UnmarshalTypeError
		where := file
		switch {
		case errors.As(err, &syntax):
			where = fmt.Sprintf("%s:%d", file, 1+bytes.Count(text[:min(int(syntax.Offset), len(text))], []byte("\n")))
		case errors.As(err, &kind):
			where = fmt.Sprintf("%s:%d", file, 1+bytes.Count(text[:min(int(kind.Offset), len(text))], []byte("\n")))
		}
		return &remedied{fmt.Sprintf("%s: %s", where, clean(strings.TrimPrefix(err.Error(), "json: "))), "mend it by hand, or bring it back from the backup"}
	}
	return nil
}

func decodeStrict(text []byte, into any) error {
	if err := once(json.NewDecoder(bytes.NewReader(text))); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something behind its end")
	}
	return nil
}

// once refuses JSON in which a field stands twice, of which package json would silently take the last.
func once(d *json.Decoder) error {
	type level struct {
		object bool
		key    bool // the next token is a key
		seen   []string
	}
	var open []level
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && len(open) == 0 {
			return nil
		} else if err != nil {
			return err
		}
		if len(open) > 0 && open[len(open)-1].key {
			if name, is := token.(string); is {
				at := &open[len(open)-1]
				if slices.ContainsFunc(at.seen, func(known string) bool { return strings.EqualFold(known, name) }) {
					return fmt.Errorf("%q stands there twice", name)
				}
				at.seen, at.key = append(at.seen, name), false
				continue
			}
		}
		switch token {
		case json.Delim('{'):
			open = append(open, level{object: true, key: true})
			continue
		case json.Delim('['):
			open = append(open, level{})
			continue
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
		}
		if len(open) > 0 {
			open[len(open)-1].key = open[len(open)-1].object
		}
	}
}

// indented writes JSON for people.
func indented(v any) []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		panic(err) // of types that can be written
	}
	return out.Bytes()
}

// digest is a SHA-256, in JSON as 64 hexadecimal digits.
type digest [32]byte

func digestOf(b []byte) digest { return sha256.Sum256(b) }

// parseDigest reads 64 hexadecimal digits.
func parseDigest(digits string) (digest, error) {
	b, err := hex.DecodeString(digits)
	if err != nil || len(b) != len(digest{}) {
		return digest{}, fmt.Errorf("%q is not 64 hexadecimal digits", clean(digits))
	}
	return digest(b), nil
}

func (d digest) String() string               { return hex.EncodeToString(d[:]) }
func (d digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (d *digest) UnmarshalText(text []byte) (err error) {
	*d, err = parseDigest(string(text))
	return err
}

// publicKey is an Ed25519 key, in JSON as 64 hexadecimal digits.
type publicKey ed25519.PublicKey

func (k publicKey) String() string               { return hex.EncodeToString(k) }
func (k publicKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

func (k *publicKey) UnmarshalText(text []byte) error {
	key, err := parsePublicKey(string(text))
	if err != nil {
		return fmt.Errorf("the key %q %w", clean(string(text)), err)
	}
	*k = publicKey(key)
	return nil
}

// span is a duration, in JSON as "1h30m".
type span time.Duration

func (s span) MarshalText() ([]byte, error) { return []byte(short(time.Duration(s))), nil }

func (s *span) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is no duration, like \"500ms\" or \"2h\"", clean(string(text)))
	}
	*s = span(d)
	return nil
}
