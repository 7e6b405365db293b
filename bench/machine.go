package bench

import (
	"bufio"
	"os"
	"runtime"
	"strings"

	"sphinxmix.example/lioness/symmetric"
	"sphinxmix.example/sphinx/kernels"
)

// Machine is where a run took place, and what of this library's implementations the processor and the build allow.
type Machine struct {
	System    string `json:"system"`    // like "linux"
	Processor string `json:"processor"` // like "amd64"
	Model     string `json:"model"`     // as the system names it
	Cores     int    `json:"cores"`     // that Go may use
	Go        string `json:"go"`
	Version   string `json:"version,omitempty"` // of the program, where whoever ran it said so
	X25519    string `json:"x25519"`            // this library's implementation in use
	Symmetric string `json:"symmetric"`         // the same for ChaCha20 and BLAKE2b
}

func describeMachine() Machine {
	m := Machine{
		System: runtime.GOOS, Processor: runtime.GOARCH, Model: "unknown processor",
		Cores: runtime.GOMAXPROCS(0), Go: runtime.Version(),
		X25519: kernels.Implementation(), Symmetric: symmetric.Implementation(),
	}
	if file, err := os.Open("/proc/cpuinfo"); err == nil {
		defer file.Close()
		for lines := bufio.NewScanner(file); lines.Scan(); {
			if key, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(key) == "model name" {
				m.Model = strings.TrimSpace(value)
				break
			}
		}
	}
	return m
}
