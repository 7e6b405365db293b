package main

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"

	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
)

// logSettings say what is logged, and how. Logs go to standard error.
type logSettings struct{ level, format string }

var (
	logLevels  = []string{"debug", "info", "warn", "error"}
	logFormats = []string{"text", "json"}
)

func newLogSettings() logSettings { return logSettings{"info", "text"} }

func (l *logSettings) list() []setting {
	return []setting{
		{
			key: "log.level", to: &l.level, advice: "give one of " + strings.Join(logLevels, ", "),
			about: "What is logged on standard error: " + strings.Join(logLevels, ", ") + ". Nothing is ever logged about a packet or a client.",
		},
		{
			key: "log.format", to: &l.format, advice: "give one of " + strings.Join(logFormats, ", "),
			about: "As what: " + strings.Join(logFormats, " or ") + ", a line for each.",
		},
	}
}

func (l *logSettings) check(c *configuration) {
	if !slices.Contains(logLevels, l.level) {
		c.refuse("log.level", fmt.Sprintf("is %q, which is no level", l.level))
	}
	if !slices.Contains(logFormats, l.format) {
		c.refuse("log.format", fmt.Sprintf("is %q, which is no format", l.format))
	}
}

// logger returns what logs to out. The settings must have been checked.
func (l *logSettings) logger(out io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.level)); err != nil {
		panic(err)
	}
	options := &slog.HandlerOptions{Level: level}
	if l.format == "json" {
		return slog.New(slog.NewJSONHandler(out, options))
	}
	return slog.New(slog.NewTextHandler(out, options))
}

// directorySettings say where a network's directory is.
type directorySettings struct {
	urls      []string
	key       string
	policyKey string // empty where nobody is judged
}

func (d *directorySettings) list() []setting {
	return []setting{
		{
			key: "directory.urls", to: &d.urls, required: true, advice: `give the network's servers, like ["http://directory.example.org:8080"]`,
			about: "The servers of the network's directory, each http://host:port or https://…. One that answers is enough.",
		},
		{
			key: "directory.key", to: &d.key, required: true, advice: "give the 64 digits that 'mixnet init directory' printed",
			about: "The directory's public key, hexadecimal. Nothing is believed that it has not signed.",
		},
		{
			key: "directory.policy_key", to: &d.policyKey, advice: policyKeyAdvice,
			about: "The public key of the network's policy, hexadecimal; \"\" for none. With it, mixes that do not prove what they run\n" +
				"as the policy wants are refused, whatever the directory says of them; without it nothing is known of that.",
		},
	}
}

// check refuses what nobody can ask a directory by.
func (d *directorySettings) check(c *configuration) {
	for _, url := range d.urls {
		if err := checkURL(url); err != nil && c.usable("directory.urls") {
			c.refuse("directory.urls", err.Error())
		}
	}
	if _, err := parsePublicKey(d.key); err != nil && c.usable("directory.key") {
		c.refuse("directory.key", err.Error())
	}
	c.check("directory.policy_key", d.policyKey, checkPolicyKey)
}

const policyKeyAdvice = `give the 64 digits that 'mixnet policy init' printed, or "" where the network has no policy`

// checkPolicyKey says why a key, empty for none, cannot be that of a policy.
func checkPolicyKey(digits string) error {
	if digits == "" {
		return nil
	}
	_, err := parsePublicKey(digits)
	return err
}

// parsePolicyKey reads a policy's key that was checked; nil for none.
func parsePolicyKey(digits string) ed25519.PublicKey {
	key, err := parsePublicKey(digits)
	if err != nil {
		return nil
	}
	return key
}

// client returns the directory to ask. The settings must have been checked.
func (d *directorySettings) client() *directory.Client {
	key, _ := parsePublicKey(d.key)
	return &directory.Client{URLs: d.urls, Key: key, Policy: parsePolicyKey(d.policyKey)}
}

// remedied is an error that says what to do about it.
type remedied struct{ wrong, advice string }

func (e *remedied) Error() string { return e.wrong + "; " + e.advice }

// refuseWith refuses a setting for an error, with the error's own remedy where it has one.
func (c *configuration) refuseWith(key string, err error) {
	c.refuse(key, plain(err))
	var known *remedied
	if errors.As(err, &known) {
		last := &c.problems[len(c.problems)-1]
		last.wrong, last.advice = known.wrong, known.advice
	}
}

// checkListen says why nobody can listen at an address.
func checkListen(address string) error {
	if _, port, err := net.SplitHostPort(address); err != nil {
		return fmt.Errorf("is %q, which is not host:port", address)
	} else if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("is %q, which has no port of 0 to 65535", address)
	}
	return nil
}

// checkOperator says why an address, empty for none, cannot be that of an operator's page.
func checkOperator(address string) error {
	if address == "" {
		return nil
	}
	if err := checkListen(address); err != nil {
		return err
	}
	if err := node.CheckOperator(address); errors.Is(err, node.ErrNotLoopback) {
		return fmt.Errorf("is %q, which other machines can reach", address)
	} else if err != nil {
		return errors.New(plain(err))
	}
	return nil
}

// check refuses a setting for what judge has against its value.
func (c *configuration) check(key, value string, judge func(string) error) {
	if !c.usable(key) {
		return
	}
	if err := judge(value); err != nil {
		c.refuse(key, err.Error())
	}
}

// checkURL says what keeps a directory from being asked there.
func checkURL(url string) error {
	if (&directory.Client{URLs: []string{url}, Key: anyKey}).Validate() != nil { // which names the directory, as the flag does
		return fmt.Errorf("%q is not of the form http://host:port", url)
	}
	return nil
}

// parsePublicKey reads the key of a directory or of a policy, an Ed25519 public key in hexadecimal.
func parsePublicKey(digits string) (ed25519.PublicKey, error) {
	key, err := hex.DecodeString(digits)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("is not %d hexadecimal digits", hex.EncodedLen(ed25519.PublicKeySize))
	}
	err = (&directory.Client{URLs: []string{"http://127.0.0.1"}, Key: key}).Validate()
	if errors.Is(err, directory.ErrKey) {
		return nil, fmt.Errorf("is %w", directory.ErrKey)
	}
	return key, err
}

// anyKey is a good public key.
var anyKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public().(ed25519.PublicKey)
