package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
	"sphinxmix.example/tao"
)

func allowConfigurationCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "configuration NODE.toml|SHA256",
		Short: "Allow nodes to be set up in a way",
		Long: `Allow nodes to be set up as a configuration file says, or as what has a SHA-256. What counts is printed: when packets leave,
whether keys are on disk, and the parameters of the network. For these, the directory is asked that the file names,
or, with --directory-toml, the directory's own file is read: then nothing is asked of any network.`,
		Example: "  mixnet policy allow configuration mixnet-node/node.toml\n  mixnet policy allow configuration node.toml --directory-toml directory.toml",
		Args:    oneArgument("the configuration file of a node, or a SHA-256"),
	}
	roles, name := rolesFlag(cmd), nameFlag(cmd)
	from := cmd.Flags().String("directory-toml", "", "the directory's configuration file, to take the network's parameters from")
	return allowCommand(cmd, func(a *authority, args []string, remove bool) (string, error) {
		entry := allowance{Name: *name}
		granted, err := checkRoles(*roles)
		if err != nil {
			return "", err
		}
		if err := checkName(*name); err != nil {
			return "", err
		}
		said := ""
		if entry.SHA256, err = parseDigest(args[0]); err != nil {
			m, err := measure(cmd.Context(), args[0], *from)
			if err != nil {
				return "", err
			}
			entry.SHA256, entry.Name = m.configuration.Digest(), fitting(cmp.Or(*name, m.configuration.String()))
			said = m.describe(args[0], a.draft)
		}
		entry.Roles = namesOf(granted)
		if a.draft.Configurations, err = putAllowance(a.draft.Configurations, entry, remove); err != nil {
			return "", err
		}
		if remove {
			return fmt.Sprintf("The configuration %v is allowed no more.", entry.SHA256), nil
		}
		return fmt.Sprintf("%sAllowed the configuration %s to be: %v. Its SHA-256 is %v.", said, orNameless(entry.Name), granted, entry.SHA256), nil
	})
}

// measured is what a policy sees of a node's configuration file.
type measured struct {
	configuration tao.Configuration
	network       directory.Network
	register      int // that the node measures into, where it has an attestor
	attested      bool
}

// measure returns what is measured of a node's configuration file. The node's keys are not needed, nor is its machine.
func measure(ctx context.Context, file, directoryFile string) (*measured, error) {
	n := newNodeSettings()
	c := readConfiguration(file, n.list())
	if err := c.err(); err != nil {
		return nil, err
	}
	network, err := parametersOf(ctx, c, n, directoryFile)
	if err != nil {
		return nil, err
	}
	l := &loadedNode{settings: n, file: c}
	if err := l.suits(network); err != nil {
		return nil, err
	}
	m := &measured{network: network, register: n.attestation.register, configuration: node.Configuration(l.config(network))}
	_, m.attested = n.attestation.kind()
	return m, nil
}

// parametersOf returns the parameters of the network that a node is configured for.
func parametersOf(ctx context.Context, c *configuration, n *nodeSettings, directoryFile string) (directory.Network, error) {
	if directoryFile != "" {
		s := newServerSettings()
		file := readConfiguration(directoryFile, s.list())
		err := file.err()
		if err == nil {
			if err = s.network.Validate(); err != nil {
				err = fmt.Errorf("%s: %s", directoryFile, plain(err))
			}
		}
		return s.network, err
	}
	n.directory.check(c)
	if err := c.err(); err != nil {
		return directory.Network{}, err
	}
	key, _ := parsePublicKey(n.directory.key)
	view, err := (&directory.Client{URLs: n.directory.urls, Key: key}).Fetch(ctx) // without a policy: there may be none yet
	if err != nil {
		return directory.Network{}, fmt.Errorf("the network's parameters are measured too, and are not known: %w; start the directory, or give its configuration file with --directory-toml", err)
	}
	return view.Network, nil
}

// describe says what is measured.
func (m *measured) describe(file string, d *draft) string {
	var text strings.Builder
	n := &m.network
	keys := "die with the process"
	if m.configuration.KeepsKeys {
		keys = "are on disk"
	}
	delay := ""
	if n.MeanDelay > 0 {
		delay = fmt.Sprintf(", a mean delay of %v", n.MeanDelay)
	}
	fmt.Fprintf(&text, "What is measured of %s:\n", file)
	fmt.Fprintf(&text, "  packets leave   %v\n", strings.TrimSuffix(m.configuration.String(), "; keys on disk"))
	fmt.Fprintf(&text, "  epoch keys      %s\n", keys)
	fmt.Fprintf(&text, "  network         up to %d hops, payloads of %d bytes, epochs of %s%s\n", n.MaxHops, n.PayloadSize, short(n.Epoch), delay)
	minimum := d.Minimum.tao()
	if less := minimum.Check(&m.configuration); less != "" {
		fmt.Fprintf(&text, "Warning: mixes with it are refused, as %s, by the draft's minimum: change [mix] there, or minimum in the draft.\n", less)
	}
	if m.attested && m.register != int(d.LogRegister) {
		fmt.Fprintf(&text, "The node measures into register %d, and the policy wants it in %d: change attestation.register there, or log_register in the draft.\n", m.register, d.LogRegister)
	}
	return text.String()
}
