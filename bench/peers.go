package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// peerPrograms measure other implementations; each has a folder below bench/peers, and builds itself with its
// language's own tools from the versions that are pinned there.
var peerPrograms = []peerProgram{
	{"go", []string{"go", "build", "-o", "{scratch}/peers-go", "."}, []string{"{scratch}/peers-go"}},
	{
		"rust",
		[]string{"cargo", "build", "--release", "--locked"},
		[]string{"cargo", "run", "--release", "--locked", "--quiet", "--"},
	},
	{"python", []string{"bash", "run.sh", "--rounds", "1", "--round-ms", "1"}, []string{"bash", "run.sh"}},
}

type peerProgram struct {
	folder  string
	prepare []string // takes minutes the first time, and must not stand between U and what is measured
	run     []string // prints a line for each measurement; its options follow
}

// PeersFolder returns the folder of the peers' programs: the given one or, where that is empty, that of the source tree
// that the working directory is in, or that its module uses. It is an error if no program is there.
func PeersFolder(ctx context.Context, given string) (string, error) {
	if given != "" {
		if !slices.ContainsFunc(peerPrograms, func(p peerProgram) bool { return isFolder(filepath.Join(given, p.folder)) }) {
			return "", fmt.Errorf("%s is not the folder bench/peers of the source tree", given)
		}
		return given, nil
	}
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "sphinxmix.example").Output()
	folder := filepath.Join(strings.TrimSpace(string(out)), "bench", "peers")
	if err == nil && isFolder(folder) {
		return folder, nil
	}
	return "", errors.New("the peers' programs are in the source tree, in bench/peers: " +
		"run this from a checkout, with Go installed, or name that folder")
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// MeasurePeers adds to r what the peers' programs below folder measure, each in several runs with U before and after
// it. What cannot run here is added to r.Missing with the reason; an error is returned only where ctx ended or no
// folder for what is built could be made.
func MeasurePeers(ctx context.Context, cfg Config, r *Report, folder string) error {
	scratch, err := os.MkdirTemp("", "mixnet-bench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	limit := quietLimit([]float64{r.Unit.Median})
	for i, p := range peerPrograms {
		report := func(what string) {
			stage := what + " of bench/peers/" + p.folder
			cfg.progress(Progress{Stage: stage, Step: "program", Done: i, Total: len(peerPrograms)})
		}
		peers, err := p.measure(ctx, cfg, limit, folder, scratch, report)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.Peers = append(r.Peers, peers...)
		if err != nil {
			r.Missing = append(r.Missing, Missing{"peers/" + p.folder, err.Error()})
		}
	}
	return nil
}

// measure runs the program; U is at most limit, in nanoseconds, where the machine is quiet. Beside an error there may
// be what it printed before it.
func (p peerProgram) measure(
	ctx context.Context, cfg Config, limit float64, folder, scratch string, report func(what string),
) ([]Peer, error) {
	dir := filepath.Join(folder, p.folder)
	if !isFolder(dir) {
		return nil, errors.New("there is no such folder")
	}
	report("building the peers")
	if _, _, err := p.command(ctx, dir, scratch, p.prepare); err != nil {
		return nil, err
	}
	report("measuring the peers")
	var lines []peerLine
	var said string
	quiet := 0 // rounds
	before, err := unitsNow(unitSamples)
	enough := min(quietEnough, cfg.Rounds)
	for pass := 0; err == nil && (pass < peerPasses || pass < mostPeerPasses && quiet < enough); pass++ {
		rounds := (cfg.Rounds + pass%peerPasses) / peerPasses // of the first passes together: cfg.Rounds
		if rounds == 0 {
			continue
		}
		length := max(1, cfg.CoreSlice.Milliseconds())
		options := []string{"--rounds", fmt.Sprint(rounds), "--round-ms", fmt.Sprint(length)}
		var out []byte
		out, said, err = p.command(ctx, dir, scratch, append(p.run[:len(p.run):len(p.run)], options...))
		after, failure := unitsNow(unitSamples)
		if failure != nil {
			return nil, failure
		}
		unit := (median(before) + median(after)) / 2
		if unit <= limit {
			quiet += rounds
		}
		read, failure := readPeers(bytes.NewReader(out), unit)
		lines, before = append(lines, read...), after
		if err == nil {
			err = failure
		}
	}
	if err == nil && said != "" {
		err = errors.New(said) // like that one of its peers could not be built
	}
	return peersOf(lines, limit), err
}

// A program's rounds are spread over so many runs of it, or more where the machine is busy, with so many samples of U
// between two.
const (
	peerPasses     = 8
	mostPeerPasses = 24
	unitSamples    = 9
)

// command runs arguments in dir and returns what they print, also where they fail, and the last line of what they say
// on standard error, which an error has, too.
func (p peerProgram) command(
	ctx context.Context, dir, scratch string, arguments []string,
) (out []byte, said string, err error) {
	name := strings.ReplaceAll(arguments[0], "{scratch}", scratch)
	path, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrNotFound) && name == "cargo" { // whose installer leaves PATH to the shell's profile
		if home, none := os.UserHomeDir(); none == nil {
			path, err = exec.LookPath(filepath.Join(home, ".cargo", "bin", name))
		}
	}
	if err != nil {
		return nil, "", fmt.Errorf("%s is not installed here", arguments[0])
	}
	var rest []string
	for _, argument := range arguments[1:] {
		rest = append(rest, strings.ReplaceAll(argument, "{scratch}", scratch))
	}
	cmd := exec.CommandContext(ctx, path, rest...)
	cmd.Dir, cmd.WaitDelay = dir, 5*time.Second
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Env = append(os.Environ(), "GOWORK=off", "PATH="+filepath.Dir(path)+string(os.PathListSeparator)+os.Getenv("PATH"))
	var standardError bytes.Buffer
	cmd.Stderr = &standardError
	out, err = cmd.Output()
	lines := strings.Split(strings.TrimSpace(standardError.String()), "\n")
	said = strings.TrimSpace(lines[len(lines)-1])
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", filepath.Base(path), err, said)
	}
	return out, said, err
}

