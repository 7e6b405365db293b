// Package testvectors carries test vectors for the Sphinx packet format and the Go types of their JSON. README.md
// specifies the format and the files; the data is in the public domain (CC0 1.0), for any implementation to copy.
//
// Vectors are never edited by hand. The command in generate/ is the only writer of this folder's own; those in
// reference/ were made by the Python reference implementation.
package testvectors

import (
	"embed"
	"encoding/hex"
	"errors"
)

// Files are the vector files: the project's own at the top, those of the Python reference in reference/.
//
//go:embed *.json reference/*.json
var Files embed.FS

// Hex is a byte string that JSON carries in lowercase hexadecimal. An absent string is nil, an empty one is not.
type Hex []byte

// MarshalJSON implements json.Marshaler.
func (h Hex) MarshalJSON() ([]byte, error) {
	return append(hex.AppendEncode([]byte{'"'}, h), '"'), nil
}

// UnmarshalJSON implements json.Unmarshaler. Every value has one spelling: null and uppercase digits are refused.
func (h *Hex) UnmarshalJSON(text []byte) error {
	if len(text) < 2 || text[0] != '"' {
		return errors.New("hexadecimal must be a string")
	}
	text = text[1 : len(text)-1]
	for _, c := range text {
		if c >= 'A' && c <= 'F' {
			return errors.New("hexadecimal must be lowercase")
		}
	}
	decoded, err := hex.AppendDecode(make([]byte, 0, len(text)/2), text)
	*h = decoded
	return err
}

// String returns h in hexadecimal.
func (h Hex) String() string { return hex.EncodeToString(h) }
