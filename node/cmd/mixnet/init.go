package main

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/internal/durable"
)

// The folders that init makes, and the commands look into, unless others are named.
const (
	nodeFolder      = "mixnet-node"
	directoryFolder = "mixnet-directory"
	proxyFolder     = "mixnet-proxy"
)

func initCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make the configuration of a node, a directory or a proxy",
		RunE:  listCommands,
		Args:  cobra.ArbitraryArgs,
	}
	cmd.AddCommand(initNodeCommand(), initDirectoryCommand(), initProxyCommand())
	return cmd
}

func initNodeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "node",
		Short: "Make the configuration and the key of a mix",
		Long: `Make a folder with node.toml, which has every setting with its default and a comment, and node.key, a new identity.
Nothing that is there already is changed.`,
		Example: "  mixnet init node --directory http://directory.example.org:8080 --key 1f…9c --address mix.example.org:7000",
		Args:    noArguments,
	}
	n := newNodeSettings()
	dir := cmd.Flags().String("dir", nodeFolder, "folder to make them in")
	n.directory.addFlags(cmd)
	cmd.Flags().StringVar(&n.address, "address", "", "host:port that others reach this mix by")
	cmd.Flags().StringVar(&n.listen, "listen", "", "host:port to listen at (default the port of --address, on every address of this machine unless that is a loopback one)")
	cmd.Flags().StringVar(&n.operator, "operator", n.operator, "host:port of the operator's page, on loopback; \"\" for none")
	cmd.Flags().StringVar(&n.attestation.attestor, "attestor", "", "what vouches for the mix: a TPM, like /dev/tpmrm0, unix:PATH or tcp:HOST:PORT, or soft, for trying out (default none)")
	cmd.Flags().BoolVar(&n.exit.enabled, "exit", false, "make it an exit, which connects to hosts that run nothing of this network, for whoever asks")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		missing, err := n.directory.checkFlags()
		if err != nil {
			return err
		}
		if n.address == "" {
			missing = append(missing, "address")
		}
		if err := n.checkAddresses(); err != nil {
			return err
		}
		if err := checkAttestor(n.attestation.attestor); err != nil {
			return fmt.Errorf("--attestor %w: %s", err, attestorAdvice)
		}
		if _, attests := n.attestation.kind(); attests && n.directory.policyKey == "" {
			missing = append(missing, "directory.policy_key")
		}
		made, err := makeFolder(*dir, "node.toml", n.identity, template(nodeHeader, n.list(), newNodeSettings().list()))
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		fmt.Fprintf(out, "Made %s and the key %s of node %s.\n", made.config, made.key, directory.NodeIDOf(made.public))
		if _, attests := n.attestation.kind(); attests {
			printNext(out, "node", made, missing, enrolSteps)
		} else {
			printNext(out, "node", made, missing)
		}
		return nil
	}
	return cmd
}

// addFlags adds the flags by which init is told of a network's directory.
func (d *directorySettings) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&d.urls, "directory", nil, "URL of the network's directory; once for each of its servers")
	cmd.Flags().StringVar(&d.key, "key", "", "public key of the directory, hexadecimal")
	initPolicyFlag(cmd, &d.policyKey)
}

// initPolicyFlag adds the flag by which init is told of a network's policy.
func initPolicyFlag(cmd *cobra.Command, key *string) {
	cmd.Flags().StringVar(key, "policy-key", "", "public key of the network's policy, hexadecimal, where there is one")
}

// checkPolicyKeyFlag checks what that flag was given.
func checkPolicyKeyFlag(key string) error {
	if err := checkPolicyKey(key); err != nil {
		return fmt.Errorf("--policy-key %w: copy it from where 'mixnet policy init' printed it", err)
	}
	return nil
}

// checkFlags returns which of these settings init was not told.
func (d *directorySettings) checkFlags() (missing []string, err error) {
	for _, url := range d.urls {
		if err := checkURL(url); err != nil {
			return nil, fmt.Errorf("--directory %w", err)
		}
	}
	if len(d.urls) == 0 {
		missing = append(missing, "directory.urls")
	}
	if d.key == "" {
		missing = append(missing, "directory.key")
	} else if _, err := parsePublicKey(d.key); err != nil {
		return nil, fmt.Errorf("--key %w: copy it from where 'mixnet init directory' printed it", err)
	}
	return missing, checkPolicyKeyFlag(d.policyKey)
}

