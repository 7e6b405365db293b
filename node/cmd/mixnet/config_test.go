package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client/exit"
	"sphinxmix.example/node/cmd/mixnet/internal/welcome"
	"sphinxmix.example/node/directory"
)

const (
	goodNode = `identity = "node.key"
address = "mix.example.org:7000"

[directory]
urls = ["http://127.0.0.1:8080"]
key = "1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f"
`
	goodDirectory = `identity = "directory.key"
`
)

// writeConfig makes a folder with a configuration and a key, and returns the name of the configuration.
func writeConfig(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	for _, key := range []string{"node.key", "directory.key"} {
		_, err := createKey(filepath.Join(dir, key))
		require.NoError(t, err)
	}
	file := filepath.Join(dir, "config.toml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// wrong is what a line of a configuration's errors must have: its start, and then parts of what is wrong and of what to
// do about it.
type wrong struct{ where, what, remedy string }

// requireErrors compares the lines of a configuration's error with what they must be, one for one.
func requireErrors(t *testing.T, file string, err error, want []wrong) {
	t.Helper()
	var known *configError
	require.ErrorAs(t, err, &known)
	lines := strings.Split(err.Error(), "\n")
	for i := range min(len(lines), len(want)) {
		rest, found := strings.CutPrefix(lines[i], file+want[i].where)
		require.True(t, found, "%q must begin with %q", lines[i], file+want[i].where)
		said, remedy, found := strings.Cut(rest, "; ")
		require.True(t, found, "no remedy in %q", lines[i])
		require.Contains(t, said, want[i].what)
		require.Contains(t, remedy, want[i].remedy)
	}
	require.Len(t, lines, len(want), "%s", err)
}

// TestEveryErrorOfANodesConfigurationHasALineAndARemedy, and all errors of a file are said at once.
func TestEveryErrorOfANodesConfigurationHasALineAndARemedy(t *testing.T) {
	for _, test := range []struct {
		name, old, new string // what is changed in goodNode; appended where old is empty
		want           []wrong
	}{
		{"value without quotes", `"node.key"`, `node.key`, []wrong{{":1: ", "column 12", "in quotes"}}},
		{"several lines that nobody can read", "", "x =\ny = 'a\nz = 1.2.3\n", []wrong{{":7: ", "", "NAME = VALUE"}, {":8: ", "", "NAME = VALUE"}, {":9: ", "", "NAME = VALUE"}}},
		{"section without its end", "[directory]", "[directory", []wrong{{":4: ", "]", "NAME = VALUE"}}},
		{"set twice", "", "key = \"00\"\n", []wrong{{":7: ", "already", "remove one"}}},
		{"section twice", "", "[directory]\n", []wrong{{":7: ", "already", "remove one"}}},

		{"unknown setting", "", "[mix]\nsise = 3\n", []wrong{{":8: mix.sise: ", "no such setting", "did you mean mix.size?"}}},
		{"unknown setting, like none", "", "[services]\nwebcam = true\n", []wrong{{":8: services.webcam: ", "no such setting", "here can stand echo"}}},
		{"setting in the wrong section", `address =`, "strategy = \"pool\"\naddress =", []wrong{{":2: strategy: ", "no such setting", "did you mean mix.strategy?"}}},
		{"setting in no section", "", "refresh = \"10s\"\n", []wrong{{":7: directory.refresh: ", "no such setting", "did you mean refresh?"}}},
		{"quoted setting", `address =`, "\"mix.size\" = 3\naddress =", []wrong{{`:2: "mix.size": `, "no such setting", "did you mean mix.size?"}}},
		{"unknown section, and nothing about what is in it", "", "[limit]\nlinks = 3\n", []wrong{{":7: ", "no section [limit]", "did you mean [limits]?"}}},
		{"unknown section, like none", "", "[smtp]\n", []wrong{{":7: ", "no section [smtp]", "there are [directory]"}}},
		{"setting as a section", "", "[keys.folder]\n", []wrong{{":7: ", "no section [keys.folder]", "remove it"}}},
		{"section as a setting", `address =`, "mix = 3\naddress =", []wrong{{":2: mix: ", "no such setting", "write [mix] in a line of its own"}}},
		{"list of sections", "", "[[mix]]\nsize = 3\n", []wrong{{":7: mix: ", "list of sections", "write [mix]"}}},
		{"inline section", "", "[other]\nx = { y = 1 }\n", []wrong{{":7: ", "no section [other]", ""}}},
		{"settings in an inline section", `address =`, "mix = { sise = 3,\n size = \"4\" }\naddress =", []wrong{{":2: mix.sise: ", "no such", "mix.size"}, {":3: mix.size: ", "is a text", "senders"}}},

		{"text as number", "", "[mix]\nsize = \"8\"\n", []wrong{{":8: mix.size: ", "is a text, must be a whole number", "number of senders"}}},
		{"fraction as whole number", "", "[mix]\nsize = 8.0\n", []wrong{{":8: mix.size: ", "is a number, must be a whole number", "number of senders"}}},
		{"number as duration", "", "[mix]\ninterval = 10\n", []wrong{{":8: mix.interval: ", `must be a duration in quotes, like "250ms"`, "duration"}}},
		{"duration without a unit", "", "[mix]\ninterval = \"10\"\n", []wrong{{":8: mix.interval: ", `"10", which is no duration`, "duration"}}},
		{"text as truth", "", "[keys]\nkeep = \"yes\"\n", []wrong{{":8: keys.keep: ", "must be true or false", "true or false"}}},
		{"text as list", `["http://127.0.0.1:8080"]`, `"http://127.0.0.1:8080"`, []wrong{{":5: directory.urls: ", "is a text, must be a list", "directory.example.org"}}},
		{"list of numbers", `["http://127.0.0.1:8080"]`, `["http://127.0.0.1:8080", 8080]`, []wrong{{":5: directory.urls: ", "must be a list of texts", "directory.example.org"}}},
		{"date as text", `"mix.example.org:7000"`, `2026-01-01`, []wrong{{":2: address: ", "is a date", "mix.example.org"}}},
		{"infinite number", "", "[cover]\nloops = inf\n", []wrong{{":8: cover.loops: ", "finite", "0 for none"}}},
		{"number too large", "", "[mix]\nsize = 3000000000\n", []wrong{{":8: mix.size: ", "out of range", "number of senders"}}},

		{"nothing", goodNode, "", []wrong{
			{": identity: ", "is missing", "mixnet init node"},
			{": address: ", "is missing", "mix.example.org:7000"},
			{": directory.urls: ", "is missing", "directory.example.org"},
			{": directory.key: ", "is missing", "mixnet init directory"},
		}},
		{"missing in a section", "urls =", "#", []wrong{{":4: directory.urls: ", "is missing", "directory.example.org"}}},
		{"empty", `"mix.example.org:7000"`, `""`, []wrong{{":2: address: ", "is empty", "mix.example.org:7000"}}},
		{"empty list", `["http://127.0.0.1:8080"]`, `[]`, []wrong{{":5: directory.urls: ", "is empty", "directory.example.org"}}},

		{"no such key file", "node.key", "other.key", []wrong{{":1: identity: ", "there is no file", "backup"}}},
		{"key file that is a folder", "node.key", "/", []wrong{{":1: identity: ", "is no file", "mixnet init"}}},
		{"key file without a key", "node.key", "config.toml", []wrong{{":1: identity: ", "no Ed25519 private key", "backup"}}},
		{"address without a port", "mix.example.org:7000", "mix.example.org", []wrong{{":2: address: ", "is not host:port", "others reach"}}},
		{"address that nobody can dial", "mix.example.org:7000", "0.0.0.0:7000", []wrong{{`:2: address: address "0.0.0.0:7000" is `, "where to listen", "others reach"}}},
		{"listen without a port", `address =`, "listen = \"7000\"\naddress =", []wrong{{":2: listen: ", "not host:port", "203.0.113.5:7000"}}},
		{"listen at a port that cannot be", `address =`, "listen = \":70000\"\naddress =", []wrong{{":2: listen: ", "no port", "203.0.113.5:7000"}}},
		{"directory's URL", "http://127.0.0.1:8080", "127.0.0.1:8080", []wrong{{":5: directory.urls: ", "http://host:port", "directory.example.org"}}},
		{"directory's key", "1f1f", "1f", []wrong{{":6: directory.key: ", "64 hexadecimal digits", "mixnet init directory"}}},
		{"directory's key that anybody can sign for", strings.Repeat("1f", 32), strings.Repeat("00", 32), []wrong{{":6: directory.key: ", "not a usable", "mixnet init directory"}}},
		{"refresh of nothing", `address =`, "refresh = \"0s\"\naddress =", []wrong{{":2: refresh: ", "is 0", "duration"}}},
		{"negative refresh", `address =`, "refresh = \"-1s\"\naddress =", []wrong{{":2: refresh: ", "negative", "duration"}}},
		{"lifetime that no directory takes", `address =`, "lifetime = \"1000h\"\naddress =", []wrong{{":2: lifetime: ", "1000h", "168h"}}},
		{"no weight", `address =`, "weight = 0\naddress =", []wrong{{":2: weight: ", "is 0", "1 to 16"}}},
		{"negative weight", `address =`, "weight = -4\naddress =", []wrong{{":2: weight: ", "-4", "1 to 16"}}},
		{"more weight than there is", `address =`, "weight = 17\naddress =", []wrong{{":2: weight: ", "17", "1 to 16"}}},
		{"clients by number", `address =`, "clients = 5\naddress =", []wrong{{":2: clients: ", "must be true or false", "true or false"}}},
		{"negative drain", `address =`, "drain = \"-1s\"\naddress =", []wrong{{":2: drain: ", "negative", "0s"}}},
		{"strategy", "", "[mix]\nstrategy = \"magic\"\n", []wrong{{":8: mix.strategy: ", "threshold, timed, pool, poisson", "give threshold"}}},
		{"negative size", "", "[mix]\nsize = -3\n", []wrong{{":8: mix.size: ", "-3", "1 or more"}}},
		{"fraction above one", "", "[mix]\nstrategy = \"pool\"\npool_fraction = 1.5\n", []wrong{{":9: mix.pool_fraction: ", "at most 1", "fraction"}}},
		{"setting of another strategy", "", "[mix]\nstrategy = \"timed\"\nsize = 3\n", []wrong{{":9: mix.size: ", "mix.strategy in line 8", "for a threshold or a pool"}}},
		{"setting of another strategy, the other way round", "", "[mix]\nsize = 3\nstrategy = \"timed\"\n", []wrong{{":8: mix.size: ", "mix.strategy in line 9", "for a threshold or a pool"}}},
		{"contradiction", "", "[mix]\nstrategy = \"pool\"\ninterval = \"2m\"\nmax_delay = \"1m\"\n", []wrong{{":10: mix.max_delay: ", "mix.interval in line 9", "duration"}}},
		{"negative cover", "", "[cover]\nloops = -1\n", []wrong{{":8: cover.loops: ", "-1", "0 for none"}}},
		{"cover that can only be a mistake", "", "[cover]\nloops = 1\ndrops = 1e9\n", []wrong{{":9: cover.drops: ", "1e+09", "0 for none"}}},
		{"negative limits", "", "[limits]\nlinks = -1\nlinks_per_address = -1\n", []wrong{{":8: limits.links: ", "negative", "connections"}, {":9: limits.links_per_address: ", "negative", "connections"}}},
		{"no room for tags", "", "[keys]\nmax_tags = 0\n", []wrong{{":8: keys.max_tags: ", "is 0", "packets"}}},
		{"keys beside the identity", "", "[keys]\nkeep = true\nfolder = \".\"\n", []wrong{{":9: keys.folder: ", "identity", "used for nothing else"}}},
		{"keys in a file", "", "[keys]\nkeep = true\nfolder = \"node.key\"\n", []wrong{{":9: keys.folder: ", "is no folder", "name another"}}},
		{"keys where nothing can be made", "", "[keys]\nkeep = true\nfolder = \"/proc/keys/x\"\n", []wrong{{":9: keys.folder: ", "", ""}}},
		{"operator's page for everyone", "", "[operator]\nlisten = \":9090\"\n", []wrong{{":8: operator.listen: ", "other machines can reach", "127.0.0.1:9090"}}},
		{"operator's page by name", "", "[operator]\nlisten = \"mix.example.org:9090\"\n", []wrong{{":8: operator.listen: ", "other machines can reach", "127.0.0.1:9090"}}},
		{"operator's page in a zone", "", "[operator]\nlisten = \"[::1%lo]:9090\"\n", []wrong{{":8: operator.listen: ", "other machines can reach", "127.0.0.1:9090"}}},
		{"operator's page at a port that cannot be", "", "[operator]\nlisten = \"localhost:99999\"\n", []wrong{{":8: operator.listen: ", "no port", "127.0.0.1:9090"}}},
		{"exit's addresses", "", "[exit]\nallow = [\"10.0.0.0/33\"]\ndeny = [\"here\"]\n", []wrong{{":8: exit.allow: ", "10.0.0.0/33", "192.168.7.0/24"}, {":9: exit.deny: ", "here", "198.51.100.7"}}},
		{"exit's IPv4 address as IPv6", "", "[exit]\ndeny = [\"::ffff:192.0.2.1\"]\n", []wrong{{":8: exit.deny: ", "::ffff:192.0.2.1", "198.51.100.7"}}},
		{"exit's ports", "", "[exit]\nports = [\"80\", \"443-80\"]\n", []wrong{{":8: exit.ports: ", "443-80", "8000-8999"}}},
		{"exit's port by number", "", "[exit]\nports = [80]\n", []wrong{{":8: exit.ports: ", "list of texts", "8000-8999"}}},
		{"exit's port 0", "", "[exit]\nports = [\"0\"]\n", []wrong{{":8: exit.ports: ", "\"0\"", "8000-8999"}}},
		{"exit's resolver by name", "", "[exit]\nenabled = true\nresolver = \"dns.example.org\"\n", []wrong{{":9: exit.resolver: ", "dns.example.org", "192.0.2.53:53"}}},
		{"exit without room", "", "[exit]\nsessions = 0\nstreams = 0\nstreams_per_session = 0\nmemory = 0\n", []wrong{
			{":8: exit.sessions: ", "is 0", "sessions"},
			{":9: exit.streams: ", "is 0", "connections"},
			{":10: exit.streams_per_session: ", "is 0", "connections"},
			{":11: exit.memory: ", "is 0", "MiB"},
		}},
		{"exit with less than no room", "", "[exit]\nenabled = true\nsessions = -1\nmemory = -1\n", []wrong{{":9: exit.sessions: ", "negative", "sessions"}, {":10: exit.memory: ", "negative", "MiB"}}},
		{"exit without patience", "", "[exit]\nenabled = true\ndial_timeout = \"0s\"\nidle_timeout = \"-1s\"\n", []wrong{{":9: exit.dial_timeout: ", "is 0", "duration"}, {":10: exit.idle_timeout: ", "negative", "duration"}}},
		{"log level", "", "[log]\nlevel = \"loud\"\n", []wrong{{":8: log.level: ", "loud", "debug, info, warn, error"}}},
		{"log format", "", "[log]\nformat = \"xml\"\n", []wrong{{":8: log.format: ", "xml", "text, json"}}},

		{"many at once, in the order of their lines", "", "[mix]\nsize = -1\nsise = 3\ninterval = 3\n[operator]\nlisten = \":1\"\n[limits]\nlinks = -5\n", []wrong{
			{":8: mix.size: ", "", ""}, {":9: mix.sise: ", "", ""}, {":10: mix.interval: ", "", ""}, {":12: operator.listen: ", "", ""}, {":14: limits.links: ", "", ""},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := goodNode + test.new
			if test.old != "" {
				require.Contains(t, goodNode, test.old)
				text = strings.Replace(goodNode, test.old, test.new, 1)
			}
			file := writeConfig(t, text)
			_, err := loadNode(file)
			requireErrors(t, file, err, test.want)
		})
	}
}

func TestConfigurationsThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large.toml")
	require.NoError(t, os.WriteFile(large, make([]byte, maxConfig+1), 0o600))
	for file, want := range map[string]wrong{
		filepath.Join(dir, "none.toml"): {": ", "no such file", "mixnet init"},
		dir:                             {": ", "is a directory", "--config"},
		large:                           {": ", "larger than", "--config"},
	} {
		_, err := loadNode(file)
		requireErrors(t, file, err, []wrong{want})
		_, err = loadDirectory(file)
		requireErrors(t, file, err, []wrong{want})
	}
}

// TestKeysThatOthersCanReadAreRefused, and folders of keys that others can enter.
func TestKeysThatOthersCanReadAreRefused(t *testing.T) {
	file := writeConfig(t, goodNode+"[keys]\nkeep = true\n")
	dir := filepath.Dir(file)
	require.NoError(t, os.Chmod(filepath.Join(dir, "node.key"), 0o640))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "keys"), 0o755))
	require.NoError(t, os.Chmod(filepath.Join(dir, "keys"), 0o755)) // whatever this process may make
	_, err := loadNode(file)
	requireErrors(t, file, err, []wrong{
		{":1: identity: ", "mode 0640", "chmod 600 " + filepath.Join(dir, "node.key")},
		{":7: keys.folder: ", "mode 0755", "chmod 700 " + filepath.Join(dir, "keys")},
	})
	require.NoError(t, os.Chmod(filepath.Join(dir, "node.key"), 0o600))
	require.NoError(t, os.Chmod(filepath.Join(dir, "keys"), 0o700))
	_, err = loadNode(file)
	require.NoError(t, err)
}