// peerLine is one measurement of one round, as the programs print it in JSON.
type peerLine struct {
	Peer        string  `json:"peer"`
	Version     string  `json:"version"`
	Operation   string  `json:"operation"`
	Hops        int     `json:"hops"`
	Payload     int     `json:"payload"`
	Packet      int     `json:"packet"`
	Nanoseconds float64 `json:"ns"`
	Note        string  `json:"note"`

	unit float64 // ns of U around the run that printed it
}

// readPeers reads what a program prints, with what U took around it. It stops at what is no measurement and returns
// what came before, beside an error.
func readPeers(from io.Reader, unit float64) (all []peerLine, err error) {
	for lines := bufio.NewScanner(from); lines.Scan(); {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		line := peerLine{unit: unit}
		err := json.Unmarshal(lines.Bytes(), &line)
		if err != nil || line.Peer == "" || line.Operation == "" || !(line.Nanoseconds > 0) {
			return all, fmt.Errorf("a line that is no measurement: %.80q", lines.Text())
		}
		all = append(all, line)
	}
	if len(all) == 0 {
		return nil, errors.New("it printed no measurement")
	}
	return all, nil
}

// peersOf collects the rounds of each measurement, in the order in which the first of each came. Those count whose U is
// at most limit, in nanoseconds, or enough that are the quietest.
func peersOf(lines []peerLine, limit float64) []Peer {
	var peers []Peer
	at := make(map[peerLine]int) // by all but the times
	for _, line := range lines {
		key := line
		key.Nanoseconds, key.unit = 0, 0
		i, known := at[key]
		if !known {
			i = len(peers)
			at[key] = i
			peers = append(peers, Peer{
				Peer: line.Peer, Version: line.Version, Operation: line.Operation, Note: line.Note,
				Hops: line.Hops, Payload: line.Payload, Packet: line.Packet,
			})
		}
		peers[i].Rounds = append(peers[i].Rounds, PeerRound{Nanoseconds: line.Nanoseconds, Unit: line.unit})
	}
	for i := range peers {
		var units, nanoseconds, ratios []float64
		for _, r := range peers[i].Rounds {
			units = append(units, r.Unit)
		}
		for j, counts := range counting(units, limit) {
			r := &peers[i].Rounds[j]
			if r.Counts = counts; counts {
				nanoseconds, ratios = append(nanoseconds, r.Nanoseconds), append(ratios, r.Nanoseconds/r.Unit)
			}
		}
		peers[i].Nanoseconds, peers[i].Units = summarize(nanoseconds), summarize(ratios)
	}
	return peers
}
