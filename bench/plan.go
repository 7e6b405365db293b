package bench

import (
	"regexp"
	"slices"
)

// The packets that the tables are about: paths of 5 hops, and 1024 bytes of payload where it says nothing else.
const (
	mainHops    = 5
	mainPayload = 1024
	mainBatch   = 64 // packets that fill every kernel
)

// What a hop of a path of mainHops works on, in bytes; testvectors/README.md has the sizes for any.
const (
	scheduleInput  = 3 * 32                // α, y and s, of which a hop's keys are made
	keysSize       = 320                   // those keys
	betaSize       = (2*mainHops + 1) * 16 // β, which γ covers
	betaStreamSize = betaSize + 32         // β and what a hop adds to its end
)

var (
	payloads   = []int{256, mainPayload, 2048, 32768}
	batchSizes = []int{1, 2, 4, 8, 16, 32, mainBatch}
	lanes      = []int{1, 2, 4, 8, 16, 64}
)

// lionessRest is how many bytes of a payload LIONESS hashes and encrypts in each round: all but its first 32.
func lionessRest(payload int) int { return payload - 32 }

// plan lists what is measured: hops, senders, and primitives.
func plan(only *regexp.Regexp) []maker {
	var all []maker
	for _, payload := range payloads {
		all = append(all, unwrap(mainHops, payload))
		for _, size := range batchSizes {
			all = append(all, unwrapBatch(mainHops, payload, size))
		}
	}
	for _, payload := range payloads {
		all = append(all, wrap(mainHops, payload), wrapBatch(mainHops, payload, 8), wrapBatch(mainHops, payload, mainBatch))
	}
	all = append(all, makeSURB(mainHops, 0), makeSURB(mainHops, 8), makeSURB(mainHops, mainBatch))
	all = append(all, openReply(mainHops, mainPayload))
	for _, size := range lanes {
		all = append(all, multiply("any", size))
	}
	all = append(all, multiply("base", 1), multiply("base", 8))
	all = append(all, multiplyOthers()...)
	for _, length := range []int{betaStreamSize, keysSize, lionessRest(1024), lionessRest(32768)} {
		all = append(all, keystream(length, 0), keystream(length, 8), keystreamOther(length))
	}
	for _, length := range []int{scheduleInput, betaSize, lionessRest(1024), lionessRest(32768)} {
		all = append(all, digest(length, 0), digest(length, 8), digestOther(length))
	}
	for _, size := range []int{1024, 32768} {
		all = append(all, wideBlock(size, 0), wideBlock(size, 8))
	}
	return slices.DeleteFunc(all, func(m maker) bool { return only != nil && !only.MatchString(m.Name()) })
}
