package main

import (
	"bytes"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// template writes a configuration file with every setting. Those that have a value other than the one in defaults,
// which lists the same settings, and those that have no default, stand there to be changed; the others are comments.
func template(header string, settings, defaults []setting) []byte {
	var out bytes.Buffer
	writeComment(&out, header)
	section := ""
	for i := range settings {
		s := &settings[i]
		if s.section() != section {
			section = s.section()
			fmt.Fprintf(&out, "\n[%s]\n", section)
		}
		fmt.Fprintln(&out)
		writeComment(&out, s.about)
		if !s.required && reflect.DeepEqual(s.value().Interface(), defaults[i].value().Interface()) {
			fmt.Fprint(&out, "#")
		}
		fmt.Fprintf(&out, "%s = %s\n", s.name(), literal(s.value().Interface()))
	}
	return out.Bytes()
}

func writeComment(out *bytes.Buffer, text string) {
	for line := range strings.Lines(text) {
		fmt.Fprintf(out, "# %s\n", strings.TrimSuffix(line, "\n"))
	}
}

// literal writes a value as TOML has it.
func literal(value any) string {
	switch v := value.(type) {
	case string:
		return quoted(v)
	case time.Duration:
		return quoted(short(v))
	case []string:
		words := make([]string, len(v))
		for i := range v {
			words[i] = quoted(v[i])
		}
		return "[" + strings.Join(words, ", ") + "]"
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}

// quoted writes a basic string of TOML, of which JSON's is one.
func quoted(s string) string {
	var out strings.Builder
	out.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			out.WriteByte('\\')
			out.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&out, `\u%04X`, r)
		default:
			out.WriteRune(r)
		}
	}
	out.WriteByte('"')
	return out.String()
}

// short writes a duration without the parts that are zero: 1h and not 1h0m0s.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
