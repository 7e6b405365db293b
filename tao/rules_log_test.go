package tao_test

import (
	"slices"
	"time"

	"sphinxmix.example/tao"
)

// logged is a log that differs, in step with its register.
func logged(edit func(tao.EventLog) tao.EventLog) change {
	return change{before: func(s *scene) { s.log = edit(slices.Clone(s.log)) }}
}

// unmeasured is a log that was changed on its way: its register has another value.
func unmeasured(edit func(tao.EventLog) tao.EventLog) change {
	return change{evidence: func(e *tao.Evidence) { e.Log = edit(slices.Clone(e.Log)) }}
}

func also(events ...tao.Event) func(tao.EventLog) tao.EventLog {
	return func(l tao.EventLog) tao.EventLog { return append(l, events...) }
}

// mixesLess is a node that is set up in a way which the policy lists, though it is less than its own minimum.
func mixesLess(name string, c tao.Configuration) refusal {
	return refusal{
		name: "a configuration " + name, rule: byMinimum, err: tao.ErrMinimum,
		change: change{before: func(s *scene) { setUp(s, c) }},
	}
}

// setUp gives a node a configuration that is measured, and that the policy lists.
func setUp(s *scene, c tao.Configuration) {
	c.Network = network
	s.settings, s.log = c, slices.Clone(s.log)
	s.log[4].Digest = c.Digest()
	s.policy.Settings = []tao.Allowed{{Digest: c.Digest(), Roles: tao.RolesOf(tao.Mix)}}
}

// The scene's log, by index.
const (
	theProgram       = 3
	theConfiguration = 4
	keyOf41          = 6
	keyOf42          = 7
)

