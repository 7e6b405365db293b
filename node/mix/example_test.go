package mix_test

import (
	"fmt"
	"slices"
	"time"

	"sphinxmix.example/node/mix"
)

func ExampleNew() {
	batch, err := mix.New[string](mix.Config{Strategy: "threshold", Size: 2, Interval: time.Minute})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

	batch.Add(mix.Packet[string]{Sender: "alice", Item: "first"}, now)
	batch.Add(mix.Packet[string]{Sender: "alice", Item: "second"}, now)
	out, next := batch.Due(now)
	fmt.Println(out, "ask again at", next.Format(time.TimeOnly))

	batch.Add(mix.Packet[string]{Sender: "bob", Item: "third"}, now)
	out, _ = batch.Due(now)
	slices.Sort(out) // only here: the order is random
	fmt.Println(out)
	// Output:
	// [] ask again at 12:01:00
	// [first second third]
}
