package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"sphinxmix.example/node/internal/durable"
)

// The blocks in PEM files: policies and enrolments, what nodes and the authority of a policy send each other, and a key
// that a TPM has sealed.
const (
	policyBlock    = "SPHINXMIX POLICY"
	enrolmentBlock = "SPHINXMIX ENROLMENT"
	requestBlock   = "SPHINXMIX ENROLMENT REQUEST"
	grantBlock     = "SPHINXMIX ENROLMENT GRANT"
	sealedBlock    = "SPHINXMIX SEALED KEY"

	certificateBlock = "CERTIFICATE" // RFC 7468, section 5
)

const maxBlockFile = 1 << 20 // bytes

// writeBlock makes name a PEM file of one block, in place of what was there, which is on disk when it returns.
func writeBlock(name, kind string, content []byte, mode fs.FileMode) error {
	if err := durable.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), mode); err != nil {
		return &remedied{fmt.Sprintf("%s cannot be written (%v)", name, reason(err)), "name a file in a folder that can be written to"}
	}
	return nil
}

// readBlock returns what is in a PEM file of one block of that type. The error wraps fs.ErrNotExist where there is
// none.
func readBlock(name, kind string) ([]byte, error) {
	text, err := readSome(name, maxBlockFile)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != kind || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("%s is no PEM file with one %q", name, kind)
	}
	return block.Bytes, nil
}

// kindOf returns what is in a PEM file that people may want to see.
func kindOf(file string) (string, error) {
	text, err := readSome(file, maxBlockFile)
	if err != nil {
		return "", err
	}
	known := []string{policyBlock, requestBlock, enrolmentBlock}
	if block, _ := pem.Decode(text); block != nil && slices.Contains(known, block.Type) {
		return block.Type, nil
	} else if block != nil && block.Type == grantBlock {
		return "", fmt.Errorf("%s is a grant, which only the node's machine can open: 'mixnet node enrol --grant' does", file)
	}
	return "", fmt.Errorf("%s is no signed policy, request or enrolment", file)
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

const maxCertificate = 64 << 10 // bytes of a file

// readCertificate reads a file of one certificate, in PEM or DER.
func readCertificate(file string) (*x509.Certificate, error) {
	content, err := readSome(file, maxCertificate)
	if err != nil {
		return nil, fmt.Errorf("%w: name the file of a certificate", err)
	}
	if block, rest := pem.Decode(content); block != nil {
		if again, _ := pem.Decode(rest); again != nil || block.Type != certificateBlock {
			return nil, fmt.Errorf("%s has not one certificate: name a file for each", file)
		}
		content = block.Bytes
	}
	c, err := x509.ParseCertificate(content)
	if err != nil {
		return nil, fmt.Errorf("%s is no certificate, in PEM or DER: %w", file, cleaned{err})
	}
	return c, nil
}
