package vectors

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMalformedFilesFail wants one clear line for each, never a pass.
func TestMalformedFilesFail(t *testing.T) {
	stream := `{"key": "` + strings.Repeat("00", 32) + `", "length": 1, "stream": "76"}`
	require.Empty(t, Checker{}.Check(fmt.Appendf(nil, `{"count": 1, "cases": [%s]}`, stream)).Failures)
	for name, c := range map[string]struct{ data, want string }{
		"empty":             {"", "unexpected end of JSON input"},
		"truncated":         {`{"count": 1, "cases": [` + stream, "unexpected end of JSON input"},
		"no object":         {"[]", "cannot unmarshal array"},
		"null":              {"null", "no cases"},
		"more behind":       {`{"count": 1, "cases": [` + stream + `]} x`, "after top-level value"},
		"no cases":          {`{"count": 0}`, "no cases"},
		"zero cases":        {`{"count": 0, "cases": []}`, "cases: empty"},
		"null cases":        {`{"count": 0, "cases": null}`, "cases: empty"},
		"cases no list":     {`{"count": 1, "cases": {}}`, "cannot unmarshal object"},
		"no count":          {`{"cases": [` + stream + `]}`, "count: missing"},
		"count no number":   {`{"count": "1", "cases": [` + stream + `]}`, "count: missing or not a number"},
		"wrong count":       {`{"count": 2, "cases": [` + stream + `]}`, "count is 2, with 1 cases"},
		"unknown list":      {`{"count": 1, "cases": [` + stream + `], "more": [1]}`, `unknown list "more"`},
		"empty second list": {`{"count": 1, "cases": [` + stream + `], "remove": []}`, "remove: empty"},
		"unknown case":      {`{"count": 1, "cases": [{"colour": "red"}]}`, "cases[0]: a case of no known kind"},
		"unknown kind":      {`{"count": 1, "cases": [{"kind": "sideways"}]}`, `unknown kind "sideways"`},
		"case no object":    {`{"count": 1, "cases": [7]}`, "cases[0]: not an object"},
		"null case":         {`{"count": 1, "cases": [null]}`, "cases[0]: not an object"},
		"unknown schedule":  {`{"count": 1, "schedule": 2, "cases": [` + stream + `]}`, "key schedule 2 is not 1"},
		"schedule 0":        {`{"count": 1, "schedule": 0, "cases": [` + stream + `]}`, "key schedule 0 is not 1"},
		"reference as own":  {`{"count": 1, "schedule": 1, "cases": [` + stream + `]}`, "a case of no known kind"},
		"own unknown field": {`{"count": 1, "schedule": 1, "more": 1, "cases": [{}]}`, `unknown field "more"`},
		"limit unknown":     {`{"count": 1, "cases": [{"name": "too much of everything", "error": null}]}`, "a limit that is not understood"},
		"limit halfway":     {`{"count": 1, "cases": [{"name": "", "error": null, "max_hops": 5}]}`, "route_len, payload_size, dest_len or message_len is missing"},
		"limit negative":    {limit5(`-1`), "-1 is no length"},
		"limit absurd":      {limit5(`1000000000`), "1000000000 is no length"},
		"limit overflow":    {limit5(`1e400`), "cannot unmarshal number"},
		"key too short":     {`{"count": 1, "cases": [{"key": "00", "length": 1, "stream": "76"}]}`, "key: 1 bytes, must be 32"},
		"absurd length":     {strings.Replace(`{"count": 1, "cases": [`+stream+`]}`, `"length": 1`, `"length": 1000000000000`, 1), "stream: 1 bytes, must be 1000000000000"},
		"odd hex":           {strings.Replace(`{"count": 1, "cases": [`+stream+`]}`, `"76"`, `"7"`, 1), "odd length hex"},
		"no hex":            {strings.Replace(`{"count": 1, "cases": [`+stream+`]}`, `"76"`, `"zz"`, 1), "invalid byte"},
		"uppercase hex":     {strings.Replace(`{"count": 1, "cases": [`+stream+`]}`, `"76"`, `"7A"`, 1), "must be lowercase"},
		"other spelling":    {strings.Replace(`{"count": 1, "cases": [`+stream+`]}`, `"length"`, `"Length"`, 1), "length: missing"},
	} {
		t.Run(name, func(t *testing.T) {
			report := Checker{}.Check([]byte(c.data))
			require.Zero(t, report.Skipped)
			require.Len(t, report.Failures, 1)
			line := report.Failures[0].String()
			require.Contains(t, line, c.want)
			require.NotContains(t, line, "\n")
		})
	}
}

func limit5(messageLen string) string {
	return `{"count": 1, "cases": [{"name": "a limit", "error": null, "max_hops": 5, "route_len": 3, "payload_size": 1024, "dest_len": 1, "message_len": ` +
		messageLen + `}]}`
}

