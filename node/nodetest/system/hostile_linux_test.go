package system_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/node"
	"sphinxmix.example/node/directory"
)

const (
	hostile = 1000 // connections

	// memoryEach is what a hostile connection may cost a node, in bytes: three TLS records of 16 KiB, in and out and one of
	// frames, with stacks and the state of TLS; and all of that twice, for the garbage that is not collected yet. What
	// was not given back when a connection ended would show: many more than hostile are made in all.
	memoryEach = 128 << 10
)

// TestThousandHostileConnections: one node of a running network has a thousand connections of all the kinds in assaults
// at once, which come again when it ends them. Honest clients go on, a new one gets in, the node's memory is bounded, and
// the hostile connections end.
func TestThousandHostileConnections(t *testing.T) {
	window := 4 * time.Second // for each measurement
	if long {
		window = time.Minute
	}
	n := start(t, plan{nodes: 6, node: func(int) settings {
		return settings{"mix.size": "3", "mix.interval": `"20ms"`}
	}})
	target := n.nodes[0]
	l := n.startLoad(0, task{AtOnce: 4, Sizes: []int{10, 1000}}.so(3)...)
	l.tell(orderGo)
	await(t, "packets flow", func() bool { return target.mustStats().Received > 1000 })
	l.forget()
	before := l.answered(t, window)
	memoryBefore, _ := target.memory()
	filesBefore, linksBefore := target.files(), target.mustStats().Links.Others

	a := n.startAttack(target, hostile)
	await(t, "the attackers are all there", func() bool { return a.all() >= hostile })
	l.forget()
	start := time.Now()
	newcomer := n.startLoad(50, task{
		Via:      []directory.NodeID{target.id, n.nodes[1].id, n.nodes[2].id},
		Messages: 10, AtOnce: 1, Sizes: []int{10},
	})
	connected := time.Since(start)
	newcomer.tell(orderGo)
	during := l.answered(t, window)
	t.Logf("the attack:\n%v", a)
	memoryDuring, most := target.memory()
	var underAttack node.Stats
	await(t, "what attackers send is dropped", func() bool {
		underAttack = target.mustStats()
		return dropped(underAttack.Counts) > 0
	})
	filesDuring := target.files()
	came := newcomer.hear()

	a.rest()
	var ends, others int
	resting := time.Now()
	await(t, "the node ends hostile connections", func() bool { ends, others = a.opened(); return ends == 0 })
	t.Logf("the node had ended all but the %d links of those who now are only silent after %.1f s", others, time.Since(resting).Seconds())
	if long {
		await(t, "the node ends silent links", func() bool { _, others = a.opened(); return others == 0 })
		t.Logf("and those too after %.1f s", time.Since(resting).Seconds())
	}
	a.end()
	await(t, "the node forgets them", func() bool {
		return target.mustStats().Links.Others <= linksBefore && target.files() <= filesBefore+8
	})
	l.forget()
	after := l.answered(t, window)
	l.tell(orderStop)
	last := l.hear()
	memoryAfter, _ := target.memory()

	t.Logf("before: %v", before)
	t.Logf("during: %v", during)
	t.Logf("after:  %v", after)
	t.Logf("a newcomer was connected after %v: %v", connected.Round(time.Millisecond), came)
	t.Logf("memory in MiB: %d before, %d during, %d at most, %d after; files: %d before, %d during; links: %d, and %d of mixes; dropped: %v",
		memoryBefore>>20, memoryDuring>>20, most>>20, memoryAfter>>20, filesBefore, filesDuring,
		underAttack.Links.Others, underAttack.Links.Mixes, underAttack.Dropped)
	for _, r := range []report{before, during, after, last} {
		require.Empty(t, r.Wrong)
	}
	came.requireAll(t, 10)
	require.Less(t, most, memoryBefore+hostile*memoryEach)
}