// enrolSteps are between making an attested node's configuration, the %s, and running it.
const enrolSteps = `  mixnet node enrol --config %[1]s
and when whoever has the policy key has granted the request:
  mixnet node enrol --config %[1]s --grant grant.pem
`

// printNext says how to go on from a configuration in which settings may be missing, and with which steps before it can
// be run: formats for its name.
func printNext(out io.Writer, role string, made *madeFolder, missing []string, steps ...string) {
	fmt.Fprint(out, "\nNext:\n")
	if len(missing) > 0 {
		fmt.Fprintf(out, "  write %s into %s\n", strings.Join(missing, " and "), made.config)
	}
	for _, step := range steps {
		fmt.Fprintf(out, step, made.config)
	}
	fmt.Fprintf(out, "  mixnet %s --config %s --check\n  mixnet %s --config %s\n", role, made.config, role, made.config)
}

// checkAddresses checks the addresses that a new mix is given, as a run of it would, and puts in a listen that is
// missing.
func (n *nodeSettings) checkAddresses() error {
	if err := (&loadedNode{settings: n}).try(anyNetwork); err != nil { // all else is a default, or checked
		return fmt.Errorf("--address: %s", plainOf(err))
	}
	if n.listen == "" {
		n.listen = newNodeSettings().listen
		if host, port, err := net.SplitHostPort(n.address); err == nil {
			n.listen = ":" + port
			if ip, err := netip.ParseAddr(host); err == nil && ip.IsLoopback() {
				n.listen = n.address // nobody else can dial it
			}
		}
	}
	if err := checkListen(n.listen); err != nil {
		return fmt.Errorf("--listen %w", err)
	}
	if err := checkOperator(n.operator); err != nil {
		return fmt.Errorf("--operator %w", err)
	}
	return nil
}

func initProxyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "proxy",
		Short: "Make the configuration of a proxy",
		Long: `Make a folder with proxy.toml, which has every setting with its default and a comment. Nothing that is there already is
changed.`,
		Example: "  mixnet init proxy --directory http://directory.example.org:8080 --key 1f…9c",
		Args:    noArguments,
	}
	p := newProxySettings()
	dir := cmd.Flags().String("dir", proxyFolder, "folder to make it in")
	p.directory.addFlags(cmd)
	cmd.Flags().StringVar(&p.listen, "listen", p.listen, "host:port where programs connect, on loopback")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		missing, err := p.directory.checkFlags()
		if err != nil {
			return err
		}
		if err := checkProxyListen(p.listen, false); err != nil {
			return fmt.Errorf("--listen %w: give a loopback address; for others, write listen and shared = true into the file that is made", err)
		}
		made, err := makeFolder(*dir, "proxy.toml", "", template(proxyHeader, p.list(), newProxySettings().list()))
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		fmt.Fprintf(out, "Made %s.\n", made.config)
		printNext(out, "proxy", made, missing)
		return nil
	}
	return cmd
}

func initDirectoryCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "directory",
		Short: "Make the configuration and the key of a directory",
		Long: `Make a folder with directory.toml, which has every setting with its default and a comment, and directory.key, a new
key, and print what nodes and clients need. Nothing that is there already is changed.`,
		Example: "  mixnet init directory --url http://directory.example.org:8080\n  mixnet init directory --policy-key 3a…b7 --policy mixnet-policy/policy.signed",
		Args:    noArguments,
	}
	s := newServerSettings()
	dir := cmd.Flags().String("dir", directoryFolder, "folder to make them in")
	url := cmd.Flags().String("url", "", "URL that nodes and clients are to reach the directory by, to be printed (default the host and port of --listen)")
	cmd.Flags().StringVar(&s.listen, "listen", s.listen, "host:port to listen at")
	initPolicyFlag(cmd, &s.policyKey)
	policy := cmd.Flags().String("policy", "", "file with that policy, signed (default policy.signed in the folder)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkListen(s.listen); err != nil {
			return fmt.Errorf("--listen %w", err)
		}
		if *url == "" {
			*url = urlOf(s.listen)
		} else if err := checkURL(*url); err != nil {
			return fmt.Errorf("--url %w", err)
		}
		if err := s.usePolicy(*policy); err != nil {
			return err
		}
		made, err := makeFolder(*dir, "directory.toml", s.identity, template(directoryHeader, s.list(), newServerSettings().list()))
		if err != nil {
			return err
		}
		s.printNetwork(cmd.OutOrStdout(), made, *url)
		return nil
	}
	return cmd
}

