package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"sphinxmix.example/tao"
)

// policyFile is the file with a directory's policy, which may be replaced while the directory runs.
type policyFile struct {
	name string
	key  ed25519.PublicKey // that signs it
	read fileState         // what the file was when it was read; whoever reads it has this, and what follows, to itself
	late time.Time         // when it is to be said that the policy expires soon
}

// fileState changes when a file does.
type fileState struct {
	changed time.Time
	size    int64
}

// load reads the policy and returns it signed, after it has checked that it is good now. The error says what to do.
func (p *policyFile) load(now time.Time) ([]byte, error) {
	p.read = p.state()
	again := "make one with 'mixnet policy sign', and put it there"
	signed, err := readBlock(p.name, policyBlock)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &remedied{"there is no file " + p.name, again}
	} else if err != nil {
		return nil, &remedied{err.Error(), again}
	}
	policy, err := tao.ParsePolicy(signed, p.key)
	if err == nil {
		err = policy.GoodAt(now)
	}
	if err != nil {
		return nil, &remedied{fmt.Sprintf("%s: %s", p.name, plain(err)), again}
	}
	p.late = policy.Expires.Add(-policy.Expires.Sub(policy.Issued) / 4)
	return signed, nil
}

// state returns what the file is now; zero where there is none.
func (p *policyFile) state() fileState {
	info, err := os.Stat(p.name)
	if err != nil {
		return fileState{}
	}
	return fileState{info.ModTime(), info.Size()}
}

// policyInterval is how often a directory looks whether there is another policy.
const policyInterval = 3 * time.Second

// policyReminder is how often a directory says that its policy expires soon.
const policyReminder = 6 * time.Hour

// follow hands each policy that takes the place of the one before to set, until ctx ends. What is wrong with one is
// logged, and changes nothing.
func (p *policyFile) follow(ctx context.Context, set func(signed []byte) error, log *slog.Logger) {
	tick := time.NewTicker(policyInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if now := time.Now(); !p.late.IsZero() && !now.Before(p.late) {
			log.Warn("three quarters of the policy's life are over: when it expires, no node is trusted; put one in place that was signed anew", "file", p.name)
			p.late = now.Add(policyReminder)
		}
		if p.state() == p.read {
			continue
		}
		signed, err := p.load(time.Now())
		if err == nil {
			err = set(signed)
		}
		if err != nil {
			log.Error("the policy in the file is not used, and the one before stays", "file", p.name, "error", err)
			continue
		}
		log.Info("a new policy", "file", p.name)
	}
}

// checkPolicy reads the policy that the configuration names, if it does.
func (l *loadedServer) checkPolicy() {
	s, c := l.settings, l.file
	c.check("policy.key", s.policyKey, checkPolicyKey)
	switch {
	case s.policyKey == "" && s.policyFile != newServerSettings().policyFile && c.usable("policy.key"):
		c.refuse("policy.file", "is set without policy.key")
	case s.policyKey != "" && c.usable("policy.key") && c.usable("policy.file"):
		p := &policyFile{name: c.path(s.policyFile), key: parsePolicyKey(s.policyKey)}
		signed, err := p.load(time.Now())
		if err != nil {
			c.refuseWith("policy.file", err)
			return
		}
		l.policy, l.signed = p, signed
	}
}