// TestErrorsSayNothingOfAKey, not even of a broken one.
func TestErrorsSayNothingOfAKey(t *testing.T) {
	file := writeConfig(t, goodNode)
	key := filepath.Join(filepath.Dir(file), "node.key")
	pem, err := os.ReadFile(key)
	require.NoError(t, err)
	secret := strings.Split(string(pem), "\n")[1]
	for _, broken := range []string{strings.Replace(string(pem), "PRIVATE KEY", "EC PRIVATE KEY", 2), string(pem) + "more", string(pem[:40]), "", secret} {
		require.NoError(t, os.WriteFile(key, []byte(broken), 0o600))
		_, err = loadNode(file)
		requireErrors(t, file, err, []wrong{{":1: identity: ", "no Ed25519 private key", "backup"}})
		require.NotContains(t, err.Error(), secret[:8])
	}
}

// TestTemplatesHaveEverySetting: uncommented they load, and are what an empty file would be but for what has no
// default.
func TestTemplatesHaveEverySetting(t *testing.T) {
	commented := regexp.MustCompile(`(?m)^#([a-z_]+ = )`)
	comment := regexp.MustCompile(`^# .{1,118}$`)
	for name, text := range map[string][]byte{
		"node":      template(nodeHeader, newNodeSettings().list(), newNodeSettings().list()),
		"directory": template(directoryHeader, newServerSettings().list(), newServerSettings().list()),
		"proxy":     template(proxyHeader, newProxySettings().list(), newProxySettings().list()),
	} {
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSuffix(line, "\n"); strings.HasPrefix(line, "# ") {
				require.Regexp(t, comment, line)
			}
		}
		all := commented.ReplaceAllString(string(text), "$1")
		require.NotEqual(t, string(text), all)
		all = strings.Replace(all, `address = ""`, `address = "mix.example.org:7000"`, 1)
		all = strings.Replace(all, `urls = []`, `urls = ["http://127.0.0.1:8080"]`, 1)
		if name != "directory" { // whose only key of others is that of a policy
			all = strings.Replace(all, `key = ""`, `key = "1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f"`, 1)
		}
		switch file := writeConfig(t, all); name {
		case "node":
			set, err := loadNode(file)
			require.NoError(t, err)
			require.Len(t, set.file.lines, len(set.file.settings), "every setting is there")
			bare, err := loadNode(writeConfig(t, goodNode))
			require.NoError(t, err)
			require.Equal(t, bare.settings, set.settings)
			// What runs is the same, too: a default that is written down is no demand.
			requireSameConfig(t, bare, set)
		case "directory":
			set, err := loadDirectory(file)
			require.NoError(t, err)
			require.Len(t, set.file.lines, len(set.file.settings), "every setting is there")
			bare, err := loadDirectory(writeConfig(t, goodDirectory))
			require.NoError(t, err)
			require.Equal(t, bare.settings, set.settings)
		case "proxy":
			set, err := loadProxy(file)
			require.NoError(t, err)
			require.Len(t, set.file.lines, len(set.file.settings), "every setting is there")
			bare, err := loadProxy(writeConfig(t, goodProxy))
			require.NoError(t, err)
			require.Equal(t, bare.settings, set.settings)
		}
	}
}

