package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"sphinxmix.example/client"
	"sphinxmix.example/node/directory"
)

// network is the file by which commands find a running network: where its directory is, and the key to believe it by.
type network struct {
	Directory   string   `json:"directory,omitempty"`   // URL, where there is one
	Directories []string `json:"directories,omitempty"` // URLs, where there are several
	Key         string   `json:"key"`                   // Ed25519, hexadecimal
	PolicyKey   string   `json:"policy_key,omitempty"`  // Ed25519, hexadecimal, where there is a policy
}

// urls returns where the directory is.
func (n *network) urls() []string {
	if n.Directory == "" {
		return n.Directories
	}
	return append([]string{n.Directory}, n.Directories...)
}

// networkFlag adds the flag that names the file, whose default is one place for each user.
func networkFlag(cmd *cobra.Command) *string {
	standard := ""
	if dir, err := os.UserCacheDir(); err == nil {
		standard = filepath.Join(dir, "mixnet", "network.json")
	}
	return cmd.Flags().String("network", standard, "file that says where the network is")
}

// access is how a client's command finds its network, and its way through it.
type access struct {
	file      *string // where no directory is given
	urls      []string
	key       string
	policyKey string // empty where nobody is judged
	hops      int
	via       []string
}

// networkFlags adds the flags by which a client's command finds its network.
func networkFlags(cmd *cobra.Command) *access {
	a := new(access)
	cmd.Flags().StringSliceVar(&a.urls, "directory", nil, "URL of the network's directory, in place of --network; once for each of its servers")
	cmd.Flags().StringVar(&a.key, "key", "", "public key of that directory, hexadecimal")
	cmd.Flags().StringVar(&a.policyKey, "policy-key", "", "public key of that network's policy, hexadecimal: no mix is used that does not prove what it runs")
	cmd.Flags().IntVar(&a.hops, "hops", client.MinHops, "mixes on each path")
	a.file = networkFlag(cmd)
	cmd.MarkFlagsMutuallyExclusive("network", "directory")
	return a
}

// accessFlags adds those, and the one that fixes a path.
func accessFlags(cmd *cobra.Command) *access {
	a := networkFlags(cmd)
	cmd.Flags().StringSliceVar(&a.via, "via", nil, "ids of the mixes on the way there, from the gateway to the last hop, in place of random ones")
	return a
}

// directory returns whom to ask about the network, and the words for it in an error.
func (a *access) directory() (*directory.Client, string, error) {
	if len(a.urls) == 0 {
		if a.key != "" {
			return nil, "", errors.New("--key is the key of a directory: give its URL with --directory")
		}
		if a.policyKey != "" {
			return nil, "", errors.New("--policy-key is for the network of a directory: give its URL with --directory, and its key with --key")
		}
		known, err := readNetwork(*a.file)
		return known, "in " + *a.file, err
	}
	for _, url := range a.urls {
		if err := checkURL(url); err != nil {
			return nil, "", fmt.Errorf("--directory %w", err)
		}
	}
	if a.key == "" {
		return nil, "", errors.New("--directory needs the key of that directory: give it with --key, as 'mixnet init directory' printed it")
	}
	key, err := parsePublicKey(a.key)
	if err != nil {
		return nil, "", fmt.Errorf("--key %w", err)
	}
	if err := checkPolicyKeyFlag(a.policyKey); err != nil {
		return nil, "", err
	}
	return &directory.Client{URLs: a.urls, Key: key, Policy: parsePolicyKey(a.policyKey)}, "of " + a.urls[0], nil
}

// path returns the mixes that --via names.
func (a *access) path() ([]directory.NodeID, error) {
	var path []directory.NodeID
	for _, digits := range a.via {
		var id directory.NodeID
		if id.UnmarshalText([]byte(digits)) != nil {
			return nil, fmt.Errorf("--via %s: is not the id of a mix, %d hexadecimal digits as the directory lists it", digits, 2*len(id))
		}
		path = append(path, id)
	}
	return path, nil
}

