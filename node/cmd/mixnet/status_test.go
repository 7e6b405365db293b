package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
)

// wellMix is a mix with something of everything.
func wellMix() node.Stats {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return node.Stats{
		Node: directory.NodeID{0xab}, Address: "mix.example.org:7000", Strategy: "pool", State: node.Serving,
		Started: now.Add(-90 * time.Minute), Now: now,
		Counts: node.Counts{Received: 1000, Sent: 700, Served: 200, Delivered: 50, Dropped: map[node.Drop]uint64{node.DropReplay: 3, node.DropEpoch: 47}},
		Held:   12, Memory: 2_500_000,
		View: &node.ViewStats{Published: now.Add(-10 * time.Minute), Expires: now.Add(50 * time.Minute), Mixes: 9},
		Epochs: []node.EpochStats{
			{Number: 7, Begins: now.Add(-2 * time.Hour), Ends: now.Add(-time.Hour), Tags: 10, MaxTags: 100},
			{Number: 8, Begins: now.Add(-time.Hour), Ends: now.Add(25 * time.Minute), Current: true, Tags: 20, MaxTags: 100},
			{Number: 9, Begins: now.Add(25 * time.Minute), Ends: now.Add(time.Hour), Tags: 0, MaxTags: 100},
		},
		Peers: []node.PeerStats{
			{Node: directory.NodeID{1}, Address: "one.example.org:7000", Connected: true, Sent: 600},
			{Node: directory.NodeID{2}, Address: "two.example.org:7000", Queue: 5, Sent: 100, Lost: 4},
		},
		Links: node.LinkStats{Mixes: 8, Others: 3},
		History: []node.Sample{
			{At: now.Add(-time.Hour), Received: 400, Batches: 30, MinSenders: 2, MaxSenders: 5, MeanSenders: 3, LoopsSent: 10, LoopsLost: 1},
			{At: now.Add(-2 * time.Minute), Received: 100},
			{At: now.Add(-20 * time.Second), Received: 60, Sent: 40, Batches: 10, MinSenders: 4, MaxSenders: 9, MeanSenders: 7},
			{At: now.Add(-10 * time.Second), Received: 20, Sent: 30, LoopsSent: 30, LoopsLost: 1},
		},
	}
}

func TestStatusSaysWhatAPersonWantsToSee(t *testing.T) {
	s := wellMix()
	var out bytes.Buffer
	printStatus(&out, &s)
	require.Equal(t, `node       ab0000000000000000000000 at mix.example.org:7000
state      serving, up for 1h30m0s
epoch      8 (25m0s left): 20 of 100 tags
           7 (over): 10 of 100 tags
           9 (next): 0 of 100 tags
view       10m0s old, 9 mixes, good for 50m0s
packets    1.5/s in, 0.6/s out over the last 2m0s; 1000 in, 950 out in all; 12 held, 2.5 MB
anonymity  2 to 9 senders, 4.0 on average, in 40 batches of the last hour (pool)
dropped    epoch 47, replay 3
loops      5.0 % of 40 lost in the last hour
links      from 8 mixes and 3 others
peers      1 of 2 connected
           020000000000000000000000 at two.example.org:7000: not connected, 100 sent, 5 waiting, 4 lost
`, out.String())
}

// TestStatusOfAnAttestedMix says whom the mix trusts, whether it is trusted itself, and why not.
func TestStatusOfAnAttestedMix(t *testing.T) {
	for _, test := range []struct {
		attestation node.AttestationStats
		want        string
	}{
		{node.AttestationStats{Kind: "tpm", LogUsed: 0.254}, "attested   tpm, no evidence yet; 25 % of the room for measurements taken\n"},
		{node.AttestationStats{Kind: "soft", Until: wellMix().Now.Add(time.Hour)}, "attested   soft, evidence good for 1h0m0s; 0 % of the room for measurements taken\n"},
		{
			node.AttestationStats{Kind: "tpm", Until: wellMix().Now.Add(-time.Minute), LogUsed: 1, Failure: "the log is full"},
			"attested   tpm, EVIDENCE EXPIRED 1m0s ago; 100 % of the room for measurements taken\n           the log is full\n",
		},
	} {
		s := wellMix()
		s.View.Refused, s.View.Policy = 2, &node.PolicyStats{Version: 3, Expires: s.Now.Add(10 * time.Hour)}
		s.Attestation = &test.attestation
		var out bytes.Buffer
		printStatus(&out, &s)
		require.Contains(t, out.String(), "good for 50m0s\npolicy     version 3, good for 10h0m0s, refuses 2 mixes\n"+test.want)
	}
}

func TestStatusOfAMixThatHasJustStarted(t *testing.T) {
	var out bytes.Buffer
	printStatus(&out, &node.Stats{Address: "mix.example.org:7000", State: node.Starting})
	for _, line := range []string{"state      starting\n", "epoch      none yet\n", "view       none yet\n", "anonymity  nothing was released", "dropped    nothing\n", "loops      none sent"} {
		require.Contains(t, out.String(), line)
	}
}

// TestStatusFailsWhereTheMixIsNotWell, and says why on the other output, so that JSON stays JSON.
func TestStatusFailsWhereTheMixIsNotWell(t *testing.T) {
	s := wellMix()
	server := httptest.NewServer(node.NewOperator(func() node.Stats { return s }))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	_, err := run(t, "", "status", "--operator", address)
	require.NoError(t, err)

	s.Epochs[1].Failed = true
	out, err := run(t, "", "status", "--operator", address)
	require.ErrorIs(t, err, errReported)
	require.Contains(t, out, "REFUSES EVERYTHING")
	require.Contains(t, out, "full or cannot be written")

	out, err = run(t, "", "status", "--json", "--operator", address)
	require.ErrorIs(t, err, errReported)
	raw, problem, _ := strings.Cut(out, "\n")
	var read node.Stats
	require.NoError(t, json.Unmarshal([]byte(raw), &read))
	require.Equal(t, s, read)
	require.Contains(t, problem, "full or cannot be written")
}

// TestStatusOfAMixThatIsListedNoMore says that it is, and why.
func TestStatusOfAMixThatIsListedNoMore(t *testing.T) {
	s := wellMix()
	s.State = node.Unlisted
	s.Attestation = &node.AttestationStats{Kind: "tpm", Failure: "the directory refuses it: revoked"}
	server := httptest.NewServer(node.NewOperator(func() node.Stats { return s }))
	defer server.Close()
	out, err := run(t, "", "status", "--operator", strings.TrimPrefix(server.URL, "http://"))
	require.ErrorIs(t, err, errReported)
	require.Contains(t, out, "state      unlisted, up for 1h30m0s\n")
	require.Contains(t, out, "The node is in the network no more: the view does not list it.\n")
	require.Contains(t, out, "the directory refuses it: revoked")
	require.NotContains(t, out, "starting")
}

func TestStatusOfWhatIsNoMix(t *testing.T) {
	for _, answer := range []http.HandlerFunc{
		http.NotFound,
		func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("hello")) },
	} {
		server := httptest.NewServer(answer)
		defer server.Close()
		out, err := run(t, "", "status", "--operator", strings.TrimPrefix(server.URL, "http://"))
		require.ErrorContains(t, err, "is no mix")
		require.Empty(t, out)
	}
}