func requireSameConfig(t *testing.T, a, b *loadedNode) {
	t.Helper()
	x, y := a.config(anyNetwork), b.config(anyNetwork)
	x.Identity, y.Identity = nil, nil
	require.Equal(t, x, y)
}

// TestSettingsReachTheNode: each setting of the file changes what runs.
func TestSettingsReachTheNode(t *testing.T) {
	bare, err := loadNode(writeConfig(t, goodNode))
	require.NoError(t, err)
	before := bare.config(anyNetwork)
	before.Identity = nil
	own := map[string]bool{"identity": true, "listen": true, "drain": true, "operator.listen": true, "log.level": true, "log.format": true, "keys.folder": true}
	changed := map[string]string{
		"address": `"other.example.org:7000"`, "refresh": `"3s"`, "lifetime": `"3h"`, "weight": "16", "clients": "false", "directory.urls": `["http://127.0.0.1:1"]`,
		"directory.key": `"` + strings.Repeat("2e", 32) + `"`, "directory.policy_key": `"` + testPolicyKey + `"`, "mix.strategy": `"timed"`, "mix.size": "3", "mix.interval": `"3s"`, "mix.pool_min": "3",
		"mix.pool_fraction": "0.5", "mix.max_delay": `"3s"`, "cover.loops": "0.5", "cover.drops": "0.5", "keys.keep": "true",
		"keys.max_tags": "300", "limits.links": "3", "limits.links_per_address": "3", "services.echo": "false",
	}
	for i := range bare.file.settings {
		key := bare.file.settings[i].key
		if section := bare.file.settings[i].section(); own[key] || section == "exit" || section == "attestation" {
			continue
		}
		require.Contains(t, changed, key)
		t.Run(key, func(t *testing.T) {
			text := goodNode
			if strings.Contains(text, "\n"+bare.file.settings[i].name()+" =") {
				text = regexp.MustCompile(`(?m)^`+bare.file.settings[i].name()+` = .*$`).ReplaceAllString(text, "")
			}
			if bare.file.settings[i].section() == "" || bare.file.settings[i].section() == "directory" {
				text = strings.Replace(text, "[directory]", "", 1)
				text = key + " = " + changed[key] + "\n" + strings.NewReplacer("urls", "directory.urls", "key =", "directory.key =").Replace(text)
			} else {
				text += fmt.Sprintf("[%s]\n%s = %s\n", bare.file.settings[i].section(), bare.file.settings[i].name(), changed[key])
			}
			if strings.HasPrefix(key, "mix.pool") || key == "mix.max_delay" {
				text += "strategy = \"pool\"\n"
			}
			set, err := loadNode(writeConfig(t, text))
			require.NoError(t, err)
			after := set.config(anyNetwork)
			after.Identity = nil
			if strings.HasPrefix(key, "mix.pool") || key == "mix.max_delay" {
				after.Mix.Strategy = before.Mix.Strategy
			}
			require.False(t, reflect.DeepEqual(before, after), "%s changes nothing", key)
		})
	}
}

