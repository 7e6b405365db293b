package vectors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/sphinx"
	"sphinxmix.example/testvectors"
)

// walkOf takes the altered or only packet of a case of the reference's negative.json to its end.
func walkOf(t *testing.T, name string) outcome {
	for _, c := range parse(t, "reference/negative.json")["cases"].([]any) {
		if c.(map[string]any)["name"] != name {
			continue
		}
		data, err := json.Marshal(c)
		require.NoError(t, err)
		var v referenceNegative
		require.NoError(t, json.Unmarshal(data, &v))
		//lint:ignore SA1019 the reference's own
		w, err := newJourney(&setting{schedule: sphinx.InsecureReferenceSchedule}, &v)
		require.NoError(t, err)
		packet, hop := v.Bad, 0
		if packet == nil {
			packet = v.Good
		}
		if packet == nil {
			packet = v.Packet
		}
		if v.MutateHop != nil {
			hop = *v.MutateHop
		}
		o, err := w.walk(*packet, hop)
		require.NoError(t, err)
		return o
	}
	t.Fatalf("no case is called %s", name)
	return outcome{}
}

// TestWhereTheProjectDiffers spells out, for a case of each kind, what the reference does and what the project does.
func TestWhereTheProjectDiffers(t *testing.T) {
	for _, c := range []struct {
		name    string
		raised  string
		project error
	}{
		{"neg-fwd-r5-n5-beta-16.1-hop4", errMAC, sphinx.ErrMAC}, // no difference
		{"neg-topbit-n5-hop4", "", nil},                         // no difference
		{"neg-alpha-one", errLowOrder, sphinx.ErrGroup},
		{"neg-beta-short", errMAC, sphinx.ErrPacketSize},
		{"neg-params-header-r3-node-r5", errAssertion, sphinx.ErrPacketSize},
		{"pos-clientid-length-lies-r1", "", sphinx.ErrRouting},
		{"neg-pad-offset-1", "", sphinx.ErrPayload},
		{"neg-pad-offset-1004", errAssertion, nil},
		{"neg-pad-offset-65535", errAssertion, sphinx.ErrPayload},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := walkOf(t, c.name)
			require.Equal(t, c.raised, o.raised)
			require.ErrorIs(t, o.err, c.project)
			require.Equal(t, c.project, o.err)
		})
	}
	require.Empty(t, walkOf(t, "neg-pad-offset-1004").layer.Message)
	require.Equal(t, "bob", string(walkOf(t, "neg-pad-offset-1004").layer.Destination))
}

// TestVerdictsAreCompared wants a case to fail where the project does what only the reference may do.
func TestVerdictsAreCompared(t *testing.T) {
	for _, name := range []string{"neg-pad-offset-1", "neg-pad-offset-1004", "pos-clientid-length-lies-r1", "neg-alpha-one", "neg-topbit-n5-hop4"} {
		o := walkOf(t, name)
		for _, other := range []error{nil, sphinx.ErrMAC, sphinx.ErrPayload, sphinx.ErrRouting, sphinx.ErrGroup} {
			if errors.Is(o.want, other) {
				continue
			}
			changed := o
			changed.want = other
			require.Error(t, changed.compare(nil), "%s: %v", name, other)
		}
	}
}

func TestLimitsAreReadFromNames(t *testing.T) {
	for _, c := range []struct {
		name   string
		raised string
		want   string // empty for a pass
	}{
		{"surb client id of 31 on 5 of 5 hops", "", ""},
		{"surb client id of 32 on 5 of 5 hops", "", "the reference raises"},
		{"surb client id of 32 on 5 of 5 hops", errAssertion, ""},
		{"surb client id of 0 on 5 of 5 hops", errAssertion, ""},
		{"surb client id of 1 on 6 of 5 hops", errAssertion, ""},
		{"surb client id of 1 on 60 of 60 hops", "", ""},
		{"surb message id of 17", errAssertion, ""},
		{"surb message id of 16", "", ""},
		{"surb message id of 16", errAssertion, "the reference raises"},
		{"surb reply message of 1005 in 1024", errAssertion, "the reference raises"},
		{"surb reply message of 1006 in 1024", errAssertion, ""},
		{"surb reply message of 1 in 191", errAssertion, ""},
		{"surb reply message of 1 in 70000", errStruct, ""},
		{"unknown node", errKey, ""},
		{"unknown node", errIndex, "the reference raises"},
		{"unknown nodes", errKey, "not understood"},
		{"surb message id of 99999999999999999999", errAssertion, "not understood"},
	} {
		raised := "null"
		if c.raised != "" {
			raised = fmt.Sprintf("%q", c.raised)
		}
		report := Checker{}.Check(fmt.Appendf(nil, `{"count": 1, "cases": [{"name": %q, "error": %s}]}`, c.name, raised))
		if c.want == "" {
			require.Empty(t, report.Failures, c.name)
			continue
		}
		require.Len(t, report.Failures, 1, c.name)
		require.Contains(t, report.Failures[0].String(), c.want)
	}
}

