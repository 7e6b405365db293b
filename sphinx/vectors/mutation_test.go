package vectors

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/testvectors"
)

// informative are the leaves that no check reads, because nothing depends on them.
var informative = map[string]string{
	"name":       "what a person calls the case; but see TestLimitsAreReadFromNames",
	"note":       "an explanation",
	"text":       "the message of a Python exception, which belongs to the version of a library",
	"step":       "an explanation",
	"comment":    "an explanation",
	"tau_gotwin": "optional, though checked where it stands",
}

// stillTrue are the other changes that make of a case another one that is as true as before.
var stillTrue = []struct {
	file     string // a regular expression, like leaf and mutation
	leaf     string
	mutation string
	is       func(c map[string]any, leaf string) bool // nil: always
	because  string
}{
	{
		`negative`, `nodes\[\d+\]\.id`, `nibble`,
		func(c map[string]any, leaf string) bool {
			var node, entered int
			fmt.Sscanf(leaf[strings.Index(leaf, "nodes["):], "nodes[%d]", &node)
			if hop, ok := c["mutate_hop"].(json.Number); ok {
				fmt.Sscan(hop.String(), &entered)
			}
			return node <= entered
		},
		"no hop of the case names the node that a packet enters at, or one before it",
	},
	{
		`reference/negative`, `^nodes\[0\]\.private_key$`, `nibble`,
		func(c map[string]any, _ string) bool { return c["name"] == "neg-wrong-key" },
		"any other key is the wrong one",
	},
	{
		`reference/negative`, `^params\.max_hops$`, `plus|minus`,
		func(c map[string]any, _ string) bool { return c["name"] == "neg-params-header-r3-node-r5" },
		"β has the wrong length for any other node",
	},
	{
		`reference/negative`, `^bad\.(alpha|beta|gamma|delta)$`, `truncated|extended|last nibble`,
		func(c map[string]any, leaf string) bool {
			field := strings.TrimPrefix(leaf, "bad.")
			good, bad := c["good"].(map[string]any)[field].(string), c["bad"].(map[string]any)[field].(string)
			return len(good) != len(bad) || good[:len(good)-2] == bad[:len(bad)-2]
		},
		"a field of another wrong length is refused in the same way, whatever stands beyond its end",
	},
	{
		`reference/negative`, `^good\.delta$`, `nibble`,
		func(c map[string]any, _ string) bool {
			return c["error"] == errType || c["error"] == errDestination && c["bad"] == nil
		},
		"forged to be refused for its routing block, or for a payload that is as good as noise",
	},
	{`reference/creation_limits`, `_len$|^max_hops$|^payload_size$`, `plus|minus`, nil, "not every length of a case is at its limit; see TestLimitsAreTight"},
	{
		`reference/padding`, `^(src|block_size)$`, ``,
		func(c map[string]any, _ string) bool { return c["error"] != nil },
		"what is refused has no bytes to compare, and there is more than one way to be refused",
	},
	{
		`reference/prefix`, `^in$`, ``,
		func(c map[string]any, _ string) bool { return c["type"] == nil || c["rest"] == "" },
		"nothing of a reserved code is compared, nor by how much one is too long",
	},
	{
		`reference/prg`, `^key$`, `nibble`,
		func(c map[string]any, _ string) bool { return c["stream"] == "" },
		"every key has the same stream of no bytes",
	},
	{
		`reference/padding`, `^src$`, `nibble`,
		func(c map[string]any, _ string) bool {
			unpadded, ok := c["unpadded"].(string)
			return ok && len(unpadded) <= len(c["src"].(string))/2
		},
		"nobody looks at the padding but for its count",
	},
}

func undetectable(file, leaf, mutation string, c map[string]any) bool {
	if informative[leaf[strings.LastIndex(leaf, ".")+1:]] != "" {
		return true
	}
	for _, known := range stillTrue {
		if regexp.MustCompile(known.file).MatchString(file) && regexp.MustCompile(known.leaf).MatchString(leaf) &&
			regexp.MustCompile(known.mutation).MatchString(mutation) && (known.is == nil || known.is(c, leaf)) {
			return true
		}
	}
	return false
}

// TestEveryLeafIsChecked changes one leaf of a case at a time, in every file, and wants to see the case fail.
func TestEveryLeafIsChecked(t *testing.T) {
	for _, name := range vectorFiles(t) {
		t.Run(strings.ReplaceAll(name, "/", "-"), func(t *testing.T) {
			t.Parallel()
			top := parse(t, name)
			mutants, visited := 0, 0
			for _, list := range caseLists {
				cases, _ := top[list].([]any)
				for _, c := range sample(t, cases) {
					if packets, ok := c["packets"].(json.Number); ok && packets != "100" {
						continue // for the time it takes
					}
					leaves(c, "", func(leaf string, value any, set func(any)) {
						if visited++; slow && visited%5 != 0 {
							return
						}
						for mutation, mutant := range mutate(t, value, mutants) {
							if undetectable(name, leaf, mutation, c) {
								continue
							}
							mutants++
							set(mutant)
							report := Checker{}.Check(single(t, top, list, c))
							set(value)
							if len(report.Failures) == 0 {
								t.Errorf("%s %v: %s: %s goes unnoticed", list, c["name"], leaf, mutation)
							}
						}
					})
				}
			}
			require.Positive(t, mutants)
			t.Log(mutants, "mutants")
		})
	}
}

