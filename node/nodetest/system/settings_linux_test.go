package system_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// settings are what a configuration file is to have other than what 'mixnet init' writes: by "section.name", in TOML.
type settings map[string]string

// apply writes the settings into the places that the file has for them.
func (s settings) apply(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var out strings.Builder
	section, applied := "", 0
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "[") {
			section = strings.Trim(strings.TrimSpace(line), "[]") + "."
		}
		name, _, found := strings.Cut(strings.TrimPrefix(line, "#"), " = ")
		if value, ours := s[section+name]; found && ours {
			line = fmt.Sprintf("%s = %s\n", name, value)
			applied++
		}
		out.WriteString(line)
	}
	require.Equal(t, len(s), applied, "%s has no place for all of %v", file, s)
	require.NoError(t, os.WriteFile(file, []byte(out.String()), 0o600))
}

// initialize does what prepare does, and checks what the settings have made of the configuration.
func initialize(t *testing.T, role, folder string, s settings, flags ...string) (config, said string) {
	t.Helper()
	config, said = prepare(t, role, folder, s, flags...)
	require.Equal(t, "ok\n", run(t, role, "--config", config, "--check"))
	return config, said
}

// prepare makes a folder with a configuration and a key, as an operator does.
func prepare(t *testing.T, role, folder string, s settings, flags ...string) (config, said string) {
	t.Helper()
	said = run(t, append([]string{"init", role, "--dir", folder}, flags...)...)
	config = fmt.Sprintf("%s/%s.toml", folder, role)
	s.apply(t, config)
	return config, said
}

// run runs mixnet to its end and returns what it prints.
func run(t *testing.T, arguments ...string) string {
	t.Helper()
	command := exec.Command(mixnet, arguments...)
	var failure strings.Builder
	command.Stderr = &failure
	out, err := command.Output()
	require.NoError(t, err, "%v: %s", arguments, failure.String())
	return string(out)
}