func readNetwork(path string) (*directory.Client, error) {
	if path == "" {
		return nil, errors.New("no --network file given, and this user has no cache folder for the standard one")
	}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no network is running here (%s does not exist): start one with 'mixnet up', or name its file with --network", path)
	}
	if err != nil {
		return nil, err
	}
	var n network
	if err := json.Unmarshal(raw, &n); err != nil {
		return nil, fmt.Errorf("%s is not a network file: %w", path, err)
	}
	key, err := parsePublicKey(n.Key)
	if err != nil {
		return nil, fmt.Errorf("%s is not a network file: its key %w", path, err)
	}
	if err := checkPolicyKey(n.PolicyKey); err != nil {
		return nil, fmt.Errorf("%s is not a network file: its policy_key %w", path, err)
	}
	if len(n.urls()) == 0 {
		return nil, fmt.Errorf("%s is not a network file: it names no directory", path)
	}
	return &directory.Client{URLs: n.urls(), Key: key, Policy: parsePolicyKey(n.PolicyKey)}, nil
}

// write creates the file, for this user alone. It refuses to take the place of a network that is running.
func (n *network) write(ctx context.Context, path string) error {
	if path == "" {
		return errors.New("this user has no cache folder: name a file with --network")
	}
	if running, err := readNetwork(path); err == nil {
		running.Policy = nil // whatever is proven in it, it runs
		if _, err := running.Fetch(ctx); err == nil {
			return fmt.Errorf("a network is running already, as %s says: stop it, or name another file with --network", path)
		}
	}
	raw, err := json.MarshalIndent(n, "", "  ")
	if err != nil {
		return err
	}
	if err := keepFile(path, append(raw, '\n')); err != nil {
		return &remedied{wrongs(err), "name another file with --network"}
	}
	return nil
}

// keepFile writes a file, for this user alone, in a folder that it makes where there is none.
func keepFile(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := createFile(path)
	if err != nil {
		return err
	}
	defer file.discard()
	return file.keep(content)
}

// stands reports whether path still holds this network: another may have been started at the same moment.
func (n *network) stands(path string) bool {
	there, err := readNetwork(path)
	return err == nil && slices.Equal(there.URLs, n.urls())
}

// remove removes the file, unless it is another network's by now.
func (n *network) remove(path string) {
	if n.stands(path) {
		os.Remove(path)
	}
}

// dial connects a client to the network.
func (a *access) dial(ctx context.Context) (*client.Client, error) {
	known, where, err := a.directory()
	if err != nil {
		return nil, err
	}
	via, err := a.path()
	if err != nil {
		return nil, err
	}
	if a.hops < client.MinHops {
		return nil, fmt.Errorf("--hops %d: a path has at least %d mixes", a.hops, client.MinHops)
	}
	c, err := client.New(ctx, client.Config{Directory: known, Hops: a.hops, Via: via})
	err = withRefusals(err, asking(ctx, known))
	var refused *refusedError
	switch {
	case errors.As(err, &refused):
		return nil, err
	case errors.Is(err, directory.ErrNoAnswer) && len(a.urls) == 0:
		return nil, fmt.Errorf("the network in %s is not running any more: start one with 'mixnet up'", *a.file)
	case errors.Is(err, client.ErrNetwork):
		more := "more mixes"
		if known.Policy != nil {
			more = "more mixes that its policy allows"
		}
		return nil, fmt.Errorf("%w: start %s, or wait some 20 seconds for those that have just started", err, more)
	case err != nil:
		return nil, fmt.Errorf("%w (the network is the one %s)", err, where)
	}
	return c, nil
}

// explain says of a request's error what it means to who runs a command.
func explain(err error) error {
	if errors.Is(err, client.ErrGateway) {
		return fmt.Errorf("the network went away: is it still running? Then send again (%w)", err)
	}
	return err
}