// logRefusals are about what a node has done.
var logRefusals = []refusal{
	{name: "an event that was not measured", rule: byLog, err: tao.ErrLog, change: unmeasured(also(tao.Event{Kind: tao.KeyMade, Epoch: 1}))},
	{name: "an event that was measured and is not told of", rule: byLog, err: tao.ErrLog, change: change{
		before: func(s *scene) { s.start = tao.Extend([32]byte{}, digest("something else")) },
	}},
	{name: "events in another order", rule: byLog, err: tao.ErrLog, change: unmeasured(func(l tao.EventLog) tao.EventLog {
		l[keyOf41], l[keyOf42] = l[keyOf42], l[keyOf41]
		return l
	})},
	{name: "an event that is left out at the end", rule: byLog, err: tao.ErrLog, also: []string{byKeys}, change: unmeasured(func(l tao.EventLog) tao.EventLog {
		return l[:keyOf42]
	})},
	{name: "events of the program before that are left out", rule: byLog, err: tao.ErrLog, change: unmeasured(func(l tao.EventLog) tao.EventLog {
		return l[theProgram:]
	})},
	{name: "an event that says it is of another kind", rule: byLog, err: tao.ErrLog, change: unmeasured(func(l tao.EventLog) tao.EventLog {
		l[1].Kind, l[1].Digest = tao.ProgramStarted, oldProgram
		return l
	})},
	{name: "a log that does not begin with a program", rule: byLog, err: tao.ErrLog, change: logged(func(l tao.EventLog) tao.EventLog {
		return l[1:]
	})},
	{name: "an empty log", rule: byLog, err: tao.ErrLog, also: []string{byPrograms, byConfiguration, byKeys}, change: logged(func(tao.EventLog) tao.EventLog {
		return nil
	})},
	{name: "a register that began at another value than the policy says", rule: byLog, err: tao.ErrLog, change: change{
		after: func(s *scene) {
			s.policy.Registers = append(s.policy.Registers, tao.RegisterRule{Index: s.policy.LogRegister, Values: [][32]byte{firmware}})
		},
	}},
	{name: "an unknown program", rule: byPrograms, err: tao.ErrProgram, change: logged(func(l tao.EventLog) tao.EventLog {
		l[theProgram].Digest = digest("a modified program")
		return l
	})},
	{name: "an unknown program that ran before", rule: byPrograms, err: tao.ErrProgram, change: logged(func(l tao.EventLog) tao.EventLog {
		l[0].Digest = digest("a modified program")
		return l
	})},
	{name: "a policy that knows no programs", rule: byPrograms, err: tao.ErrProgram, change: change{after: func(s *scene) { s.policy.Programs = nil }}},
	{name: "a role that the program does not have", rule: byPrograms, err: tao.ErrRole, change: change{
		after: func(s *scene) { programOf(s, program).Roles = tao.RolesOf(tao.Exit, tao.Directory) },
	}},
	{name: "an unknown configuration", rule: byConfiguration, err: tao.ErrConfiguration, change: change{after: func(s *scene) { s.policy.Settings = nil }}},
	{name: "a role that the configuration does not have", rule: byConfiguration, err: tao.ErrRole, change: change{
		after: func(s *scene) { s.policy.Settings[0].Roles = tao.RolesOf(tao.Exit) },
	}},
	{name: "a configuration for another network", rule: byConfiguration, err: tao.ErrConfiguration, change: change{
		after: func(s *scene) { s.subject.Network = digest("another network") },
	}},
	{name: "a configuration that was not measured", rule: byConfiguration, err: tao.ErrConfiguration, change: logged(func(l tao.EventLog) tao.EventLog {
		return slices.Delete(l, theConfiguration, theConfiguration+1)
	})},
	{name: "a configuration that only the program before has measured", rule: byConfiguration, err: tao.ErrConfiguration, change: logged(func(l tao.EventLog) tao.EventLog {
		l[1].Digest = mixing.Digest()
		return slices.Delete(l, theConfiguration, theConfiguration+1)
	})},
	{name: "a second configuration, measured later", rule: byConfiguration, err: tao.ErrConfiguration, change: logged(also(
		tao.Event{Kind: tao.Configured, Digest: digest("another")},
	))},
	{name: "a second configuration, measured before", rule: byConfiguration, err: tao.ErrConfiguration, change: logged(func(l tao.EventLog) tao.EventLog {
		return slices.Insert(l, theConfiguration, tao.Event{Kind: tao.Configured, Digest: digest("another")})
	})},
	mixesLess("with a pool that keeps nothing", tao.Configuration{Strategy: tao.Pool, Size: 9, Interval: time.Hour, MaxDelay: 2*time.Hour - time.Millisecond}),
	mixesLess("with batch 1", tao.Configuration{Strategy: tao.Threshold, Size: 1, Interval: time.Hour}),
	mixesLess("with no batch", tao.Configuration{Strategy: tao.Threshold, Interval: time.Hour}),
	mixesLess("that waits too little for others", tao.Configuration{Strategy: tao.Threshold, Size: 100, Interval: time.Second - time.Millisecond}),
	mixesLess("with a pool of one sender", tao.Configuration{Strategy: tao.Pool, Size: 1, Interval: time.Hour, MaxDelay: time.Hour}),
	mixesLess("with a pool that leaves too often", tao.Configuration{Strategy: tao.Pool, Size: 100, Interval: 999 * time.Millisecond, MaxDelay: time.Hour}),
	mixesLess("that is timed too often", tao.Configuration{Strategy: tao.Timed, Interval: 999 * time.Millisecond}),
	mixesLess("with too short delays", tao.Configuration{Strategy: tao.Poisson, MeanDelay: 99 * time.Millisecond, MaxDelay: time.Hour}),
	mixesLess("with delays that are cut short", tao.Configuration{Strategy: tao.Poisson, MeanDelay: time.Hour, MaxDelay: 99 * time.Millisecond}),
	mixesLess("that does not mix", tao.Configuration{Strategy: tao.NoStrategy, Size: 100, Interval: time.Hour, MeanDelay: time.Hour}),
	{name: "a second mix key of the same epoch", rule: byKeys, err: tao.ErrKeys, change: logged(also(
		tao.Event{Kind: tao.KeyMade, Epoch: 42, Digest: digest("one for the police")},
	))},
	{name: "a second mix key of the same epoch, measured before", rule: byKeys, err: tao.ErrKeys, change: logged(func(l tao.EventLog) tao.EventLog {
		return slices.Insert(l, keyOf42, tao.Event{Kind: tao.KeyMade, Epoch: 42, Digest: digest("one for the police")})
	})},
	{name: "a mix key of an epoch to come that is not published", rule: byKeys, err: tao.ErrKeys, change: logged(also(
		tao.Event{Kind: tao.KeyMade, Epoch: 1 << 63, Digest: digest("one for later")},
	))},
	{name: "a mix key that was measured for another epoch", rule: byKeys, err: tao.ErrKeys, change: logged(func(l tao.EventLog) tao.EventLog {
		l[keyOf42].Epoch = 43
		return l
	})},
	{name: "a mix key that was not measured", rule: byKeys, err: tao.ErrKeys, change: logged(func(l tao.EventLog) tao.EventLog {
		return l[:keyOf42]
	})},
	{name: "a mix key that only the program before has measured", rule: byKeys, err: tao.ErrKeys, change: logged(func(l tao.EventLog) tao.EventLog {
		l[2] = l[keyOf42]
		return l[:keyOf42]
	})},
	{name: "a mix key that is published twice", rule: byKeys, err: tao.ErrKeys, change: change{
		before: func(s *scene) { s.subject.Keys = append(s.subject.Keys, s.subject.Keys[1]) },
	}},
	{name: "a mix key of a directory that was not measured", rule: byKeys, err: tao.ErrKeys, change: change{before: func(s *scene) {
		asDirectory(s)
		s.subject.Keys = []tao.EpochKey{{Epoch: 50, Key: filled(50)}}
	}}},
	{name: "no mix key", rule: byKeys, err: tao.ErrKeys, change: change{before: func(s *scene) { s.subject.Keys = nil }}},
}

