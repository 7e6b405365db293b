package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"sphinxmix.example/client"
	"sphinxmix.example/node"
	"sphinxmix.example/node/cmd/mixnet/internal/welcome"
	"sphinxmix.example/node/directory"
)

// localOptions are the flags of 'mixnet up'.
type localOptions struct {
	nodes, port int
	network     string // file
	elsewhere   bool   // it is not where commands look unless they are told
	socks       int    // port
	socksFixed  bool   // no other will do
	allow       []netip.Prefix
	tpm         bool          // each mix has a software TPM
	policyLife  time.Duration // localPolicyLife if zero
}

func upCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run a whole network on this machine until interrupted",
		Long: `Run a directory, mixes and a proxy in this process, on loopback ports, send a message through them and back, and keep
the network running: for programs, by the proxy, and for 'mixnet send' and 'mixnet ping' in other terminals. Its keys live
in memory and end with it.

Half of the mixes are exits. They connect to public addresses alone, unless --allow names others.

The mixes are attested: everybody in the network, its proxy and the other commands too, refuses mixes that do not show the
program and the settings that the network's policy wants. What shows them is a key in memory, which proves nothing; with
--tpm it is a software TPM for each mix, by the program swtpm.`,
		Example: `  mixnet up
  mixnet up --allow 127.0.0.1      let programs reach servers on this machine, too
  mixnet up --tpm                  give each mix a software TPM of its own`,
		Args: noArguments,
	}
	var o localOptions
	cmd.Flags().IntVar(&o.nodes, "nodes", 6, "number of mixes, 4 to 50")
	cmd.Flags().IntVar(&o.port, "port", 0, "port of the directory; the mixes and the operator's page of mix 1 take the ones after it; 0 takes any free ones")
	cmd.Flags().IntVar(&o.socks, "socks", 1080, "port of the proxy; another free one where this is the default and taken")
	allow := cmd.Flags().StringSlice("allow", nil, "addresses that the exits connect to beside public ones, like 127.0.0.1 or 192.168.7.0/24; may be repeated")
	cmd.Flags().BoolVar(&o.tpm, "tpm", false, "attest each mix by a software TPM of its own, which needs swtpm")
	path := networkFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if o.nodes < client.MinHops+1 || o.nodes > 50 {
			return fmt.Errorf("--nodes %d: a network on one machine has %d to 50", o.nodes, client.MinHops+1)
		}
		if o.port < 0 || o.port+o.nodes+1 > 65535 {
			return fmt.Errorf("--port %d: %d ports from there do not exist", o.port, o.nodes+2)
		}
		if o.socks < 0 || o.socks > 65535 {
			return fmt.Errorf("--socks %d: there is no such port", o.socks)
		}
		if o.allow, err = parsePrefixes(*allow); err != nil {
			return fmt.Errorf("--allow %w: give addresses like 127.0.0.1 or 192.168.7.0/24", err)
		}
		o.network, o.elsewhere, o.socksFixed = *path, cmd.Flags().Changed("network"), cmd.Flags().Changed("socks")
		return up(cmd.Context(), cmd.OutOrStdout(), o)
	}
	return cmd
}

func up(ctx context.Context, out io.Writer, o localOptions) (err error) {
	socks, err := o.listenSOCKS()
	if err != nil {
		return err
	}
	defer socks.Close()
	local, err := listenLocal(&o)
	if err != nil {
		return err
	}
	file := network{
		Directory: local.directory.URLs[0],
		Key:       hex.EncodeToString(local.directory.Key),
		PolicyKey: hex.EncodeToString(local.directory.Policy),
	}
	if err := file.write(ctx, o.network); err != nil {
		local.close()
		return err
	}
	defer file.remove(o.network)

	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		defer cancel()
		ended <- local.run(ctx)
	}()
	defer func() {
		cancel()
		if failed := <-ended; err == nil || errors.Is(err, context.Canceled) {
			err = failed
		}
	}()

	err = local.ready(ctx, time.Minute)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(out, "Stopped.")
		return nil
	case err != nil:
		return err
	case !file.stands(o.network):
		return fmt.Errorf("another network was started at the same moment, as %s says: name another file with --network", o.network)
	}
	fmt.Fprintf(out, "%d mixes and a directory are running; mixes 1 to %d are exits.\n%s\n\n", o.nodes, exitsAmong(o.nodes), o.attested())
	if err := local.use(ctx, out, socks, &o); err != nil && ctx.Err() == nil {
		return err
	}
	fmt.Fprintln(out, "Stopped.")
	return nil
}

