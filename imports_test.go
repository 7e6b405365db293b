// Package sphinxmix has no code of its own: what stands here is the test of which package may import which.
package sphinxmix

import (
	"go/build"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "sphinxmix.example"

// allowed is a statement of policy: the packages of this module that each package may import. Do not change it to make
// a build work; change the design first. "x/..." stands for x and all below it, "anything" for every package.
var allowed = map[string][]string{
	"lioness":               {"lioness/symmetric"},
	"lioness/symmetric":     {},
	"sphinx":                {"lioness/...", "sphinx/internal/..."},
	"sphinx/internal/...":   {"lioness/...", "sphinx/internal/..."},
	"sphinx/kernels":        {"sphinx/internal/..."}, // for bench
	"sphinx/vectors":        {"lioness/...", "sphinx", "sphinx/internal/...", "testvectors"},
	"tao":                   {},
	"tao/...":               {"tao", "tao/..."}, // attestors, which only the binary imports
	"testvectors":           {},
	"node/internal/durable": {},
	"node/mix":              {},
	"node/link":             {},
	"node/replay":           {"sphinx", "node/internal/durable"},
	"node/directory":        {"sphinx", "tao", "node/internal/durable"},
	"node/directory/...":    {"sphinx", "node/directory/..."}, // stores, which only the binary imports, and their one test
	"node/keyring":          {"sphinx", "node/directory", "node/replay", "node/internal/durable"},
	"node":                  {"sphinx", "tao", "node/..."},
	"node/nodetest/...":     {"anything"},
	"node/cmd/...":          {"anything"},
	"client/cell":           {},
	"client/socks5":         {},
	"client/stream":         {"client/cell"},
	"client/exit":           {"sphinx", "client/cell", "client/stream"},
	"client":                {"sphinx", "tao", "client/...", "node/directory", "node/link"},
	"testvectors/generate":  {"anything"},
	"bench/...":             {"anything"},
}

// pure packages touch neither the network nor a clock, a file or a log.
var pure = []string{"lioness", "lioness/symmetric", "sphinx", "sphinx/internal/...", "sphinx/kernels"}

var impure = []string{"net", "net/...", "os", "os/...", "log", "log/...", "time", "crypto/tls", "syscall"}

func TestImports(t *testing.T) {
	checked := 0
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		name := entry.Name()
		if path != "." && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata") {
			return filepath.SkipDir
		}
		if path != "." {
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
				return filepath.SkipDir // a module of its own
			}
		}
		pkg, err := build.ImportDir(path, 0)
		if _, none := err.(*build.NoGoError); none {
			return nil
		} else if err != nil {
			return err
		}
		if path == "." {
			return nil
		}
		checked++
		rule, known := ruleOf(filepath.ToSlash(path))
		if !known {
			t.Errorf("%s is in no row of the table", path)
		}
		for _, imported := range pkg.Imports {
			if own, ok := strings.CutPrefix(imported, module+"/"); ok && !matches(rule, own) {
				t.Errorf("%s may not import %s", path, own)
			}
			if matches(pure, filepath.ToSlash(path)) && matches(impure, imported) {
				t.Errorf("%s is pure and may not import %s", path, imported)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if checked < 10 {
		t.Fatalf("only %d packages found: the test looks in the wrong place", checked)
	}
}

// TestTopFolders keeps the top of the tree as the design draws it.
func TestTopFolders(t *testing.T) {
	designed := []string{"sphinx", "lioness", "tao", "node", "client", "testvectors", "bench"}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.IsDir() && !strings.HasPrefix(entry.Name(), ".") && !slices.Contains(designed, entry.Name()) {
			t.Errorf("the folder %s is not in the design", entry.Name())
		}
	}
}

// ruleOf returns the row for a package: its own, or that of the nearest folder with "/..." above it.
func ruleOf(path string) (rule []string, known bool) {
	if rule, known = allowed[path]; known {
		return rule, true
	}
	for folder := path; folder != "."; folder = filepath.ToSlash(filepath.Dir(folder)) {
		if rule, known = allowed[folder+"/..."]; known {
			return rule, true
		}
	}
	return nil, false
}

func matches(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		folder, tree := strings.CutSuffix(pattern, "/...")
		return pattern == "anything" || pattern == path || tree && (path == folder || strings.HasPrefix(path, folder+"/"))
	})
}
