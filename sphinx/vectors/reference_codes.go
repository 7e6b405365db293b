package vectors

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"sphinxmix.example/sphinx/internal/wire"
	"sphinxmix.example/testvectors"
)

// What the reference raises. It states its limits as assertions, and lets what its libraries raise pass through.
const (
	errAssertion   = "AssertionError"
	errStruct      = "error" // struct.error
	errIndex       = "IndexError"
	errKey         = "KeyError"
	errLowOrder    = "RuntimeError" // nacl.exceptions.RuntimeError
	errBodySize    = "SphinxBodySizeMismatchError"
	errAlphaSize   = "HeaderAlphaGroupMismatchError"
	errReplayed    = "ReplayError"
	errMAC         = "IncorrectMACError"
	errType        = "InvalidMessageTypeError"
	errDestination = "InvalidProcessDestinationError"
	errCorrupt     = "CorruptMessageError"
)

// sameError compares an error of a vector, empty for none, with what the reference must have raised.
func sameError(got string, want *string) error {
	switch {
	case want == nil && got != "":
		return fmt.Errorf("error: null, but the reference raises %s", got)
	case want != nil && *want != got:
		return fmt.Errorf("error: %.40q, but the reference raises %q", *want, got)
	}
	return nil
}

// largestBlock bounds the blocks that are padded to check a vector.
const largestBlock = 1 << 20

// checkPadding checks a block that is padded. The project pads every block that has room for the count, and whose count
// fits in 16 bits; the reference stops one byte earlier, and pads nothing that is empty.
func checkPadding(s *setting, rawCase json.RawMessage) error {
	var v struct {
		Src       testvectors.Hex `json:"src"`
		BlockSize int             `json:"block_size"`
		Padded    testvectors.Hex `json:"padded,omitzero"`
		Error     *string         `json:"error,omitzero"`
	}
	if err := decode(rawCase, &v, false); err != nil {
		return err
	}
	if v.BlockSize < 0 || v.BlockSize > largestBlock {
		return fmt.Errorf("block_size: %d, must be 0 to %d", v.BlockSize, largestBlock)
	}
	filled := v.BlockSize - len(v.Src)
	raised := ""
	switch {
	case len(v.Src) == 0 || filled <= wire.PaddingOverhead:
		raised = errAssertion
	case filled > 0xffff:
		raised = errStruct
	}
	if err := sameError(raised, v.Error); err != nil {
		return err
	}

	block := make([]byte, max(v.BlockSize, len(v.Src)))
	copy(block, v.Src)
	block = block[:v.BlockSize]
	padded := wire.Pad(block, len(v.Src))
	if want := filled >= wire.PaddingOverhead && filled <= 0xffff; padded != want {
		return fmt.Errorf("the project pads %d bytes to %d: %v, must be %v", len(v.Src), v.BlockSize, padded, want)
	}
	if raised == "" {
		return same("padded", block, v.Padded)
	}
	if padded {
		if n, ok := wire.Unpad(block); !ok || n != len(v.Src) {
			return fmt.Errorf("padding of %d bytes to %d does not come off again", len(v.Src), v.BlockSize)
		}
	}
	return nil
}

// checkUnpadding checks a padding that is removed. The project refuses one that does not hold its own count, which the
// reference takes, and takes one that fills the block, which the reference refuses.
func checkUnpadding(s *setting, rawCase json.RawMessage) error {
	var v struct {
		Src      testvectors.Hex `json:"src"`
		Unpadded testvectors.Hex `json:"unpadded,omitzero"`
		Error    *string         `json:"error,omitzero"`
	}
	if err := decode(rawCase, &v, false); err != nil {
		return err
	}
	unpadded, raised := referenceUnpad(v.Src)
	if err := sameError(raised, v.Error); err != nil {
		return err
	}
	if raised == "" {
		if err := same("unpadded", unpadded, v.Unpadded); err != nil {
			return err
		}
	}
	want, removable := unpad(v.Src)
	n, ok := wire.Unpad(v.Src)
	if ok != removable || ok && n != want {
		return fmt.Errorf("the project removes a padding: %v, leaving %d bytes; must be %v, %d", ok, n, removable, want)
	}
	return nil
}

// referenceUnpad is the reference's remove_padding: what is left, or what is raised.
func referenceUnpad(src []byte) (unpadded []byte, raised string) {
	if len(src) < 2 {
		return nil, errStruct
	}
	filled := int(binary.LittleEndian.Uint16(src[len(src)-2:]))
	if filled >= len(src) {
		return nil, errAssertion
	}
	return src[:len(src)-filled], ""
}

// unpad is what the format says: how many bytes stand before the padding of src, where it has one.
func unpad(src []byte) (n int, ok bool) {
	if len(src) < 2 {
		return 0, false
	}
	filled := int(binary.LittleEndian.Uint16(src[len(src)-2:]))
	return len(src) - filled, filled >= 2 && filled <= len(src)
}

// checkPrefix checks a prefix-free code. Where a code says that it is longer than what is there, the reference slices
// it short and the project refuses it.
func checkPrefix(s *setting, rawCase json.RawMessage) error {
	var v struct {
		In    testvectors.Hex  `json:"in"`
		Type  *string          `json:"type"`
		Value *testvectors.Hex `json:"value"`
		Rest  *testvectors.Hex `json:"rest"`
	}
	if err := decode(rawCase, &v, false); err != nil {
		return err
	}
	code := referenceDecode(v.In)
	if code.name == "" {
		if v.Type != nil || v.Value != nil || v.Rest != nil {
			return fmt.Errorf("the reference does not decode %v", v.In)
		}
	} else if v.Type == nil || *v.Type != code.name {
		return fmt.Errorf("type: the reference finds %s", code.name)
	} else if err := first(sameOptional("value", code.value, v.Value), sameOptional("rest", code.rest, v.Rest)); err != nil {
		return err
	}

	route, value, rest, ok := wire.Decode(v.In)
	switch {
	case ok != (code.name != "" && !code.short):
		return fmt.Errorf("the project decodes %v: %v, must be %v", v.In, ok, !ok)
	case !ok:
		return nil
	case route != map[string]wire.Route{"mix": wire.Relay, "process": wire.Exit, "client": wire.Reply}[code.name]:
		return fmt.Errorf("type: the project finds route %d, not %s", route, code.name)
	}
	return first(same("value", value, append(testvectors.Hex{}, code.value...)), same("rest", rest, append(testvectors.Hex{}, code.rest...)))
}

// sameOptional compares values that may be absent on both sides.
func sameOptional(field string, got []byte, want *testvectors.Hex) error {
	if want == nil && got == nil {
		return nil
	}
	if want == nil || got == nil {
		return fmt.Errorf("%s: null on one side alone", field)
	}
	return same(field, got, *want)
}

// code is a prefix-free code as the reference reads it.
type code struct {
	name        string // "mix", "process", "client", or empty where it is none
	value, rest []byte // nil where the reference has none
	short       bool   // the value is longer than what is there, and was sliced
}

// referenceDecode is the reference's prefix_free_decode.
func referenceDecode(b []byte) code {
	if len(b) == 0 {
		return code{}
	}
	cut := func(name string, from, to int) code {
		end := min(to, len(b))
		return code{name, b[from:end], b[end:], to > len(b)}
	}
	switch length := int(b[0]); {
	case length == 0:
		return code{"process", nil, b[1:], false}
	case length == 0xff:
		return cut("mix", 0, kappa)
	case length < 0x80:
		return cut("client", 1, 1+length)
	}
	return code{}
}
