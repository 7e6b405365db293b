package main

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"sphinxmix.example/client"
	"sphinxmix.example/node/directory"
)

// network is the file by which commands find a running network: where its directory is, and the key to believe it by.
type network struct {
	Directory string `json:"directory"` // URL
	Key       string `json:"key"`       // Ed25519, hexadecimal
}

// networkFlag adds the flag that names the file, whose default is one place for each user.
func networkFlag(cmd *cobra.Command) *string {
	standard := ""
	if dir, err := os.UserCacheDir(); err == nil {
		standard = filepath.Join(dir, "mixnet", "network.json")
	}
	return cmd.Flags().String("network", standard, "file that says where the network is")
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
	key, err := hex.DecodeString(n.Key)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%s is not a network file: its key is not 32 bytes in hexadecimal", path)
	}
	return &directory.Client{URL: n.Directory, Key: key}, nil
}

// write creates the file, for this user alone. It refuses to take the place of a network that is running.
func (n *network) write(ctx context.Context, path string) error {
	if path == "" {
		return errors.New("this user has no cache folder: name a file with --network")
	}
	if running, err := readNetwork(path); err == nil {
		if _, err := running.Fetch(ctx); err == nil {
			return fmt.Errorf("a network is running already, as %s says: stop it, or name another file with --network", path)
		}
	}
	raw, err := json.MarshalIndent(n, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := createFile(path)
	if err != nil {
		return err
	}
	defer file.discard()
	return file.keep(append(raw, '\n'))
}

// stands reports whether path still holds this network: another may have been started at the same moment.
func (n *network) stands(path string) bool {
	there, err := readNetwork(path)
	return err == nil && there.URL == n.Directory
}

// remove removes the file, unless it is another network's by now.
func (n *network) remove(path string) {
	if n.stands(path) {
		os.Remove(path)
	}
}

// dialNetwork connects a client to the network that a file describes.
func dialNetwork(ctx context.Context, path string, hops int) (*client.Client, error) {
	known, err := readNetwork(path)
	if err != nil {
		return nil, err
	}
	if hops < client.MinHops {
		return nil, fmt.Errorf("--hops %d: a path has at least %d mixes", hops, client.MinHops)
	}
	c, err := client.New(ctx, client.Config{Directory: known, Hops: hops})
	switch {
	case errors.Is(err, directory.ErrNoAnswer):
		return nil, fmt.Errorf("the network in %s is not running any more: start one with 'mixnet up'", path)
	case err != nil:
		return nil, fmt.Errorf("%w (the network is the one in %s)", err, path)
	}
	return c, nil
}

// explain says of a request's error what it means to who runs a command.
func explain(err error) error {
	if errors.Is(err, client.ErrGateway) {
		return errors.New("the network went away: is 'mixnet up' still running? Then send again")
	}
	return err
}

func hopsFlag(cmd *cobra.Command) *int {
	return cmd.Flags().Int("hops", client.MinHops, "mixes on each path")
}
