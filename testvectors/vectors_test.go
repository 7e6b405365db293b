package testvectors

import (
	"encoding/json"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHexHasOneSpelling(t *testing.T) {
	var v struct {
		H Hex `json:"h,omitzero"`
	}
	require.NoError(t, json.Unmarshal([]byte(`{"h": "00ff7f"}`), &v))
	require.Equal(t, Hex{0, 0xff, 0x7f}, v.H)
	require.Equal(t, "00ff7f", v.H.String())
	for _, text := range []string{`"0"`, `"0g"`, `"FF"`, `"fF"`, `null`, `7`, `["00"]`, `"\u0030\u0030"`} {
		require.Error(t, json.Unmarshal([]byte(`{"h": `+text+`}`), &v), text)
	}
}

func TestHexTellsAbsentFromEmpty(t *testing.T) {
	type value struct {
		H Hex `json:"h,omitzero"`
	}
	for text, want := range map[string]value{`{}`: {}, `{"h":""}`: {Hex{}}, `{"h":"0a"}`: {Hex{10}}} {
		var v value
		require.NoError(t, json.Unmarshal([]byte(text), &v))
		require.Equal(t, want, v)
		again, err := json.Marshal(v)
		require.NoError(t, err)
		require.Equal(t, text, string(again))
	}
}

func TestFilesHoldBothKinds(t *testing.T) {
	for pattern, want := range map[string]int{"*.json": 5, "reference/*.json": 13} {
		names, err := fs.Glob(Files, pattern)
		require.NoError(t, err)
		require.Len(t, names, want)
	}
}
