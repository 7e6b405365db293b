package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/client"
)

const goodProxy = `[directory]
urls = ["http://127.0.0.1:8080"]
key = "1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f"
`

func TestEveryErrorOfAProxysConfigurationHasALineAndARemedy(t *testing.T) {
	for _, test := range []struct {
		name, above, below string // goodProxy
		want               []wrong
	}{
		{"listen without a port", "listen = \"1080\"\n", "", []wrong{{":1: listen: ", "not host:port", "127.0.0.1:1080"}}},
		{"listen at a port that cannot be", "listen = \"127.0.0.1:99999\"\n", "", []wrong{{":1: listen: ", "no port", "127.0.0.1:1080"}}},
		{"listen for everyone", "listen = \":1080\"\n", "", []wrong{{":1: listen: ", "other machines can reach", "shared = true"}}},
		{"listen for everyone who knows an address", "listen = \"192.168.7.1:1080\"\nshared = false\n", "", []wrong{{":1: listen: ", "other machines can reach", "shared = true"}}},
		{"listen by name", "listen = \"proxy.example.org:1080\"\n", "", []wrong{{":1: listen: ", "other machines can reach", "shared = true"}}},
		{"shared by word", "listen = \":1080\"\nshared = \"yes\"\n", "", []wrong{{":2: shared: ", "true or false", "true or false"}}},
		{"two hops", "hops = 2\n", "", []wrong{{":1: hops: ", "at least 3", "from 3"}}},
		{"no hops", "hops = 0\n", "", []wrong{{":1: hops: ", "is 0", "from 3"}}},
		{"no time", "timeout = \"0s\"\n", "", []wrong{{":1: timeout: ", "is 0", "duration"}}},
		{"negative time", "timeout = \"-1s\"\n", "", []wrong{{":1: timeout: ", "negative", "duration"}}},
		{"no connections", "connections = 0\n", "", []wrong{{":1: connections: ", "is 0", "number of connections"}}},
		{"negative connections", "connections = -1\n", "", []wrong{{":1: connections: ", "negative", "number of connections"}}},
		{"cover", "", "[cover]\nloops = -1\ndrops = 1001\n", []wrong{{":5: cover.loops: ", "-1", "packets a second"}, {":6: cover.drops: ", "1001", "packets a second"}}},
		{"pace", "", "[pace]\nrate = 0.5\ndrops = 2\n", []wrong{{":5: pace.rate: ", "0.5, must be 0, or 1 to 1000", "packets a second"}, {":6: pace.drops: ", "2", "0 to 1"}}},
		{"pace beside cover", "", "[cover]\nloops = 1\n[pace]\nrate = 10\n", []wrong{{":7: pace.rate: ", "beside [cover]", "remove one"}}},
		{"parts of no pace", "", "[pace]\ndrops = 0.5\n", []wrong{{":5: pace.drops: ", "without pace.rate", "0 to 1"}}},
		{"gaps of no pace", "", "[pace]\nconstant = true\n", []wrong{{":5: pace.constant: ", "without pace.rate", "true or false"}}},
		{"an identity", "identity = \"node.key\"\n", "", []wrong{{":1: identity: ", "no such setting", "remove it"}}},
		{"log level", "", "[log]\nlevel = \"loud\"\n", []wrong{{":5: log.level: ", "loud", "debug, info, warn, error"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := writeConfig(t, test.above+goodProxy+test.below)
			_, err := loadProxy(file)
			requireErrors(t, file, err, test.want)
		})
	}
	for text, want := range map[string][]wrong{
		"": {{": directory.urls: ", "is missing", "directory.example.org"}, {": directory.key: ", "is missing", "mixnet init directory"}},
		strings.NewReplacer("http:", "ftp:", "1f1f", "1f").Replace(goodProxy): {
			{":2: directory.urls: ", "http://host:port", "directory.example.org"}, {":3: directory.key: ", "64 hexadecimal digits", "mixnet init directory"},
		},
	} {
		file := writeConfig(t, text)
		_, err := loadProxy(file)
		requireErrors(t, file, err, want)
	}
}

// TestProxyIsForThisMachineAlone unless its operator says in so many words that it is for others.
func TestProxyIsForThisMachineAlone(t *testing.T) {
	for _, text := range []string{
		"", "listen = \"127.0.0.1:0\"\n", "listen = \"[::1]:1080\"\n", "listen = \"localhost:1080\"\n", "listen = \"127.7.7.7:1080\"\n",
		"listen = \":1080\"\nshared = true\n", "listen = \"192.168.7.1:1080\"\nshared = true\n",
	} {
		_, err := loadProxy(writeConfig(t, text+goodProxy))
		require.NoError(t, err, text)
	}
}

// TestSettingsReachTheProxy: each setting of the file changes what runs.
func TestSettingsReachTheProxy(t *testing.T) {
	made := func(text string) (client.Config, int, time.Duration) {
		loaded, err := loadProxy(writeConfig(t, text))
		require.NoError(t, err)
		e := newEntrance(loaded.settings, nil)
		return loaded.config(), e.server.MaxConns, e.limit
	}
	cfg, connections, limit := made(goodProxy)
	changed := map[string]string{
		"hops": "4", "timeout": `"3s"`, "connections": "3", "cover.loops": "0.5", "cover.drops": "0.5", "pace.rate": "3", "pace.constant": "true", "pace.drops": "0.5",
		"directory.urls": `["http://127.0.0.1:1"]`, "directory.key": `"` + strings.Repeat("2e", 32) + `"`,
		"directory.policy_key": `"` + testPolicyKey + `"`,
	}
	for _, s := range newProxySettings().list() {
		if s.key == "listen" || s.key == "shared" || s.section() == "log" {
			continue
		}
		require.Contains(t, changed, s.key)
		text := goodProxy + "[" + s.section() + "]\n" + s.name() + " = " + changed[s.key] + "\n"
		switch s.section() {
		case "":
			text = s.name() + " = " + changed[s.key] + "\n" + goodProxy
		case "directory":
			line := s.name() + " = " + changed[s.key]
			if text = regexp.MustCompile(`(?m)^`+s.name()+` = .*$`).ReplaceAllLiteralString(goodProxy, line); s.name() == "policy_key" {
				text += line + "\n"
			}
		case "pace":
			if s.name() != "rate" {
				text += "rate = 3\n"
			}
		}
		now, nowConnections, nowLimit := made(text)
		if s.section() == "pace" && s.name() != "rate" {
			now.Pace.Rate = cfg.Pace.Rate
		}
		require.False(t, reflect.DeepEqual(cfg, now) && connections == nowConnections && limit == nowLimit, "%s changes nothing", s.key)
	}
}

// TestInitProxy makes a configuration that is good as it is when it was told all there is to tell, and overwrites none.
func TestInitProxy(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made")
	key := strings.Repeat("2e", 32)
	printed, err := run(t, "", "init", "proxy", "--dir", dir, "--directory", "http://a:1", "--directory", "http://b:1", "--key", key, "--listen", "127.0.0.1:1081")
	require.NoError(t, err)
	file := filepath.Join(dir, "proxy.toml")
	require.Contains(t, printed, "mixnet proxy --config "+file+" --check\n")
	require.NotContains(t, printed, "write ")
	loaded, err := loadProxy(file)
	require.NoError(t, err)
	require.Equal(t, []string{"http://a:1", "http://b:1"}, loaded.settings.directory.urls)
	require.Equal(t, key, loaded.settings.directory.key)
	require.Equal(t, "127.0.0.1:1081", loaded.settings.listen)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "a proxy has no key")

	_, err = run(t, "", "init", "proxy", "--dir", dir)
	require.ErrorContains(t, err, "is there already")
	again, err := loadProxy(file)
	require.NoError(t, err)
	require.Equal(t, loaded.settings, again.settings)

	printed, err = run(t, "", "init", "proxy", "--dir", filepath.Join(dir, "bare"))
	require.NoError(t, err)
	require.Contains(t, printed, "write directory.urls and directory.key into ")
}
