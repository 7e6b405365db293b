package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/internal/durable"
	"sphinxmix.example/tao"
)

// listedNode is a descriptor with the bytes that its node has signed.
type listedNode struct {
	from   string // where it was found
	signed []byte
	id     directory.NodeID      // where desc is there
	desc   *directory.Descriptor // nil where the bytes are none that a node has signed
	err    error                 // why
}

// newListedNode reads what a node has signed, whenever it expires.
func newListedNode(from string, signed []byte) *listedNode {
	n := &listedNode{from: from, signed: signed}
	desc, err := directory.ParseDescriptor(signed, time.Unix(0, 0))
	if err != nil {
		n.err = err
		return n
	}
	n.desc, n.id = &desc, desc.ID()
	return n
}

// savedDescriptor is a node's descriptor in a file. But for Signed, it is for people, and nothing reads it.
type savedDescriptor struct {
	About     string           `json:"about"`
	Node      directory.NodeID `json:"node"`
	Address   string           `json:"address"`
	Role      string           `json:"role"`
	Services  []string         `json:"services"`
	Keys      []savedKey       `json:"keys"`
	Expires   time.Time        `json:"expires"`
	Evidence  *savedEvidence   `json:"evidence,omitempty"`
	Enrolment *enrolledNode    `json:"enrolment,omitempty"`
	Identity  publicKey        `json:"identity"`
	Signed    []byte           `json:"signed"`
}

type savedKey struct {
	Epoch uint64 `json:"epoch"`
	Key   digest `json:"key"`
}

type savedEvidence struct {
	Attestor      string          `json:"attestor"`
	Configuration string          `json:"configuration"`
	Stamp         digest          `json:"stamp_sha256"`
	LogRegister   uint8           `json:"log_register"`
	Log           []savedEvent    `json:"log"`
	Registers     []savedRegister `json:"registers"`
}

type savedEvent struct {
	Event  string `json:"event"`
	Epoch  uint64 `json:"epoch,omitempty"`
	Digest digest `json:"digest"`
}

type savedRegister struct {
	Register uint8  `json:"register"`
	Value    digest `json:"value"`
}

var eventNames = map[tao.EventKind]string{tao.ProgramStarted: "program started", tao.Configured: "configured", tao.KeyMade: "key made"}

// toSave returns what is written of a node at a time.
func (n *listedNode) toSave(now time.Time) *savedDescriptor {
	d := n.desc
	s := &savedDescriptor{
		About:    "Saved " + now.UTC().Format(time.RFC3339) + ". What counts is \"signed\", base64; the rest says what is in it.",
		Node:     n.id,
		Address:  d.Address,
		Role:     d.Role().String(),
		Services: d.Services,
		Expires:  d.Expires,
		Identity: publicKey(d.Identity),
		Signed:   n.signed,
	}
	for _, k := range d.Keys {
		s.Keys = append(s.Keys, savedKey{k.Epoch, digest(k.Key)})
	}
	e, err := tao.ParseEvidence(d.Evidence)
	if err != nil {
		return s
	}
	s.Evidence = &savedEvidence{
		Attestor:      e.Kind.String(),
		Configuration: e.Configuration.String(),
		Stamp:         tao.StampDigest(e.Stamp),
		LogRegister:   e.LogRegister,
	}
	for _, event := range e.Log {
		s.Evidence.Log = append(s.Evidence.Log, savedEvent{eventNames[event.Kind], event.Epoch, event.Digest})
	}
	for _, r := range e.Registers {
		s.Evidence.Registers = append(s.Evidence.Registers, savedRegister{r.Index, r.Value})
	}
	if record, err := tao.ParseRecord(e.Record); err == nil {
		enrolled := nodeOf(record)
		s.Enrolment = &enrolled
	}
	return s
}

// saveDescriptors writes a file for each node.
func saveDescriptors(folder string, listed []*listedNode, now time.Time) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("--save %s %w", folder, reason(err))
	}
	for _, n := range listed {
		if n.desc == nil {
			continue
		}
		if err := durable.WriteFile(filepath.Join(folder, n.id.String()+".json"), indented(n.toSave(now)), 0o644); err != nil {
			return fmt.Errorf("--save %s %w", folder, reason(err))
		}
	}
	return nil
}

// maxSaved is more than the largest descriptor takes up in a file, in bytes.
const maxSaved = 1 << 20

// readDescriptor reads what a node has signed from a file that was saved, and nothing else of it.
func readDescriptor(file string) (*listedNode, error) {
	text, err := readSome(file, maxSaved)
	if err != nil {
		return nil, &remedied{err.Error(), "give the id of a node, or a file that 'mixnet policy explain --save' has made"}
	}
	var saved struct {
		Signed []byte `json:"signed"`
	}
	if err := json.Unmarshal(text, &saved); err != nil || len(saved.Signed) == 0 {
		return nil, &remedied{file + " is no descriptor", "name a file that 'mixnet policy explain --save' has made"}
	}
	return newListedNode("in "+file, saved.Signed), nil
}
