package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"
)

// maxConfig is the size in bytes of the largest configuration file.
const maxConfig = 1 << 20

// setting is one key of a configuration file. All that loads, checks or writes such a file goes by a list of these.
type setting struct {
	key      string // "section.name", or "name" above all sections
	to       any    // where its value goes and its default stands: *string, *int, *float64, *bool, *time.Duration or *[]string
	about    string // what it is, with its unit, as the comment in the file
	advice   string // what to do where a value is refused; "give another" where empty
	required bool   // it has no default
	positive bool   // zero is no value of it
}

// section returns the part of the key before the name; empty above all sections.
func (s *setting) section() string {
	section, _, found := strings.Cut(s.key, ".")
	if !found {
		return ""
	}
	return section
}

// name returns the key without its section.
func (s *setting) name() string { return s.key[strings.LastIndex(s.key, ".")+1:] }

// empty reports whether the setting has no value.
func (s *setting) empty() bool {
	return s.value().IsZero() || s.value().Kind() == reflect.Slice && s.value().Len() == 0
}

func (s *setting) value() reflect.Value { return reflect.ValueOf(s.to).Elem() }

// configuration is a file as it is being read: what it sets, and what is wrong with it.
type configuration struct {
	file     string
	settings []setting
	defaults map[string]reflect.Value // by key
	lines    map[string]int           // where each key stands that the file sets
	sections map[string]int           // where each section begins
	broken   bool                     // there are lines that nobody can read, so a key that is missing may be in one of them
	problems []problem
}

// problem is one thing that is wrong with a configuration file.
type problem struct {
	line   int    // zero for the file as a whole
	key    string // empty where it is not about one
	wrong  string
	advice string
}

// configError is all that is wrong with a configuration file, with a line for each.
type configError struct {
	file     string
	problems []problem
	running  bool // found by running: another try may find it gone
}

func (e *configError) Error() string {
	var lines []string
	for _, p := range e.problems {
		where := e.file
		if p.line > 0 {
			where = fmt.Sprintf("%s:%d", e.file, p.line)
		}
		if p.key != "" {
			where += ": " + p.key
		}
		lines = append(lines, fmt.Sprintf("%s: %s; %s", where, p.wrong, p.advice))
	}
	return strings.Join(lines, "\n")
}

// readConfiguration reads a file into the settings, which hold their defaults. What is wrong with it is kept for err.
func readConfiguration(file string, settings []setting) *configuration {
	c := &configuration{
		file:     file,
		settings: settings,
		defaults: make(map[string]reflect.Value),
		lines:    make(map[string]int),
		sections: make(map[string]int),
	}
	for i := range settings {
		before := reflect.New(settings[i].value().Type()).Elem()
		before.Set(settings[i].value())
		c.defaults[settings[i].key] = before
	}
	text, err := readConfigText(file)
	if err != nil {
		advice := "name another file with --config"
		if errors.Is(err, fs.ErrNotExist) {
			advice = "make one with 'mixnet init', or name another with --config"
		}
		c.problems = append(c.problems, problem{wrong: err.Error(), advice: advice})
		c.broken = true
		return c
	}
	c.parse(text)
	c.requireAll()
	return c
}

func readConfigText(file string) ([]byte, error) {
	opened, err := os.Open(file)
	if err != nil {
		return nil, reason(err)
	}
	defer opened.Close()
	text, err := io.ReadAll(io.LimitReader(opened, maxConfig+1))
	if err != nil {
		return nil, reason(err)
	}
	if len(text) > maxConfig {
		return nil, fmt.Errorf("is larger than %d bytes, which no configuration is", maxConfig)
	}
	return text, nil
}

// reason returns what is wrong with a file without its name, which is said elsewhere.
func reason(err error) error {
	var failed *fs.PathError
	if errors.As(err, &failed) {
		return fmt.Errorf("cannot be used: %w", failed.Err)
	}
	return err
}

// requireAll refuses a file without what has no default.
func (c *configuration) requireAll() {
	for i := range c.settings {
		s := &c.settings[i]
		if !s.required || c.lines[s.key] != 0 && !s.empty() || c.refused(s.key) {
			continue
		}
		switch line := c.lines[s.key]; {
		case line != 0:
			c.problems = append(c.problems, problem{line, s.key, "is empty", s.remedy()})
		case !c.broken:
			c.problems = append(c.problems, problem{c.sections[s.section()], s.key, "is missing", s.remedy()})
		}
	}
}

func (s *setting) remedy() string { return cmp.Or(s.advice, "give another") }

// refuse notes that a setting cannot be what it is, at its line; that of its section where it is the default.
func (c *configuration) refuse(key, wrong string) {
	i := slices.IndexFunc(c.settings, func(s setting) bool { return s.key == key })
	c.problems = append(c.problems, problem{cmp.Or(c.lines[key], c.sections[c.settings[i].section()]), key, wrong, c.settings[i].remedy()})
	c.reset(key)
}

