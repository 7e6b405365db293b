package tao_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

// eachChange calls visit once for each value in *p, changed in turn and then put back, with the path to it.
func eachChange(p any, visit func(path string)) { changes(reflect.ValueOf(p).Elem(), "", visit) }

func changes(v reflect.Value, path string, visit func(string)) {
	changed := func(to reflect.Value) {
		old := reflect.New(v.Type()).Elem()
		old.Set(v)
		v.Set(to)
		visit(path)
		v.Set(old)
	}
	if at, ok := v.Interface().(time.Time); ok {
		changed(reflect.ValueOf(at.Add(time.Second)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			changes(v.Field(i), path+"."+v.Type().Field(i).Name, visit)
		}
	case reflect.Array:
		changes(v.Index(0), path+"[first]", visit)
		changes(v.Index(v.Len()-1), path+"[last]", visit)
	case reflect.Slice:
		if v.Len() == 0 {
			panic(path + " is empty, and shows nothing")
		}
		if v.Type().Elem() == reflect.TypeFor[byte]() { // a key: it has one length
			changes(v.Index(0), path+"[first]", visit)
			changes(v.Index(v.Len()-1), path+"[last]", visit)
			return
		}
		changed(v.Slice(0, v.Len()-1))
		for i := range v.Len() {
			changes(v.Index(i), fmt.Sprintf("%s[%d]", path, i), visit)
		}
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		changed(reflect.ValueOf(v.Uint() + 1).Convert(v.Type()))
	case reflect.Int64: // a duration
		changed(reflect.ValueOf(v.Int() + int64(time.Second)).Convert(v.Type()))
	case reflect.Bool:
		changed(reflect.ValueOf(!v.Bool()))
	case reflect.String:
		changed(reflect.ValueOf(v.String() + "x"))
	default:
		panic(path + " is of a kind that nobody has thought of: " + v.Kind().String())
	}
}

// TestEveryFieldIsBound wants what is signed or quoted to be other bytes whatever is changed, in fields to come too.
func TestEveryFieldIsBound(t *testing.T) {
	claim := tao.Claim{
		Identity: slices.Clone(public(nodeKey)), Role: tao.Mix, Keys: []tao.EpochKey{{Epoch: 1, Key: filled(1)}, {Epoch: 2, Key: filled(2)}},
		Configuration: filled(3), Stamp: filled(4),
	}
	configuration := vectorConfiguration
	event := tao.Event{Kind: tao.KeyMade, Epoch: 5, Digest: filled(5)}
	record := tao.Record{
		Identity: slices.Clone(public(nodeKey)), Kind: tao.TPM, Key: []byte("a key"), Endorsement: filled(4), Root: filled(5), Resets: 6,
		Roles: tao.RolesOf(tao.Mix), Issued: start, Expires: start.Add(day),
	}
	policy := goodPolicy()
	policy.Attestors = []tao.Kind{tao.TPM}
	policy.Revoked = [][32]byte{filled(9)}
	policy.Registers = append(policy.Registers, tao.RegisterRule{Index: 9, Values: [][32]byte{filled(8), filled(9)}})
	evidence := newScene(tao.TPM).evidence(t, change{})
	evidence.Log = tao.EventLog{event, event} // those of other kinds have no epoch

	for _, c := range []struct {
		value  any
		except []string // what is no part of it
		bytes  func() ([]byte, error)
		least  int // values that are in it
	}{
		{&claim, nil, func() ([]byte, error) { d := claim.Digest(); return d[:], nil }, 13},
		{&configuration, nil, func() ([]byte, error) { d := configuration.Digest(); return d[:], nil }, 10},
		{&event, nil, func() ([]byte, error) { d := event.Measure(); return d[:], nil }, 4},
		{&record, []string{".Signer"}, func() ([]byte, error) { return record.Sign(policyKey) }, 13},
		{policy, []string{".Key"}, func() ([]byte, error) { return policy.Sign(policyKey) }, 35},
		{evidence, nil, func() ([]byte, error) { return evidence.Encode() }, 35},
	} {
		t.Run(reflect.TypeOf(c.value).Elem().Name(), func(t *testing.T) {
			before, err := c.bytes()
			require.NoError(t, err)
			known := map[string]bool{string(before): true}
			exempt(c.value, c.except)
			eachChange(c.value, func(path string) {
				if slices.ContainsFunc(c.except, func(field string) bool { return len(path) >= len(field) && path[:len(field)] == field }) {
					return
				}
				b, err := c.bytes()
				require.NoError(t, err, path)
				require.False(t, known[string(b)], "a change of %s is not in it", path)
				known[string(b)] = true
			})
			require.Greater(t, len(known), c.least)
		})
	}
}

// exempt fills fields that are no part of what is encoded, as empty ones show nothing.
func exempt(value any, fields []string) {
	for _, name := range fields {
		reflect.ValueOf(value).Elem().FieldByName(name[1:]).SetBytes([]byte{1})
	}
}

// TestWhatIsReadIsWhatWasSigned signs a policy with each of its values changed, and wants what is read to be signed as the same.
func TestWhatIsReadIsWhatWasSigned(t *testing.T) {
	policy := goodPolicy()
	policy.Revoked = [][32]byte{filled(9)}
	policy.Key = public(policyKey)
	accepted := 0
	eachChange(policy, func(path string) {
		signed, err := policy.Sign(policyKey)
		if err != nil {
			require.ErrorIs(t, err, tao.ErrPolicy, path)
			return
		}
		again, err := tao.ParsePolicy(signed, public(policyKey))
		require.NoError(t, err, path)
		twice, err := again.Sign(policyKey)
		require.NoError(t, err, path)
		require.Equal(t, signed, twice, path)
		accepted++
	})
	require.Greater(t, accepted, 35)
}