// TestHostileCases takes cases that are right and makes them absurd in ways that could crash a careless checker.
func TestHostileCases(t *testing.T) {
	for _, c := range []struct {
		file, leaf string
		value      any
		want       string
	}{
		{"reference/forward_r03.json", "params.max_hops", 0, "parameters out of range"},
		{"reference/forward_r03.json", "params.max_hops", -1 << 62, "parameters out of range"},
		{"reference/forward_r03.json", "params.max_hops", 1 << 40, "parameters out of range"},
		{"reference/forward_r03.json", "params.payload_size", -192, "parameters out of range"},
		{"reference/forward_r03.json", "params.payload_size", 1 << 50, "parameters out of range"},
		{"reference/forward_r03.json", "nodes", []any{}, "0 nodes"},
		{"reference/forward_r03.json", "nodes", make([]any, 60), "nodes[0]"},
		{"reference/forward_r03.json", "hops", []any{}, "hops: 0"},
		{"reference/forward_r03.json", "rand", []any{}, "rand: 0 draws"},
		{"reference/forward_r03.json", "seed", "00", "seed: 1 bytes"},
		{"reference/forward_r03.json", "nodes[0].id", "ff", "nodes[0].id"},
		{"reference/forward_r03.json", "nodes[0].private_raw", "ff", "nodes[0].private_raw"},
		{"reference/forward_r03.json", "packet.alpha", "", "packet.alpha: computed 32 bytes"},
		{"reference/forward_r03.json", "packet", map[string]any{}, "packet.alpha: missing"},
		{"reference/forward_r03.json", "destination", strings.Repeat("00", 200), "destination must have"},
		{"reference/surb_r03.json", "client_id", strings.Repeat("00", 200), "rand[1]"},
		{"reference/surb_r03.json", "message_id", "", "message_id: 0 bytes"},
		{"reference/surb_r03.json", "token.keys", []any{}, "token.keys: 0 keys"},
		{"reference/surb_r03.json", "reply_block.ktilde", "", "reply_block.ktilde"},
		{"reference/negative.json", "mutate_hop", 77, "mutate_hop: 77"},
		{"reference/negative.json", "mutate_hop", -1, "mutate_hop: -1"},
		{"reference/negative.json", "nodes", []any{}, "mutate_hop: 0, with 0 nodes"},
		{"reference/negative.json", "bad.alpha", "", "error: \"IncorrectMACError\""},
		{"reference/negative.json", "good.beta", "", "differs from good in"},
		{"reference/negative.json", "good.delta", "", "differs from good in"},
		{"reference/negative.json", "token_keys", []any{"00"}, "token_keys: 1 keys"},
		{"reference/padding.json", "block_size", -1, "block_size: -1"},
		{"reference/padding.json", "block_size", 1 << 40, "block_size: 1099511627776"},
		{"reference/group.json", "exps", []any{}, "exps: empty"},
		{"reference/group.json", "exps", []any{"00"}, "exps[0]: 1 bytes"},
		{"reference/lioness.json", "block_size", -1, "must be -1"},
		{"accumulated.json", "packets", 1 << 40, "packets: 1099511627776"},
		{"accumulated.json", "packets", -1, "packets: -1"},
		{"negative.json", "unwrap.nodes", []any{}, "0 nodes"},
		{"negative.json", "unwrap.packets", []any{}, "packets: none"},
		{"negative.json", "unwrap.packets[0].of", -1, "packets[0].of: -1"},
		{"negative.json", "unwrap.packets[0].of", 9, "packets[0].of: 9"},
		{"negative.json", "unwrap.packets[0].change.offset", -1, "offset: -1 is outside"},
		{"negative.json", "unwrap.packets[0].change.offset", 1 << 62, "offset: 4611686018427387904 is outside"},
		{"negative.json", "unwrap.good", []any{""}, "good[0]"},
		{"negative.json", "flags", []any{}, "flags: none"},
		{"negative.json", "flags", []any{"Unheard"}, "not explained"},
	} {
		t.Run(fmt.Sprintf("%s %s %.20v", strings.ReplaceAll(c.file, "/", "-"), c.leaf, c.value), func(t *testing.T) {
			top := parse(t, c.file)
			first := top["cases"].([]any)[0].(map[string]any)
			if c.leaf == "token_keys" { // not every case has them
				first[c.leaf] = nil
			}
			if first["name"] != nil {
				first["name"] = "hostile"
			}
			set(t, first, c.leaf, c.value)
			report := Checker{}.Check(single(t, top, "cases", first))
			require.Len(t, report.Failures, 1)
			require.Contains(t, report.Failures[0].String(), c.want)
			require.NotErrorIs(t, report.Failures[0].Err, errPanic)
		})
	}
}

// set sets the field of value at path, which is written as in the checker's own messages.
func set(t *testing.T, value any, path string, to any) {
	keys := strings.Split(strings.NewReplacer("[", ".", "]", "").Replace(path), ".")
	for i, key := range keys {
		switch at := value.(type) {
		case map[string]any:
			require.Contains(t, at, key)
			if i == len(keys)-1 {
				at[key] = to
			}
			value = at[key]
		case []any:
			var n int
			_, err := fmt.Sscan(key, &n)
			require.NoError(t, err)
			if i == len(keys)-1 {
				at[n] = to
			}
			value = at[n]
		}
	}
}