// TestSettingsReachTheExit: each setting of the file changes what runs, and the welcome page is there whatever is set.
func TestSettingsReachTheExit(t *testing.T) {
	made := func(text string) exit.Config {
		loaded, err := loadNode(writeConfig(t, goodNode+text))
		require.NoError(t, err)
		cfg := loaded.settings.exit.config(anyNetwork.Params, new(welcome.Page))
		require.Contains(t, cfg.Sites, welcome.Host)
		cfg.Sites = nil // functions are never equal
		return cfg
	}
	before := made("")
	require.Equal(t, exit.Policy{}, before.Policy, "public addresses alone")
	for _, s := range newNodeSettings().exit.list() {
		changed, known := map[string]string{
			"exit.allow": `["192.168.7.0/24"]`, "exit.deny": `["192.168.7.1"]`, "exit.ports": `["80", "8000-8999"]`, "exit.resolver": `"192.0.2.53:53"`,
			"exit.sessions": "3", "exit.streams": "3", "exit.streams_per_session": "3", "exit.memory": "3", "exit.dial_timeout": `"3s"`, "exit.idle_timeout": `"3s"`,
		}[s.key]
		if s.key == "exit.enabled" {
			continue
		}
		require.True(t, known, s.key)
		require.NotEqual(t, before, made("[exit]\n"+s.name()+" = "+changed+"\n"), "%s changes nothing", s.key)
	}
	policy := made("[exit]\nallow = [\"192.168.7.0/24\", \"::1\"]\ndeny = [\"192.168.7.1\"]\nports = [\"80\", \"8000-8999\"]\n").Policy
	for address, allowed := range map[string]bool{
		"192.168.7.2:80": true, "192.168.7.2:8500": true, "[::1]:80": true, "192.168.7.1:80": false, "192.168.8.2:80": false,
		"192.168.7.2:443": false, "1.1.1.1:80": true, "[::2]:80": false,
	} {
		require.Equal(t, allowed, policy.Allows(netip.MustParseAddrPort(address)), address)
	}
}

