package tao_test

import (
	"crypto/ed25519"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

// year9999 is the last second that dates have room for.
var year9999 = time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC)

// TestPolicyLimits wants each of these to be refused by who signs, and by who reads what somebody else has signed.
func TestPolicyLimits(t *testing.T) {
	for name, spoil := range map[string]func(*tao.Policy){
		"it expires when it is issued":          func(p *tao.Policy) { p.Expires = p.Issued },
		"it expires within the second":          func(p *tao.Policy) { p.Expires = p.Issued.Add(time.Second - 1) },
		"it was issued before 1970":             func(p *tao.Policy) { p.Issued = time.Unix(-1, 0) },
		"it expires after 9999":                 func(p *tao.Policy) { p.Expires = year9999.Add(time.Second) },
		"its log is in the firmware's register": func(p *tao.Policy) { p.LogRegister = 0 },
		"its log is in a register of any user":  func(p *tao.Policy) { p.LogRegister = 16 },
		"a batch of one":                        func(p *tao.Policy) { p.Minimum.Size = 1 },
		"no batch":                              func(p *tao.Policy) { p.Minimum.Size = 0 },
		"stamps may have no age":                func(p *tao.Policy) { p.MaxAge = 0 },
		"stamps may be older than a week":       func(p *tao.Policy) { p.MaxAge = 7*day + time.Second },
		"an attestor twice":                     func(p *tao.Policy) { p.Attestors = []tao.Kind{tao.Soft, tao.Soft} },
		"an attestor of no kind":                func(p *tao.Policy) { p.Attestors = []tao.Kind{0} },
		"an attestor of a kind that is not yet": func(p *tao.Policy) { p.Attestors = []tao.Kind{tao.Soft + 1} },
		"a root twice":                          func(p *tao.Policy) { p.Roots = [][32]byte{root, root} },
		"a revocation twice":                    func(p *tao.Policy) { p.Revoked = [][32]byte{root, root} },
		"a program twice":                       func(p *tao.Policy) { p.Programs[1] = p.Programs[0] },
		"a program twice, for other roles": func(p *tao.Policy) {
			p.Programs[1].Digest = p.Programs[0].Digest
		},
		"a configuration twice":                  func(p *tao.Policy) { p.Settings = append(p.Settings, p.Settings[0]) },
		"an enroller twice":                      func(p *tao.Policy) { p.Enrollers = append(p.Enrollers, p.Enrollers[0]) },
		"an enroller whose key anybody has":      func(p *tao.Policy) { p.Enrollers[0].Key = make([]byte, 32) },
		"an enroller that expires after 9999":    func(p *tao.Policy) { p.Enrollers[0].Expires = year9999.Add(time.Second) },
		"an enroller whose key is too short":     func(p *tao.Policy) { p.Enrollers[0].Key = p.Enrollers[0].Key[:31] },
		"a register twice":                       func(p *tao.Policy) { p.Registers = append(p.Registers, p.Registers[0]) },
		"a register that there is not":           func(p *tao.Policy) { p.Registers[0].Index = 24 },
		"a register that may have no value":      func(p *tao.Policy) { p.Registers[0].Values = nil },
		"a register with a value twice":          func(p *tao.Policy) { p.Registers[0].Values = [][32]byte{firmware, firmware} },
		"a program for no role":                  func(p *tao.Policy) { p.Programs[0].Roles = 0 },
		"a program for a role that is not yet":   func(p *tao.Policy) { p.Programs[0].Roles = 9 },
		"a configuration for no role":            func(p *tao.Policy) { p.Settings[0].Roles = 0 },
		"a name that is too long":                func(p *tao.Policy) { p.Programs[0].Name = strings.Repeat("x", tao.MaxNameSize+1) },
		"a name that moves the cursor":           func(p *tao.Policy) { p.Programs[0].Name = "\x1b[2J" },
		"a name of two lines":                    func(p *tao.Policy) { p.Settings[0].Name = "good\nbad" },
		"a name with a letter of many alphabets": func(p *tao.Policy) { p.Settings[0].Name = "аpproved" },
		"more than there is room for": func(p *tao.Policy) {
			p.Roots = nil
			for n := range uint64(2047) {
				p.Roots = append(p.Roots, [32]byte(append(number(8, n), make([]byte, 24)...)))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := goodPolicy()
			spoil(p)
			_, err := p.Sign(policyKey)
			require.ErrorIs(t, err, tao.ErrPolicy)
			slices.SortFunc(p.Programs, func(a, b tao.Allowed) int { return slices.Compare(a.Digest[:], b.Digest[:]) })
			_, err = tao.ParsePolicy(signedWith(policyKey, policyContext, policyBody(p)), public(policyKey))
			require.ErrorIs(t, err, tao.ErrPolicy)
		})
	}
	for name, edge := range map[string]func(*tao.Policy){
		"it is good for a second":       func(p *tao.Policy) { p.Expires = p.Issued.Add(time.Second) },
		"from 1970 to 9999":             func(p *tao.Policy) { p.Issued, p.Expires, p.Enrollers[0].Expires = time.Unix(0, 0), year9999, year9999 },
		"register 15":                   func(p *tao.Policy) { p.LogRegister = 15 },
		"register 1":                    func(p *tao.Policy) { p.LogRegister = 1 },
		"a second":                      func(p *tao.Policy) { p.MaxAge = time.Second },
		"a week":                        func(p *tao.Policy) { p.MaxAge = 7 * day },
		"the last register":             func(p *tao.Policy) { p.Registers[0].Index = 23 },
		"a name of all that is allowed": func(p *tao.Policy) { p.Programs[0].Name = strings.Repeat("~ ", tao.MaxNameSize/2) },
		"nothing is allowed": func(p *tao.Policy) {
			p.Attestors, p.Enrollers, p.Roots, p.Programs, p.Settings, p.Registers = nil, nil, nil, nil, nil, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := goodPolicy()
			edge(p)
			signed, err := p.Sign(policyKey)
			require.NoError(t, err)
			require.Equal(t, signed, signedWith(policyKey, policyContext, signed[ed25519.SignatureSize:]))
			_, err = tao.ParsePolicy(signed, public(policyKey))
			require.NoError(t, err)
		})
	}
}

