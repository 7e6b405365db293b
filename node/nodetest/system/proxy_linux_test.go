package system_test

import (
	"encoding/hex"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/stretchr/testify/require"
)

// localExit adds to a node's settings that it is an exit which connects to 127.0.0.1 and nowhere else, and mixes quickly.
func localExit(s settings) settings {
	all := settings{
		"mix.size": "3", "mix.interval": `"20ms"`,
		"exit.enabled": "true",
		"exit.allow":   fmt.Sprintf("[%q]", onLoopback),
		"exit.deny": `["0.0.0.0/2", "64.0.0.0/3", "96.0.0.0/4", "112.0.0.0/5", "120.0.0.0/6", "124.0.0.0/7", "126.0.0.0/8", ` +
			`"128.0.0.0/1", "::/0"]`,
	}
	maps.Copy(all, s)
	return all
}

// proxied is a 'mixnet proxy' that is a process of its own.
type proxied struct {
	*process
	socks string // address
}

var proxyListens = regexp.MustCompile(`msg="the proxy runs" address=(\S+)`)

// startProxy starts a proxy for the network and waits until it is in there.
func (n *network) startProxy() *proxied {
	n.t.Helper()
	p := &proxied{process: newProcess(n.t, "proxy", n.folder)}
	config, _ := initialize(n.t, "proxy", filepath.Join(n.folder, "proxy"), nil,
		"--directory", n.url(), "--key", hex.EncodeToString(n.key), "--listen", "127.0.0.1:0")
	p.start(exec.Command(mixnet, "proxy", "--config", config))
	await(n.t, "the proxy is connected", func() bool {
		require.True(n.t, p.runs(), "the proxy ended")
		return strings.Contains(p.said(1<<16), "connected to the network")
	})
	listens := proxyListens.FindStringSubmatch(p.said(1 << 16))
	require.NotNil(n.t, listens, p.said(1<<16))
	p.socks = listens[1]
	return p
}
