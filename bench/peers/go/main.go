// Command peers measures other packages that open and make Sphinx packets, for the table in which this library stands
// beside them, and prints each measurement as a line of JSON (see the README one folder up). It is a module of its own,
// so that nothing that it needs is needed by anybody else.
//
//	main.go        the command line, the order of measurements
//	measure.go     how one round is timed
//	katzenpost.go  github.com/katzenpost/core/sphinx
//	lightning.go   github.com/lightningnetwork/lightning-onion
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// What is asked of every peer. A peer whose format has no room for it says in its notes what it does instead.
const (
	hops        = 5
	payloadSize = 1024 // bytes of the payload as it is on the wire between two hops
)

// peer is one package, ready to be measured.
type peer struct {
	name       string
	module     string // whose version is printed
	packetSize int    // bytes on the wire
	operations []operation
}

// operation is one thing that a peer does, again and again.
type operation struct {
	name string
	note string       // what is compared, and how the format differs
	run  func() error // does it once, and returns an error where the outcome is wrong
	// arrived returns an error unless what run left behind goes on through the other hops and the message comes out
	// at the last; nil where there is no such thing.
	arrived func() error
}

// peers are the constructors of all peers, in the order in which they are measured.
var peers = []func() (*peer, error){newKatzenpost, newLightning}

// line is one measurement as it is printed.
type line struct {
	Peer      string  `json:"peer"`
	Version   string  `json:"version"`
	Operation string  `json:"operation"`
	Hops      int     `json:"hops"`
	Payload   int     `json:"payload"`
	Packet    int     `json:"packet"`
	Round     int     `json:"round"` // from 1
	Ns        float64 `json:"ns"`
	Note      string  `json:"note"`
}

func main() {
	rounds := flag.Int("rounds", 11, "`N` measurements of each operation")
	milliseconds := flag.Int("round-ms", 100, "processor time of one measurement, in `milliseconds`")
	only := flag.String("peer", "", "measure this peer alone: `katzenpost or lightning-onion`")
	flag.Parse()
	if flag.NArg() > 0 || *rounds < 1 || *milliseconds < 1 {
		flag.Usage()
		os.Exit(2)
	}
	runtime.GOMAXPROCS(1)
	if err := measureAll(*rounds, time.Duration(*milliseconds)*time.Millisecond, *only); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// measureAll prints rounds measurements of each operation of the peer of this name, or of all where it is "". Rounds of
// different operations alternate, so that a machine that is slow for a while is so for all of them.
func measureAll(rounds int, length time.Duration, only string) error {
	var chosen []*peer
	var known []string
	for _, create := range peers {
		p, err := create()
		if err != nil {
			return err
		}
		known = append(known, p.name)
		if only == "" || only == p.name {
			chosen = append(chosen, p)
		}
	}
	if len(chosen) == 0 {
		return fmt.Errorf("no peer %q: there are %s", only, strings.Join(known, ", "))
	}

	counts := make(map[*operation]int)
	for _, p := range chosen {
		for i := range p.operations {
			op := &p.operations[i]
			count, err := warmUp(op.run, length)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", p.name, op.name, err)
			}
			counts[op] = count
		}
	}
	out := bufio.NewWriter(os.Stdout)
	printed := json.NewEncoder(out)
	for round := range rounds {
		for _, p := range chosen {
			for i := range p.operations {
				op := &p.operations[i]
				ns, err := measure(op.run, counts[op])
				if err == nil && op.arrived != nil {
					err = op.arrived()
				}
				if err != nil {
					return fmt.Errorf("%s, %s: %w", p.name, op.name, err)
				}
				if err := printed.Encode(line{
					Peer: p.name, Version: versionOf(p.module), Operation: op.name, Hops: hops, Payload: payloadSize,
					Packet: p.packetSize, Round: round + 1, Ns: ns, Note: op.note,
				}); err != nil {
					return err
				}
			}
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// versionOf returns the version of the module that this program was built with.
func versionOf(module string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	i := slices.IndexFunc(info.Deps, func(dependency *debug.Module) bool { return dependency.Path == module })
	if i < 0 {
		return "unknown"
	}
	return info.Deps[i].Version
}
