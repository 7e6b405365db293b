package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// maxSyntaxErrors is how many lines that nobody can read are reported of one file.
const maxSyntaxErrors = 20

// parse takes from a TOML text what it sets.
func (c *configuration) parse(text []byte) {
	values, ok := c.decode(text)
	if !ok {
		return
	}
	// The values do not say where they stand; that the syntax tree does.
	var tree unstable.Parser
	tree.Reset(text)
	var section []string
	for tree.NextExpression() {
		switch node := tree.Expression(); node.Kind {
		case unstable.KeyValue:
			c.keyValue(text, section, node, values)
		case unstable.Table:
			section = c.section(text, node)
		case unstable.ArrayTable:
			section = c.section(text, node)
			c.problems = append(c.problems, problem{
				c.sections[joined(section)], joined(section),
				"is a list of sections, must be one section", fmt.Sprintf("write [%s]", joined(section)),
			})
			section = append(section, "") // of which nothing is known
		}
	}
}

// decode returns the values in text. A line with a setting that cannot be read is noted and left out, in text too;
// after any other, nobody knows what belongs to which section, and decode returns false.
func (c *configuration) decode(text []byte) (map[string]any, bool) {
	for {
		var values map[string]any
		err := toml.Unmarshal(text, &values)
		var syntax *toml.DecodeError
		if err == nil || !errors.As(err, &syntax) {
			return values, true
		}
		c.broken = true
		line, column := syntax.Position()
		wrong := strings.TrimPrefix(syntax.Error(), "toml: ")
		advice := "write NAME = VALUE in a line of its own, with texts and durations in quotes"
		if strings.Contains(wrong, "already") {
			advice = "remove one of the two"
		}
		c.problems = append(c.problems, problem{line, "", fmt.Sprintf("column %d: %s", column, wrong), advice})
		bad := lineOf(text, line)
		if len(c.problems) == maxSyntaxErrors || !bytes.Contains(bad, []byte("=")) {
			return nil, false
		}
		for i := range bad {
			bad[i] = ' '
		}
	}
}

// lineOf returns a line of text, without its end, by its number from 1.
func lineOf(text []byte, number int) []byte {
	for range number - 1 {
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r"))
}

// section notes where a section begins.
func (c *configuration) section(text []byte, node *unstable.Node) []string {
	path, line := keyOf(text, node)
	name := joined(path)
	if c.sections[name] == 0 {
		c.sections[name] = line
	}
	if !c.hasSection(name) {
		c.problems = append(c.problems, problem{line, "", fmt.Sprintf("no section [%s]", name), c.suggestSection(name)})
	}
	return path
}

func (c *configuration) hasSection(name string) bool {
	return name != "" && slices.ContainsFunc(c.settings, func(s setting) bool { return s.section() == name })
}

// keyValue sets what one line sets, or all that stands in an inline section.
func (c *configuration) keyValue(text []byte, section []string, node *unstable.Node, values map[string]any) {
	path, line := keyOf(text, node)
	path = slices.Concat(section, path)
	key := joined(path)
	i := slices.IndexFunc(c.settings, func(s setting) bool { return s.key == key })
	inline := i < 0 && node.Value().Kind == unstable.InlineTable
	switch {
	case inline && c.hasSection(key):
		c.sections[key] = line
		for inner := node.Value().Children(); inner.Next(); {
			c.keyValue(text, path, inner.Node(), values)
		}
	case len(section) > 0 && !c.hasSection(joined(section)): // which is said already
	case inline:
		c.problems = append(c.problems, problem{line, "", fmt.Sprintf("no section [%s]", key), c.suggestSection(key)})
	case i < 0:
		c.problems = append(c.problems, problem{line, key, "no such setting", c.suggest(key)})
	default:
		c.lines[key] = line
		if err := c.settings[i].set(lookup(values, path)); err != nil {
			c.refuse(key, err.Error())
		}
	}
}

// keyOf returns the parts of a node's key, and the number of its line.
func keyOf(text []byte, node *unstable.Node) (path []string, line int) {
	for parts := node.Key(); parts.Next(); {
		part := parts.Node()
		if line == 0 {
			line = 1 + bytes.Count(text[:part.Raw.Offset], []byte("\n"))
		}
		path = append(path, string(part.Data))
	}
	return path, line
}

// joined writes a key for people, with quotes around a part that needs them.
func joined(path []string) string {
	parts := slices.Clone(path)
	for i, part := range parts {
		if part == "" || strings.ContainsFunc(part, func(r rune) bool {
			return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-')
		}) {
			parts[i] = strconv.Quote(part)
		}
	}
	return strings.Join(parts, ".")
}

// lookup returns the value at a path of keys.
func lookup(values map[string]any, path []string) any {
	value := values[path[0]]
	if len(path) == 1 {
		return value
	}
	inner, _ := value.(map[string]any)
	return lookup(inner, path[1:])
}

// suggest says which setting may have been meant.
func (c *configuration) suggest(key string) string {
	section, name, found := strings.Cut(key, ".")
	if !found {
		section, name = "", key
	}
	var here, elsewhere []string
	for i := range c.settings {
		s := &c.settings[i]
		if s.section() == section {
			here = append(here, s.name())
		} else {
			elsewhere = append(elsewhere, s.name())
		}
	}
	if c.hasSection(key) {
		return fmt.Sprintf("this is a section: write [%s] in a line of its own, and what belongs to it below", key)
	}
	if near := nearest(name, here); near != "" {
		return fmt.Sprintf("did you mean %s?", strings.TrimPrefix(section+"."+near, "."))
	}
	if near := nearest(name, elsewhere); near != "" {
		i := slices.IndexFunc(c.settings, func(s setting) bool { return s.name() == near && s.section() != section })
		return fmt.Sprintf("did you mean %s?", c.settings[i].key)
	}
	return "remove it; here can stand " + strings.Join(here, ", ")
}

func (c *configuration) suggestSection(name string) string {
	var all []string
	for i := range c.settings {
		if section := c.settings[i].section(); section != "" && !slices.Contains(all, section) {
			all = append(all, section)
		}
	}
	if near := nearest(name, all); near != "" {
		return fmt.Sprintf("did you mean [%s]?", near)
	}
	return fmt.Sprintf("remove it; there are [%s]", strings.Join(all, "], ["))
}

// nearest returns the word that a typing mistake may have made into word, or "".
func nearest(word string, words []string) string {
	best, least := "", 1+max(2, len(word)/3)
	for _, candidate := range words {
		if d := distance(word, candidate); d < least && d < len(candidate) {
			best, least = candidate, d
		}
	}
	return best
}

// distance is how many letters must be put in, left out or changed to make a into b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
