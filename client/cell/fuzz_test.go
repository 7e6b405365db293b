package cell_test

import (
	"bytes"
	"errors"
	"testing"

	"sphinxmix.example/client/cell"
)

// FuzzParse: what Parse accepts is what Append writes, byte for byte; nothing else is a cell; nothing panics.
func FuzzParse(f *testing.F) {
	if len(cells) == 0 {
		f.Fatal("no seeds")
	}
	for _, c := range cells {
		f.Add(c.Append(nil), uint16(surbSize))
	}
	f.Fuzz(func(t *testing.T, b []byte, surbSize uint16) {
		c, err := cell.Parse(b, int(surbSize))
		if err != nil {
			if !errors.Is(err, cell.ErrMalformed) {
				t.Fatalf("%v", err)
			}
			return
		}
		for _, surb := range c.SURBs {
			if len(surb) != int(surbSize) {
				t.Fatalf("a SURB of %d bytes, not %d", len(surb), surbSize)
			}
		}
		if again := c.Append(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x was read, and written as %x", b, again)
		}
	})
}
