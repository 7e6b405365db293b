package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"sphinxmix.example/node/internal/durable"
)

// keyBlock is the type of the PEM block in a key file (RFC 7468 §10).
const keyBlock = "PRIVATE KEY"

const maxKeyFile = 1 << 16 // bytes

// createKey makes a new Ed25519 key in a new file, for its owner alone, and returns its public half. The error wraps
// fs.ErrExist where there is such a file, which is never touched.
func createKey(file string) (ed25519.PublicKey, error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	return public, durable.CreateFile(file, pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der}), 0o600)
}

// readKey reads the key that createKey wrote. It says no byte of what is in the file.
func readKey(name string) (ed25519.PrivateKey, error) {
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &remedied{fmt.Sprintf("there is no file %s", name), "make one with 'mixnet init', or bring it back from the backup"}
	}
	if err != nil {
		return nil, &remedied{fmt.Sprintf("%s %v", name, reason(err)), "let the user that runs this read it"}
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &remedied{name + " is no file", "name the file that 'mixnet init' made"}
	}
	if mode := info.Mode().Perm(); openToOthers(mode) {
		return nil, &remedied{fmt.Sprintf("%s has the mode %#o, so that others can read the key", name, mode), "chmod 600 " + name}
	}
	text, err := io.ReadAll(io.LimitReader(file, maxKeyFile))
	if err != nil {
		return nil, fmt.Errorf("%s %w", name, reason(err))
	}
	defer clear(text)
	if block, rest := pem.Decode(text); block != nil && block.Type == keyBlock && len(rest) == 0 {
		defer clear(block.Bytes)
		if parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			if key, ok := parsed.(ed25519.PrivateKey); ok {
				return key, nil
			}
		}
	}
	return nil, &remedied{name + " is no Ed25519 private key in PEM (PKCS #8)", "bring it back from the backup, or move it away and make a new one with 'mixnet init'"}
}

// checkPrivateFolder says what keeps a folder from being one for secrets. One that is missing can be made.
func checkPrivateFolder(folder string) error {
	info, err := os.Stat(folder)
	if errors.Is(err, fs.ErrNotExist) {
		parent := filepath.Dir(folder)
		if parent == folder {
			return err
		}
		if _, err := os.Stat(parent); errors.Is(err, fs.ErrNotExist) {
			return checkPrivateFolder(parent) // which is made for this alone
		}
		return checkWritable(parent)
	}
	switch {
	case err != nil:
		return &remedied{fmt.Sprintf("%s %v", folder, reason(err)), "let the user that runs this use it"}
	case !info.IsDir():
		return &remedied{folder + " is no folder", "name another"}
	case openToOthers(info.Mode().Perm()):
		return &remedied{fmt.Sprintf("%s has the mode %#o, so that others may reach its keys", folder, info.Mode().Perm()), "chmod 700 " + folder}
	}
	return checkWritable(folder)
}

// checkWritable says what keeps this process from making files in a folder.
func checkWritable(folder string) error {
	if info, err := os.Stat(folder); err == nil && !info.IsDir() {
		return &remedied{folder + " is no folder", "name another"}
	}
	if err := accessible(folder); err != nil {
		return &remedied{fmt.Sprintf("%s cannot be written to (%v)", folder, err), "give it to the user that runs this, on a disk that can be written to"}
	}
	return nil
}