// slow is set under the race detector, where the tests do less of the same.
var slow bool

// everything makes TestEveryLeafIsChecked try all mutations of all cases, which takes a quarter of an hour.
var everything = os.Getenv("SPHINX_LONG") != ""

// sample returns the smallest case of each form among cases: with the same fields, and the same values in those that
// say what happens.
func sample(t *testing.T, cases []any) []map[string]any {
	const few = 40_000 // bytes of JSON, up to which a list is tried as a whole
	data, err := json.Marshal(cases)
	require.NoError(t, err)
	all := everything || len(data) < few

	smallest, sizes := map[string]map[string]any{}, map[string]int{}
	var forms []string
	for i, c := range cases {
		c := c.(map[string]any)
		var fields []string
		leaves(c, "", func(leaf string, value any, _ func(any)) {
			field := index.ReplaceAllString(leaf, "")
			switch field[strings.LastIndex(field, ".")+1:] {
			case "error", "stage", "kind", "result", "call", "field", "reason":
				field += fmt.Sprint(value)
			}
			fields = append(fields, field)
		})
		slices.Sort(fields)
		form := strings.Join(slices.Compact(fields), " ")
		if all {
			form = fmt.Sprint(i)
		}
		data, err := json.Marshal(c)
		require.NoError(t, err)
		if smallest[form] == nil {
			forms = append(forms, form)
		}
		if smallest[form] == nil || len(data) < sizes[form] {
			smallest[form], sizes[form] = c, len(data)
		}
	}
	var chosen []map[string]any
	for _, form := range forms {
		chosen = append(chosen, smallest[form])
	}
	return chosen
}

var index = regexp.MustCompile(`\[\d+\]`)

// single is the file top with c as the only case of list.
func single(t *testing.T, top map[string]any, list string, c any) []byte {
	file := maps.Clone(top)
	for _, other := range caseLists {
		delete(file, other)
	}
	if list != "cases" { // no file is without this list
		file["cases"] = top["cases"].([]any)[:1]
	}
	file[list] = []any{c}
	file["count"] = 1
	data, err := json.Marshal(file)
	require.NoError(t, err)
	return data
}

var hexString = regexp.MustCompile(`^([0-9a-f]{2})+$`)

// removed is the mutant of a field that is not there any more.
type removed struct{}

// mutate returns values that differ from value in one nibble, one byte of length, or by one, with their description. Of
// those for a byte string it returns two, which change with turn, or all of them.
func mutate(t *testing.T, value any, turn int) map[string]any {
	flip := func(s string, at int) string {
		digit, err := strconv.ParseUint(s[at:at+1], 16, 8)
		require.NoError(t, err)
		return s[:at] + strconv.FormatUint(digit^1, 16) + s[at+1:]
	}
	switch value := value.(type) {
	case string:
		if !hexString.MatchString(value) {
			return map[string]any{"other": value + "00", "null": nil}
		}
		all := map[string]any{
			"first nibble":  flip(value, 0),
			"middle nibble": flip(value, len(value)/2),
			"last nibble":   flip(value, len(value)-1),
			"truncated":     value[:len(value)-2],
			"extended":      value + "00",
			"odd":           value[1:],
			"uppercase":     strings.ToUpper(value[:len(value)-2]) + "AA",
			"null":          nil,
			"removed":       removed{},
		}
		if everything {
			return all
		}
		nibbles := []string{"first nibble", "middle nibble", "last nibble"}
		forms := []string{"truncated", "extended", "odd", "uppercase", "null", "removed"}
		maps.DeleteFunc(all, func(mutation string, _ any) bool {
			return mutation != nibbles[turn%len(nibbles)] && mutation != forms[turn/2%len(forms)]
		})
		return all
	case json.Number:
		n, err := value.Int64()
		require.NoError(t, err)
		return map[string]any{"plus 1": n + 1, "minus 1": n - 1, "removed": removed{}}
	case bool:
		return map[string]any{"not": !value}
	case nil:
		return map[string]any{"string": "00"}
	}
	t.Fatalf("no leaf: %T", value)
	return nil
}

// leaves calls do with each leaf of value.
func leaves(value any, path string, do func(path string, value any, set func(any))) {
	visit := func(path string, child any, set func(any)) {
		switch child.(type) {
		case map[string]any, []any:
			leaves(child, path, do)
		default:
			do(path, child, set)
		}
	}
	switch value := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			visit(join(path, key), value[key], func(v any) {
				if value[key] = v; v == (removed{}) {
					delete(value, key)
				}
			})
		}
	case []any:
		for i := range value {
			visit(fmt.Sprintf("%s[%d]", path, i), value[i], func(v any) {
				if value[i] = v; v == (removed{}) {
					value[i] = map[string]any{}
				}
			})
		}
	}
}

func vectorFiles(t testing.TB) []string {
	own, err := fs.Glob(testvectors.Files, "*.json")
	require.NoError(t, err)
	reference, err := fs.Glob(testvectors.Files, "reference/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, own)
	require.NotEmpty(t, reference)
	return append(own, reference...)
}

func read(t testing.TB, name string) []byte {
	data, err := testvectors.Files.ReadFile(name)
	require.NoError(t, err)
	return data
}

func parse(t testing.TB, name string) map[string]any {
	top, err := tree(read(t, name))
	require.NoError(t, err)
	return top.(map[string]any)
}