func TestErrorsOfTheNetworkNameTheSetting(t *testing.T) {
	file := writeConfig(t, goodNode+"[cover]\nloops = 1\n")
	loaded, err := loadNode(file)
	require.NoError(t, err)
	short := anyNetwork
	short.MaxHops = 1
	requireErrors(t, file, loaded.suits(short), []wrong{{":8: cover.loops: ", "at most 1", "0 for none"}})

	file = writeConfig(t, goodNode+"[mix]\nstrategy = \"poisson\"\n")
	loaded, err = loadNode(file)
	require.NoError(t, err)
	still := anyNetwork
	still.MeanDelay = 0
	requireErrors(t, file, loaded.suits(still), []wrong{{":8: mix.strategy: ", "no delay", "mean_delay"}})

	loaded, err = loadNode(file)
	require.NoError(t, err)
	long := anyNetwork
	long.Epoch = directory.MaxEpoch
	require.NoError(t, loaded.suits(long))
}

// TestValidationThatBlamesNoSetting ends, with what it said.
func TestValidationThatBlamesNoSetting(t *testing.T) {
	c := readConfiguration(writeConfig(t, goodNode), newNodeSettings().list())
	c.validate(func() error { return errors.New("the moon is in the way") })
	require.ErrorContains(t, c.err(), "the moon is in the way")
}