// reset gives a setting its default again.
func (c *configuration) reset(key string) {
	for i := range c.settings {
		if c.settings[i].key == key {
			c.settings[i].value().Set(c.defaults[key])
		}
	}
}

// refused reports whether something is wrong with a setting already.
func (c *configuration) refused(key string) bool {
	return slices.ContainsFunc(c.problems, func(p problem) bool { return p.key == key })
}

// usable reports whether a setting has a value, and nothing is known against it.
func (c *configuration) usable(key string) bool {
	i := slices.IndexFunc(c.settings, func(s setting) bool { return s.key == key })
	unread := c.broken && c.lines[key] == 0
	return !c.refused(key) && !(c.settings[i].required && (unread || c.settings[i].empty()))
}

// validate asks check, which judges the settings as the program would use them, until it has nothing against them any
// more, and refuses each setting that it blames: one without which check would say nothing, or something else. Of
// several that contradict each other it is the last in the list. As it tries each setting's default in turn, check is called
// many times, also with settings that nobody has asked for: it must have no effects.
func (c *configuration) validate(check func() error) {
	for {
		err := check()
		if err == nil {
			return
		}
		var blamed []*setting
		for i := range c.settings {
			s := &c.settings[i]
			if c.lines[s.key] == 0 || c.refused(s.key) {
				continue
			}
			value := reflect.New(s.value().Type()).Elem()
			value.Set(s.value())
			c.reset(s.key)
			if without := check(); without == nil || without.Error() != err.Error() {
				blamed = append(blamed, s)
			}
			s.value().Set(value)
		}
		if len(blamed) == 0 {
			c.problems = append(c.problems, problem{0, "", err.Error(), "change what it names"})
			return
		}
		last := blamed[len(blamed)-1]
		wrong := plainOf(err)
		for _, other := range blamed[:len(blamed)-1] {
			wrong += fmt.Sprintf(" (with %s in line %d)", other.key, c.lines[other.key])
		}
		c.refuse(last.key, wrong)
	}
}

// err returns all that is wrong, in the order of the lines, as a *configError; nil where nothing is.
func (c *configuration) err() error {
	if len(c.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(c.problems, func(a, b problem) int { return cmp.Compare(a.line, b.line) })
	return &configError{file: c.file, problems: c.problems}
}

// path returns a file that the configuration names: relative names are relative to the configuration's folder.
func (c *configuration) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(c.file), name)
}

// set gives a setting the value that stands in the file, or returns what is wrong with that.
func (s *setting) set(value any) error {
	ok := false
	switch to := s.to.(type) {
	case *string:
		*to, ok = value.(string)
	case *bool:
		*to, ok = value.(bool)
	case *int:
		var number int64
		if number, ok = value.(int64); ok && (number > math.MaxInt32 || number < math.MinInt32) {
			return fmt.Errorf("is %d, which is out of range", number)
		}
		*to = int(number)
	case *float64:
		if whole, is := value.(int64); is {
			value = float64(whole)
		}
		if *to, ok = value.(float64); ok && (math.IsNaN(*to) || math.IsInf(*to, 0)) {
			return fmt.Errorf("is %v, must be finite", *to)
		}
	case *time.Duration:
		var text string
		if text, ok = value.(string); ok {
			length, err := time.ParseDuration(text)
			if err != nil {
				return fmt.Errorf("is %q, which is no duration", text)
			}
			*to = length
		}
	case *[]string:
		*to, ok = words(value)
	default:
		panic(fmt.Sprintf("the setting %s is a %T", s.key, s.to))
	}
	switch {
	case !ok:
		return fmt.Errorf("is %s, must be %s", kind(value), s.kind())
	case s.positive && s.empty():
		return errors.New("is 0, must be more")
	}
	return nil
}

// words returns the strings of an array that has nothing else.
func words(value any) ([]string, bool) {
	array, ok := value.([]any)
	all := make([]string, len(array))
	for i := range array {
		word, is := array[i].(string)
		all[i], ok = word, ok && is
	}
	return all, ok
}

// kind says what a setting's values look like.
func (s *setting) kind() string {
	switch s.to.(type) {
	case *string:
		return `a text in quotes`
	case *bool:
		return `true or false`
	case *int:
		return `a whole number, without quotes`
	case *float64:
		return `a number, without quotes`
	case *time.Duration:
		return `a duration in quotes, like "250ms", "10s" or "1h30m"`
	default:
		return `a list of texts, like ["a", "b"]`
	}
}

// kind says what stands in a file.
func kind(value any) string {
	switch value.(type) {
	case string:
		return "a text"
	case bool:
		return "true or false"
	case int64:
		return "a whole number"
	case float64:
		return "a number"
	case []any:
		return "a list"
	case map[string]any:
		return "a section"
	default:
		return "a date or time"
	}
}
