// Command generate writes the project's own test vectors, or random ones in the schema of the Python reference.
//
//	go run ./testvectors/generate                      rewrite testvectors/*.json; their content never changes
//	go run ./testvectors/generate -long                the same, and compute the hashes that take minutes
//	go run ./testvectors/generate -random 1000 -seed … write 1000 random cases under key schedule 0 to standard output
package main

import (
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"sphinxmix.example/sphinx/vectors"
)

func main() {
	dir := flag.String("dir", "testvectors", "write the project's own vectors to this `folder`")
	long := flag.Bool("long", false, "compute the accumulated hashes over many packets, which takes minutes")
	random := flag.Int("random", 0, "write this `number` of random cases to standard output instead")
	seed := flag.String("seed", "", "the `hexadecimal` of 32 bytes that the random cases follow from")
	flag.Parse()
	if err := run(*dir, *long, *random, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(dir string, long bool, random int, seed string) error {
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if random != 0 || seed != "" {
		b, err := hex.DecodeString(seed)
		if err != nil || len(b) != 32 {
			return errors.New("-seed must be 64 hexadecimal digits")
		}
		return vectors.WriteRandom(os.Stdout, random, [32]byte(b))
	}
	files, err := vectors.Own(long)
	if err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
