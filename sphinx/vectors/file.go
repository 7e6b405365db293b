package vectors

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"sphinxmix.example/sphinx"
	"sphinxmix.example/testvectors"
)

// file is a vector file, taken apart into its cases.
type file struct {
	setting
	cases    []vector
	problems []error // of the file as a whole
}

// vector is one case.
type vector struct {
	list  string // the name of the list it stands in
	index int
	raw   json.RawMessage
	keys  map[string]json.RawMessage // nil where it is not an object
}

// setting is what a case's check has to know of the file that the case stands in.
type setting struct {
	own      bool // of the project's own schema, which names the key schedule
	schedule sphinx.KeySchedule
	flags    map[string]testvectors.Flag
	packets  int // of the longest accumulated hash that is checked
}

// caseLists are the names of the lists of cases. Those but the first stand beside it in some files of the reference.
var caseLists = []string{"cases", "low_order", "non_canonical", "remove"}

func readFile(data []byte) (*file, error) {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(data, &top); err != nil {
		return nil, err
	}
	//lint:ignore SA1019 a file that names no key schedule comes from the reference, which knows this one alone
	f := &file{setting: setting{schedule: sphinx.InsecureReferenceSchedule}}
	if number, ok := top["schedule"]; ok {
		if string(number) != "1" {
			return nil, fmt.Errorf("key schedule %.20s is not 1", number)
		}
		f.own, f.schedule = true, sphinx.BoundSchedule
	}
	if raw, ok := top["flags"]; ok && f.own {
		if err := decode(raw, &f.flags, true); err != nil {
			return nil, fmt.Errorf("flags: %w", err)
		}
	}
	for name, raw := range top {
		if raw[0] == '[' && !slices.Contains(caseLists, name) {
			return nil, fmt.Errorf("unknown list %q", name)
		}
		if f.own && !slices.Contains([]string{"source", "note", "schedule", "flags", "count", "cases"}, name) {
			return nil, fmt.Errorf("unknown field %q", name)
		}
	}
	for _, list := range caseLists {
		raw, ok := top[list]
		if !ok {
			continue
		}
		var elements []json.RawMessage
		if err := json.Unmarshal(raw, &elements); err != nil {
			return nil, fmt.Errorf("%s: %w", list, err)
		}
		if len(elements) == 0 {
			return nil, fmt.Errorf("%s: empty", list)
		}
		for i, element := range elements {
			f.cases = append(f.cases, newVector(list, i, element))
		}
		if list == "cases" {
			f.checkCount(top["count"], len(elements))
		}
	}
	if _, ok := top["cases"]; !ok {
		return nil, errors.New("no cases")
	}
	return f, nil
}

func (f *file) checkCount(raw json.RawMessage, cases int) {
	var count *int
	if err := json.Unmarshal(raw, &count); raw == nil || err != nil || count == nil {
		f.problems = append(f.problems, errors.New("count: missing or not a number"))
	} else if *count != cases {
		f.problems = append(f.problems, fmt.Errorf("count is %d, with %d cases", *count, cases))
	}
}

func newVector(list string, index int, raw json.RawMessage) vector {
	v := vector{list: list, index: index, raw: raw}
	if json.Unmarshal(raw, &v.keys) != nil {
		v.keys = nil
	}
	return v
}

// label is the case's name or, where it has none, its place.
func (v *vector) label() string {
	var name string
	if json.Unmarshal(v.keys["name"], &name) == nil && name != "" {
		return name
	}
	return fmt.Sprintf("%s[%d]", v.list, v.index)
}

type checkFunc func(*setting, json.RawMessage) error

// recognise tells by a case's fields what it is.
func (f *file) recognise(v *vector) (checkFunc, error) {
	has := func(keys ...string) bool {
		return !slices.ContainsFunc(keys, func(key string) bool { return v.keys[key] == nil })
	}
	switch {
	case v.keys == nil:
		return nil, errors.New("not an object")
	case f.own && v.list != "cases":
		return nil, fmt.Errorf("unknown list %q", v.list)
	case has("kind"):
		switch string(v.keys["kind"]) {
		case `"forward"`:
			return checkForward, nil
		case `"surb"`:
			return checkSURB, nil
		}
		return nil, fmt.Errorf("unknown kind %.40s", v.keys["kind"])
	case f.own && has("flags"):
		return checkNegative, nil
	case f.own && has("prk"):
		return checkKDF, nil
	case f.own && has("packets"):
		return checkAccumulated, nil
	case f.own:
	case v.list == "low_order":
		return checkLowOrder, nil
	case v.list == "non_canonical":
		return checkNonCanonical, nil
	case v.list == "remove":
		return checkUnpadding, nil
	case has("nodes") && (has("error") || has("sequence")):
		return checkReferenceNegative, nil
	case has("key", "ciphertext"):
		return checkLioness, nil
	case has("key", "stream"):
		return checkStream, nil
	case has("s", "blinding_factor"):
		return checkReferenceKDF, nil
	case has("raw", "clamped"):
		return checkGroup, nil
	case has("src", "block_size"):
		return checkPadding, nil
	case has("in", "type"):
		return checkPrefix, nil
	case has("name", "error"):
		return checkLimit, nil
	}
	return nil, errors.New("a case of no known kind")
}