// TestLimitsAreTight moves each length over its limit and back.
func TestLimitsAreTight(t *testing.T) {
	check := func(maxHops, route, payload, destination, message int, raised string) []Failure {
		if raised != "null" {
			raised = fmt.Sprintf("%q", raised)
		}
		return Checker{}.Check(fmt.Appendf(nil, `{"count": 1, "cases": [{"name": "", "error": %s, "max_hops": %d,
			"route_len": %d, "payload_size": %d, "dest_len": %d, "message_len": %d}]}`,
			raised, maxHops, route, payload, destination, message)).Failures
	}
	for _, c := range []struct {
		maxHops, route, payload, destination, message int
		raised                                        string
	}{
		{5, 5, 1024, 1, 1, "null"},
		{5, 6, 1024, 1, 1, errAssertion},
		{5, 0, 1024, 1, 1, errIndex},
		{5, 3, 1024, 127, 1, "null"},
		{5, 3, 1024, 128, 1, errAssertion},
		{5, 3, 1024, 16, 988, "null"},
		{5, 3, 1024, 16, 989, errAssertion}, // the project builds it
		{5, 3, 1024, 16, 990, errAssertion},
		{5, 3, 192, 1, 1, "null"},
		{5, 3, 191, 1, 1, errAssertion}, // the project builds it
		{5, 3, 63, 1, 1, errAssertion},
		{5, 3, 65536, 1, 1, "null"},
		{5, 3, 65537, 1, 1, "null"}, // the project refuses it
		{5, 3, 65555, 1, 1, errStruct},
	} {
		require.Empty(t, check(c.maxHops, c.route, c.payload, c.destination, c.message, c.raised), "%+v", c)
		other := map[string]string{"null": errAssertion}[c.raised]
		if other == "" {
			other = "null"
		}
		require.Len(t, check(c.maxHops, c.route, c.payload, c.destination, c.message, other), 1, "%+v", c)
	}
}

// TestAlterations lists what counts as one alteration of a packet, and what the name of a case may demand of it.
func TestAlterations(t *testing.T) {
	packet := func(alpha, beta, gamma, delta string) testvectors.Packet {
		return testvectors.Packet{
			Header: testvectors.Header{Alpha: []byte(alpha), Beta: []byte(beta), Gamma: []byte(gamma)}, Delta: []byte(delta),
		}
	}
	good := packet("aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd")
	for _, c := range []struct {
		bad        testvectors.Packet
		name, want string
	}{
		{good, "neg", ""},
		{good, "neg-alpha-0.0-hop0", "not as the name says"},
		{packet("caaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd"), "neg-alpha-0.1-hop0", ""},
		{packet("caaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd"), "neg-alpha-1.1-hop0", "not as the name says"},
		{packet("caaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd"), "neg-beta-0.1-hop0", "not as the name says"},
		{packet("baaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd"), "neg-alpha-0.1-hop0", "not as the name says"},
		{packet("aaaaaaaa", "bbbbbbbc", "cccccccc", "dddddddd"), "neg-beta--1.0-hop4", ""},
		{packet("caaaaaac", "bbbbbbbb", "cccccccc", "dddddddd"), "neg", "more than one place from byte 0 to 8"},
		{packet("aaxyzaaa", "bbbbbbbb", "cccccccc", "dddddddd"), "neg", ""},
		{packet("aaaaaaaa", "bbbbbbbc", "cccccccb", "dddddddd"), "neg", "in beta and in gamma"},
		{packet("aaaaaaaa", "bbbbbbb", "cccccccc", "dddddddd"), "neg", ""},
		{packet("aaaaaaaa", "bbbbbbbbx", "cccccccc", "dddddddd"), "neg", ""},
		{packet("aaaaaaaa", "bbbbbbc", "cccccccc", "dddddddd"), "neg", "in its length and in what it has"},
		{packet("stuvwxyz", "bbbbbbbb", "cccccccc", "dddddddd"), "neg", ""},
		{packet("aaaaaaaa", "bbbbbbbb", "cccccccc", ""), "neg", ""},
	} {
		altered, err := alteration(good, c.bad)
		if err == nil {
			err = altered.named(c.name)
		}
		if c.want != "" {
			require.ErrorContains(t, err, c.want)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, bytes.Equal(raw(good), raw(c.bad)), altered.field == "")
	}
}