func programOf(s *scene, digest [32]byte) *tao.Allowed {
	return &s.policy.Programs[slices.IndexFunc(s.policy.Programs, func(a tao.Allowed) bool { return a.Digest == digest })]
}

// asDirectory makes the node one that lists others, and does not mix.
func asDirectory(s *scene) {
	setUp(s, tao.Configuration{})
	s.subject.Role, s.subject.Keys, s.record.Roles = tao.Directory, nil, tao.RolesOf(tao.Directory)
	s.policy.Settings[0].Roles, programOf(s, program).Roles = tao.RolesOf(tao.Directory), tao.RolesOf(tao.Directory)
	s.log = s.log[:theConfiguration+1]
}

// acceptedLogs are of nodes that have done nothing wrong.
var acceptedLogs = []struct {
	name   string
	change change
}{
	{"a key of a past epoch", logged(also(tao.Event{Kind: tao.KeyMade, Epoch: 40, Digest: digest("another of epoch 40")}))},
	{"an event twice", logged(also(
		tao.Event{Kind: tao.Configured, Digest: mixing.Digest()}, tao.Event{Kind: tao.KeyMade, Epoch: 42, Digest: digest("key of epoch 42")},
	))},
	{"one key", change{before: func(s *scene) { s.subject.Keys = s.subject.Keys[1:] }}},
	{"a register that began where the policy says", change{before: func(s *scene) {
		s.start = firmware
		s.policy.Registers = append(s.policy.Registers, tao.RegisterRule{Index: s.policy.LogRegister, Values: [][32]byte{newFirmware, firmware}})
	}}},
	{"the last register", change{before: func(s *scene) {
		if s.kind == tao.TPM {
			s.registers = append(s.registers, tao.Register{Index: 23, Value: firmware})
		}
		s.policy.Registers = append(s.policy.Registers, tao.RegisterRule{Index: 23, Values: [][32]byte{firmware}})
	}}},
	{"the newer firmware", change{before: func(s *scene) {
		if s.kind == tao.TPM {
			s.registers[0].Value = newFirmware
		}
	}}},
	{"a directory, which has no mix keys", change{before: asDirectory}},
	{"the first epoch of all", change{before: func(s *scene) {
		s.subject.Keys = []tao.EpochKey{{Epoch: 0, Key: filled(50)}}
		s.log = append(slices.Clone(s.log[:theConfiguration+1]), tao.Event{Kind: tao.KeyMade, Epoch: 0, Digest: filled(50)})
	}}},
	{"a batch of the minimum", change{before: func(s *scene) {
		setUp(s, tao.Configuration{Strategy: tao.Threshold, Size: 2, Interval: time.Second})
	}}},
	{"a pool of the minimum", change{before: func(s *scene) {
		setUp(s, tao.Configuration{Strategy: tao.Pool, Size: 2, Interval: time.Second, MaxDelay: 2 * time.Second})
	}}},
	{"an interval of the minimum", change{before: func(s *scene) { setUp(s, tao.Configuration{Strategy: tao.Timed, Interval: time.Second}) }}},
	{"delays of the minimum", change{before: func(s *scene) {
		setUp(s, tao.Configuration{Strategy: tao.Poisson, MeanDelay: 100 * time.Millisecond, MaxDelay: 100 * time.Millisecond})
	}}},
}