// TestNothingIsTrustedByNothing is about a policy that nobody has written.
func TestNothingIsTrustedByNothing(t *testing.T) {
	_, err := new(tao.Policy).Sign(policyKey)
	require.ErrorIs(t, err, tao.ErrPolicy)
	for _, kind := range anyKind {
		s := newScene(kind)
		evidence := s.show(t, change{})
		_, err = new(tao.Policy).Verify(evidence, &s.subject, s.now)
		require.ErrorIs(t, err, tao.ErrPolicy)
		empty := &tao.Policy{Issued: start, Expires: start.Add(day), LogRegister: 14, Minimum: tao.Minimum{Size: 2}, MaxAge: time.Hour}
		_, err = asSigned(t, empty).Verify(evidence, &s.subject, s.now)
		require.ErrorIs(t, err, tao.ErrKind)
	}
}

func TestPolicyAgesAreWholeSeconds(t *testing.T) {
	p := goodPolicy()
	p.MaxAge = 1500 * time.Millisecond
	_, err := p.Sign(policyKey)
	require.ErrorIs(t, err, tao.ErrPolicy)
}

// TestPolicyHasOneEncoding wants lists in another order to be refused by who reads them.
func TestPolicyHasOneEncoding(t *testing.T) {
	p := asSigned(t, goodPolicy())
	p.Roots = [][32]byte{filled(1), filled(2)}
	p.Revoked = [][32]byte{filled(1), filled(2)}
	p.Settings = []tao.Allowed{{Digest: filled(1), Roles: 1}, {Digest: filled(2), Roles: 1}}
	p.Registers = []tao.RegisterRule{{Index: 1, Values: [][32]byte{filled(1), filled(2)}}, {Index: 2, Values: [][32]byte{filled(1)}}}
	p.Enrollers = []tao.Enroller{{Key: public(enrollerKey), Expires: start}, {Key: public(strangerKey), Expires: start}}
	slices.SortFunc(p.Enrollers, func(a, b tao.Enroller) int { return slices.Compare(a.Key, b.Key) })
	parse := func() error {
		_, err := tao.ParsePolicy(signedWith(policyKey, policyContext, policyBody(p)), public(policyKey))
		return err
	}
	require.NoError(t, parse())
	for name, turn := range map[string]func(){
		"attestors": func() { slices.Reverse(p.Attestors) },
		"roots":     func() { slices.Reverse(p.Roots) },
		"revoked":   func() { slices.Reverse(p.Revoked) },
		"programs":  func() { slices.Reverse(p.Programs) },
		"settings":  func() { slices.Reverse(p.Settings) },
		"registers": func() { slices.Reverse(p.Registers) },
		"values":    func() { slices.Reverse(p.Registers[0].Values) },
		"enrollers": func() { slices.Reverse(p.Enrollers) },
	} {
		turn()
		require.ErrorIs(t, parse(), tao.ErrPolicy, name)
		turn()
		require.NoError(t, parse(), name)
	}
}

func TestPolicyIsOfItsKeyAlone(t *testing.T) {
	signed := signedPolicy(t, goodPolicy())
	for name, key := range map[string]ed25519.PublicKey{
		"another": public(strangerKey), "none": nil, "a short one": public(policyKey)[:31], "a long one": append(public(policyKey), 0),
	} {
		_, err := tao.ParsePolicy(signed, key)
		require.ErrorIs(t, err, tao.ErrPolicy, name)
	}
	for name, bytes := range map[string][]byte{
		"nothing": nil, "half a signature": signed[:32], "a signature": signed[:64], "more than all": append(slices.Clone(signed), 0),
		"as much as there is no room for": make([]byte, tao.MaxPolicySize+1),
	} {
		_, err := tao.ParsePolicy(bytes, public(policyKey))
		require.ErrorIs(t, err, tao.ErrPolicy, name)
	}
	p, err := tao.ParsePolicy(signed, public(policyKey))
	require.NoError(t, err)
	require.NoError(t, p.GoodAt(p.Expires.Add(-1)))
	require.ErrorIs(t, p.GoodAt(p.Expires), tao.ErrPolicy)
	require.Equal(t, []uint8{0, 14}, p.Quoted(tao.TPM))
	require.Equal(t, []uint8{14}, p.Quoted(tao.Soft))
	p.Registers = append(p.Registers, tao.RegisterRule{Index: 14}, tao.RegisterRule{Index: 23})
	require.Equal(t, []uint8{0, 14, 23}, p.Quoted(tao.TPM))
}
