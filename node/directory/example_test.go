package directory_test

import (
	"crypto/ed25519"
	"fmt"
	"log"
	"time"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/tao"
)

// What a node has signed, and its network's policy, are judged with no more than two public keys. [directory.Client] does it
// for all nodes of a view, where its Policy is set.
func ExampleSubjectOf() {
	var (
		signed, signedPolicy    []byte // for instance of Client.Inspect
		directoryKey, policyKey ed25519.PublicKey
		now                     = time.Now()
	)
	policy, err := tao.ParsePolicy(signedPolicy, policyKey)
	if err != nil {
		log.Fatal(err)
	}
	node, err := directory.ParseDescriptor(signed, now)
	if err != nil {
		log.Fatal(err)
	}
	subject := directory.SubjectOf(&node, directoryKey)
	verdict, err := policy.Verify(node.Evidence, subject, now)
	if err != nil {
		findings, _ := policy.Explain(node.Evidence, subject, now)
		log.Fatal(err, findings)
	}
	fmt.Println(node.ID(), "is to be trusted until", verdict.Until)
}
