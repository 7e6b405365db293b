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
	return os.WriteFile(path, append(raw, '\n'), 0o600)
}

// dialNetwork connects a client to the network that a file describes.
func dialNetwork(ctx context.Context, path string, hops int) (*client.Client, error) {
	known, err := readNetwork(path)
	if err != nil {
		return nil, err
	}
	c, err := client.New(ctx, client.Config{Directory: known, Hops: hops})
	if err != nil {
		return nil, fmt.Errorf("%w (the network is the one in %s)", err, path)
	}
	return c, nil
}

func hopsFlag(cmd *cobra.Command) *int {
	return cmd.Flags().Int("hops", client.MinHops, "mixes on each path")
}