// attestedEpoch is the length of epochs that init chooses for a network with a policy. There is room for some 300 keys in
// what a TPM has measured since its machine was started (tao.ErrLogFull), which is ten weeks.
const attestedEpoch = 6 * time.Hour

// usePolicy takes in what init was told of a policy: its key, which is set already, and its file or "".
func (s *serverSettings) usePolicy(file string) error {
	if err := checkPolicyKeyFlag(s.policyKey); err != nil {
		return err
	}
	if s.policyKey != "" {
		s.network.Epoch = attestedEpoch
	}
	if file == "" {
		return nil
	}
	if s.policyKey == "" {
		return errors.New("--policy needs the key that signed it: give it with --policy-key, as 'mixnet policy init' printed it")
	}
	path, err := filepath.Abs(file)
	if err != nil {
		return fmt.Errorf("--policy: %w", err)
	}
	s.policyFile = path
	return nil
}

// urlOf returns the URL of what listens at an address, with HOST in place of one that the address does not name.
func urlOf(listen string) string {
	host, port, _ := net.SplitHostPort(listen)
	if host == "" || net.ParseIP(host).IsUnspecified() {
		host = "HOST"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// printNetwork says what a new directory's nodes and clients need, and what to do next.
func (s *serverSettings) printNetwork(out io.Writer, made *madeFolder, url string) {
	key, more, flags := hex.EncodeToString(made.public), "", ""
	if s.policyKey != "" {
		more, flags = "\n  policy_key = "+quoted(s.policyKey), " --policy-key "+s.policyKey+" --attestor /dev/tpmrm0"
	}
	fmt.Fprintf(out, `Made %s and the key %s.

Nodes and clients of this network believe this key and no other:

  [directory]
  urls = [%s]
  key = %s%s

Next:
`, made.config, made.key, quoted(url), quoted(key), more)
	if s.policyKey != "" && !filepath.IsAbs(s.policyFile) {
		fmt.Fprintf(out, "  put the policy that 'mixnet policy sign' makes at %s\n", filepath.Join(filepath.Dir(made.config), s.policyFile))
	}
	fmt.Fprintf(out, `  mixnet directory --config %s --check
  mixnet directory --config %s
then on the machine of each node:
  mixnet init node --directory %s --key %s%s --address HOST:7000
`, made.config, made.config, url, key, flags)
}

// madeFolder is what init has made.
type madeFolder struct {
	config, key string // files
	public      ed25519.PublicKey
}

// makeFolder makes a folder with a configuration and a key, of which neither may be there; no key where its name is
// empty.
func makeFolder(dir, config, key string, content []byte) (*madeFolder, error) {
	made := &madeFolder{config: filepath.Join(dir, config)}
	files := []string{made.config}
	if key != "" {
		made.key = filepath.Join(dir, key)
		files = append(files, made.key)
	}
	for _, file := range files {
		if _, err := os.Lstat(file); err == nil {
			return nil, fmt.Errorf("%s is there already, and stays as it is: name another folder with --dir, or move the file away", file)
		}
	}
	err := os.MkdirAll(dir, 0o700)
	if err == nil && key != "" {
		made.public, err = createKey(made.key)
	}
	if err == nil {
		if err = durable.CreateFile(made.config, content, 0o600); err != nil && key != "" {
			err = errors.Join(err, os.Remove(made.key))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("nothing was made in %s, name another folder with --dir: %w", dir, err)
	}
	return made, nil
}
