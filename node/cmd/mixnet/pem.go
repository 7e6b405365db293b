package main

import (
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"os"

	"sphinxmix.example/node/internal/durable"
)

// The other blocks in PEM files: what nodes and the authority of a policy send each other, and a key that a TPM has
// sealed.
const (
	requestBlock = "SPHINXMIX ENROLMENT REQUEST"
	grantBlock   = "SPHINXMIX ENROLMENT GRANT"
	sealedBlock  = "SPHINXMIX SEALED KEY"
)

// writeBlock makes name a PEM file of one block, in place of what was there, which is on disk when it returns.
func writeBlock(name, kind string, content []byte, mode fs.FileMode) error {
	if err := durable.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), mode); err != nil {
		return &remedied{fmt.Sprintf("%s cannot be written (%v)", name, reason(err)), "name a file in a folder that can be written to"}
	}
	return nil
}

// readSome returns what is in a file of up to limit bytes, which may come from anybody.
func readSome(name string, limit int64) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%s %w", name, reason(err))
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s %w", name, reason(err))
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", name, limit)
	}
	return content, nil
}
