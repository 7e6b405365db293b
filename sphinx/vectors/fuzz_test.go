package vectors

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzCheckNeverPanics starts from one file for each case that TestEveryLeafIsChecked samples and that is not large.
func FuzzCheckNeverPanics(f *testing.F) {
	const large = 20_000
	seeds := 0
	for _, name := range vectorFiles(f) {
		top := parse(f, name)
		for _, list := range caseLists {
			cases, _ := top[list].([]any)
			for _, c := range cases {
				data, err := json.Marshal(map[string]any{list: []any{c}, "cases": []any{c}, "count": 1, "schedule": top["schedule"]})
				require.NoError(f, err)
				if top["schedule"] == nil {
					data = bytes.Replace(data, []byte(`,"schedule":null`), nil, 1)
				}
				if len(data) < large && seeds < 300 {
					f.Add(data)
					seeds++
				}
			}
		}
	}
	if seeds < 100 {
		f.Fatalf("only %d seeds: the vectors are missing", seeds)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		report := Checker{quick: true}.Check(data)
		if report.Passed+report.Skipped+len(report.Failures) == 0 {
			t.Error("neither a pass nor a failure")
		}
		for _, failure := range report.Failures {
			if errors.Is(failure.Err, errPanic) {
				t.Error(failure)
			}
		}
	})
}
