package vectors

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sphinxmix.example/testvectors"
)

// decode reads raw into value and reports every field of value that raw does not spell out, so that nothing is checked
// against a zero that nobody wrote. With exact it also reports every field that value does not have.
func decode(raw json.RawMessage, value any, exact bool) error {
	if err := json.Unmarshal(raw, value); err != nil {
		return err
	}
	return compare(raw, value, exact)
}

// compare reports the first field of value that raw does not have, or has another value for. With exact it also reports
// every field that value does not have.
func compare(raw json.RawMessage, value any, exact bool) error {
	again, err := json.Marshal(value)
	if err != nil {
		return err
	}
	want, err := tree(raw)
	if err != nil {
		return err
	}
	got, err := tree(again)
	if err != nil {
		return err
	}
	return sameTree("", want, got, exact)
}

func tree(raw []byte) (value any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	err = decoder.Decode(&value)
	return value, err
}

// sameTree compares what stands in a file with what was read from it, or with what was computed.
func sameTree(at string, want, got any, exact bool) error {
	switch got := got.(type) {
	case map[string]any:
		object, ok := want.(map[string]any)
		if !ok {
			return fmt.Errorf("%s: must be an object", at)
		}
		for _, key := range slices.Sorted(maps.Keys(got)) {
			value, ok := object[key]
			if !ok {
				return fmt.Errorf("%s: missing", join(at, key))
			}
			if err := sameTree(join(at, key), value, got[key], exact); err != nil {
				return err
			}
		}
		for _, key := range slices.Sorted(maps.Keys(object)) {
			if _, ok := got[key]; !ok && exact {
				return fmt.Errorf("%s: unknown field", join(at, key))
			}
		}
	case []any:
		list, ok := want.([]any)
		if !ok {
			return fmt.Errorf("%s: must be a list", at)
		}
		if len(list) != len(got) {
			return fmt.Errorf("%s: %d %s, must be %d", at, len(list), at[strings.LastIndex(at, ".")+1:], len(got))
		}
		for i := range got {
			if err := sameTree(fmt.Sprintf("%s[%d]", at, i), list[i], got[i], exact); err != nil {
				return err
			}
		}
	default:
		return sameLeaf(at, want, got)
	}
	return nil
}

func sameLeaf(at string, want, got any) error {
	switch want := want.(type) {
	case nil:
		if got != nil {
			return fmt.Errorf("%s: must not be null", at)
		}
		return nil
	case string:
		got, _ := got.(string)
		computed, notHex := hex.DecodeString(got)
		stated, neither := hex.DecodeString(want)
		if err := same(at, computed, stated); err != nil && notHex == nil && neither == nil {
			return err
		}
	}
	if want != got {
		return fmt.Errorf("%s: computed %.40v, the vector has %.40v", at, got, want)
	}
	return nil
}

func join(at, key string) string {
	if at == "" {
		return key
	}
	return at + "." + key
}

// same compares a byte string that was computed with the one in the vector.
func same(field string, got []byte, want testvectors.Hex) error {
	switch {
	case want == nil:
		return fmt.Errorf("%s: missing", field)
	case bytes.Equal(got, want):
		return nil
	case len(got) != len(want):
		return fmt.Errorf("%s: computed %d bytes, the vector has %d", field, len(got), len(want))
	}
	i := 0
	for got[i] == want[i] {
		i++
	}
	end := min(i+16, len(got))
	return fmt.Errorf("%s: computed %x, the vector has %x at byte %d of %d", field, got[i:end], []byte(want[i:end]), i, len(got))
}

// fixed reports a byte string that has not its size.
func fixed(field string, value testvectors.Hex, size int) error {
	if len(value) != size {
		return fmt.Errorf("%s: %d bytes, must be %d", field, len(value), size)
	}
	return nil
}

// first returns the first error that is not nil.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