// attested says by what the mixes are.
func (o *localOptions) attested() string {
	if o.tpm {
		return "All mixes are attested, each by a software TPM of its own."
	}
	return "All mixes are attested, but soft: for trying out; proves nothing (--tpm: by a software TPM each)."
}

// listenSOCKS takes the port of the proxy.
func (o *localOptions) listenSOCKS() (net.Listener, error) {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", o.socks))
	if err != nil && !o.socksFixed {
		listener, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return nil, fmt.Errorf("port %d of this machine cannot be used (%w): choose another with --socks, or any free one with --socks 0", o.socks, err)
	}
	return listener, nil
}

// use is a client of the network, which shows one message going through and lets programs in, until ctx ends.
func (l *localNetwork) use(ctx context.Context, out io.Writer, socks net.Listener, o *localOptions) error {
	c, err := client.New(ctx, client.Config{Directory: l.directory, Routed: l.journeys.Routed})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := l.demonstrate(ctx, out, c); err != nil {
		return err
	}
	flow := new(flow)
	e := newEntrance(newProxySettings(), slog.New(slog.DiscardHandler))
	e.open(l.journeys.Dialer(flow.dialer(sayingRefusals(c.Dial, c.Refused))), c.Err)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() {
		defer cancel()
		served <- e.serve(ctx, socks)
	}()
	fmt.Fprint(out, o.nextSteps(socks.Addr(), l.operator.Addr(), l.directory.URLs[0]))
	l.watch(ctx, flow)
	cancel()
	return <-served
}

// nextSteps says what a newcomer can try once a network runs, by commands that work as they stand.
func (o *localOptions) nextSteps(socks, operator net.Addr, url string) string {
	program, network := startedAs(os.Args[0]), ""
	if o.elsewhere {
		network = " --network " + shellWord(o.network)
	}
	servers := ""
	if len(o.allow) == 0 {
		servers = "For servers on this machine, too, start the network with --allow 127.0.0.1.\n"
	}
	return fmt.Sprintf(`
Next, in another terminal, see the way of a request through the network and back:
  curl --socks5-hostname %[1]s http://%[2]s/
Any program can go that way, by the proxy at %[1]s: SOCKS5, or HTTP CONNECT.
%[3]sTo send messages, and to see how mix 1 is:
  %[4]s send%[5]s "your message"
  %[4]s ping%[5]s
  %[4]s status --operator %[6]s
The directory lists the mixes at %[7]s. Stop the network with Ctrl-C.
`, socks, welcome.Host, servers, program, network, operator, url)
}

// startedAs returns the shell's words that start this program once more, from its first argument.
func startedAs(name string) string {
	if strings.Contains(name, string(filepath.Separator)+"go-build") { // which 'go run' removes when it ends
		return "go run ./node/cmd/mixnet"
	}
	return shellWord(name)
}

// shellWord writes a text so that a shell takes it for one word.
func shellWord(text string) string {
	plain := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("/._-+:@%,=", r)
	}
	if text != "" && !strings.ContainsFunc(text, func(r rune) bool { return !plain(r) }) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// demonstrate sends one message around and says where it went.
func (l *localNetwork) demonstrate(ctx context.Context, out io.Writer, c *client.Client) error {
	const greeting = "hello, mixnet"
	start := time.Now()
	var there, back string
	reply, err := c.Request(ctx, client.Message{
		To:   "echo",
		Body: []byte(greeting),
		Routed: func(out, in []directory.NodeID) {
			there, back = l.names(out), l.names(in)
		},
	})
	if err != nil {
		return fmt.Errorf("the first message did not come back: %w", err)
	}
	if string(reply) != greeting {
		return fmt.Errorf("the first message came back as %q", reply)
	}
	fmt.Fprintf(out, "%q went  you → %s → echo\n%16s back  echo → %s → you   in %v\n", greeting, there, "and", back, time.Since(start).Round(time.Millisecond))
	return nil
}

// names calls mixes by their number here.
func (l *localNetwork) names(path []directory.NodeID) string {
	names := make([]string, len(path))
	for i, id := range path {
		names[i] = l.called(id).Name
	}
	return strings.Join(names, " → ")
}

// watch shows what flows, on a terminal, until ctx ends.
func (l *localNetwork) watch(ctx context.Context, flow *flow) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	line := newStatusLine(os.Stderr)
	defer line.clear()
	var before, now flowing
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		var counts node.Counts
		for _, n := range l.nodes {
			counts.Add(n.Counts())
		}
		before, now = now, flow.now(&counts)
		line.show(now.since(before))
	}
}
