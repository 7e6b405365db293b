package tao_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

// measured are the events of a program's first evidence in a scene.
func (c *computer) measured() tao.EventLog {
	log := tao.EventLog{{Kind: tao.ProgramStarted, Digest: program}, {Kind: tao.Configured, Digest: c.settings.Digest()}}
	for _, k := range c.subject.Keys {
		log = append(log, tao.Event{Kind: tao.KeyMade, Epoch: k.Epoch, Digest: k.Key})
	}
	return log
}

func TestEventsAreInOrderAndMeasuredOnce(t *testing.T) {
	c := newComputer(t)
	p, err := c.start()
	require.NoError(t, err)
	c.requireKept(t, c.measured()[:1])
	require.Equal(t, c.measured(), c.requireAccepted(t, p).Log)
	require.Equal(t, c.measured(), c.requireAccepted(t, p).Log)
	require.Equal(t, len(c.measured()), c.extended)

	next := tao.EpochKey{Epoch: 43, Key: digest("key of epoch 43")}
	c.subject.Keys = append(c.subject.Keys[1:], next)
	e := c.requireAccepted(t, p)
	require.Equal(t, append(c.measured()[:2], newComputer(t).measured()[2], c.measured()[2], c.measured()[3]), e.Log)

	info, err := os.Stat(c.logFile)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.Empty(t, leftovers(t, c.logFile))
}

// leftovers are files beside a log.
func leftovers(t testing.TB, path string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	for _, e := range entries {
		if e.Name() != filepath.Base(path) {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestProgramsAreMeasuredOneAfterTheOther(t *testing.T) {
	c := newComputer(t)
	c.run(t)
	e := c.requireAccepted(t, c.run(t))
	require.Equal(t, append(c.measured(), c.measured()...), e.Log)
}

// TestProgramThatDoesNotComeUpFillsNoLog starts one again and again that ends before it has said anything.
func TestProgramThatDoesNotComeUpFillsNoLog(t *testing.T) {
	c := newComputer(t)
	for range 5 {
		_, err := c.start()
		require.NoError(t, err)
	}
	require.Equal(t, c.measured(), c.requireAccepted(t, c.run(t)).Log)
}

// TestEventIsWrittenBeforeItIsMeasured looks at the file at the moment when the register changes.
func TestEventIsWrittenBeforeItIsMeasured(t *testing.T) {
	c := newComputer(t)
	c.onExtend = func(do func()) error {
		kept, err := os.ReadFile(c.logFile)
		require.NoError(t, err)
		require.Equal(t, c.measured()[:c.extended+1].Encode(), kept[32:])
		do()
		return nil
	}
	c.run(t)
	require.Equal(t, len(c.measured()), c.extended)
}

// TestCrashBetweenWritingAndMeasuring has the power fail at each event, before it is measured and after.
func TestCrashBetweenWritingAndMeasuring(t *testing.T) {
	for measured := range 2 {
		for at := range len(newComputer(t).measured()) {
			t.Run(fmt.Sprintf("event %d, measured %d times", at, measured), func(t *testing.T) {
				c := newComputer(t)
				c.onExtend = func(do func()) error {
					if c.extended < at {
						do()
						return nil
					}
					for range measured {
						do()
					}
					return errPower
				}
				p, err := c.start()
				if err == nil {
					_, err = p.Attest(c.says(), c.policy)
				}
				require.ErrorIs(t, err, errPower)
				c.onExtend = nil
				if at > 0 {
					require.Equal(t, c.measured(), c.requireAccepted(t, p).Log) // where only the attestor had failed
				}
				c.run(t) // anew
				c.run(t)
			})
		}
	}
}

// TestTornTail leaves behind every part of an event that was being written when the machine went down.
func TestTornTail(t *testing.T) {
	event := (&tao.EventLog{{Kind: tao.KeyMade, Epoch: 43, Digest: filled(43)}}).Encode()
	for n := 1; n <= len(event); n += 4 {
		c := newComputer(t)
		c.run(t)
		appendTo(t, c.logFile, event[:n])
		c.run(t)
		c.run(t)
		require.Empty(t, leftovers(t, c.logFile))
	}
}

func appendTo(t testing.TB, path string, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.Write(b)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// TestDamagedLogIsNeverBelieved cuts the file at each length, and flips each of its bytes: then either the program does not start, or
// nobody believes its evidence, or it is the same as before.
func TestDamagedLogIsNeverBelieved(t *testing.T) {
	c := newComputer(t)
	c.run(t)
	good, err := os.ReadFile(c.logFile)
	require.NoError(t, err)
	registers := c.attestor
	refused := 0
	try := func(damaged []byte, what string) {
		c.attestor = tao.NewSoft(softKey)
		for _, e := range c.measured() {
			require.NoError(t, c.attestor.Extend(tao.DefaultRegister, e.Measure()))
		}
		require.NoError(t, os.WriteFile(c.logFile, damaged, 0o600))
		p, err := c.start()
		if err != nil {
			refused++
			require.ErrorContains(t, err, "remove the log", what)
			return
		}
		evidence, err := p.Attest(c.says(), c.policy)
		require.NoError(t, err, what)
		j := c.judge(t, evidence)
		require.ErrorIs(t, j.err, tao.ErrLog, what)
	}
	for n := range good {
		try(good[:n], fmt.Sprintf("cut to %d bytes", n))
		flipped := bytes.Clone(good)
		flipped[n] ^= 0x41
		try(flipped, fmt.Sprintf("byte %d is flipped", n))
	}
	require.Equal(t, 2*len(good)-32, refused, "but where there is no beginning of a log, it is taken for none")
	c.attestor = registers
	require.NoError(t, os.WriteFile(c.logFile, good, 0o600))
	c.run(t)
}

func TestForeignExtension(t *testing.T) {
	c := newComputer(t)
	p := c.run(t)
	require.NoError(t, c.attestor.Extend(tao.DefaultRegister, filled(1)))
	for range 2 {
		_, err := p.Attest(c.says(), c.policy)
		require.ErrorContains(t, err, "register 14")
	}
	_, err := c.start()
	require.ErrorContains(t, err, "register 14")
	require.ErrorContains(t, err, c.logFile)
	c.reboot()
	c.run(t)
}

// TestRebootBeginsANewLog is about registers that begin at zero, and about one that firmware extends first.
func TestRebootBeginsANewLog(t *testing.T) {
	c := newComputer(t)
	c.run(t)
	c.reboot()
	require.Equal(t, c.measured(), c.requireAccepted(t, c.run(t)).Log)

	first := tao.Extend([32]byte{}, firmware)
	c.policy.Registers = append(c.policy.Registers, tao.RegisterRule{Index: tao.DefaultRegister, Values: [][32]byte{first}})
	boot := func() {
		c.reboot()
		require.NoError(t, c.attestor.Extend(tao.DefaultRegister, firmware))
	}
	boot()
	_, err := c.start()
	require.ErrorContains(t, err, "remove the log", "that is a foreign extension, too")
	require.NoError(t, os.Remove(c.logFile))
	c.run(t)
	boot()
	require.Equal(t, c.measured(), c.requireAccepted(t, c.run(t)).Log)
	boot()
	c.onExtend = func(func()) error { return errPower } // before the first event
	_, err = c.start()
	require.ErrorIs(t, err, errPower)
	c.onExtend = nil
	require.Equal(t, c.measured(), c.requireAccepted(t, c.run(t)).Log)

	c.policy.Registers[len(c.policy.Registers)-1].Values = [][32]byte{{}, first}
	c.reboot() // of a firmware that leaves the register alone
	require.Equal(t, c.measured(), c.requireAccepted(t, c.run(t)).Log)
}

// TestFullLog makes keys until there is no more room, and wants what was measured to be shown still.
func TestFullLog(t *testing.T) {
	c := newComputer(t)
	c.record.Key = nil
	p := c.run(t)
	room := p.Room()
	require.Greater(t, room, 0.0)
	keys := 2
	for epoch := uint64(43); ; epoch++ {
		before := c.subject.Keys
		c.subject.Keys = append(c.subject.Keys[1:2:2], tao.EpochKey{Epoch: epoch, Key: digest(fmt.Sprint(epoch))})
		evidence, err := p.Attest(c.says(), c.policy)
		if err != nil {
			require.ErrorIs(t, err, tao.ErrLogFull)
			c.subject.Keys = before
			break
		}
		require.LessOrEqual(t, len(evidence), tao.MaxEvidenceSize)
		require.Greater(t, p.Room(), room)
		room = p.Room()
		keys++
	}
	require.Greater(t, keys, 300)
	require.Greater(t, room, 0.99)
	require.LessOrEqual(t, room, 1.0)
	c.requireAccepted(t, p)
	_, err := c.start()
	require.ErrorIs(t, err, tao.ErrLogFull)
	c.reboot()
	require.Less(t, c.run(t).Room(), 0.02)
}

// TestFilesThatCannotBeWritten want an error, and no event in the register that is not in the log.
func TestFilesThatCannotBeWritten(t *testing.T) {
	c := newComputer(t)
	c.logFile = filepath.Join(t.TempDir(), "no folder", "measurements")
	_, err := c.start()
	require.ErrorIs(t, err, os.ErrNotExist)
	c.logFile = t.TempDir() // a folder
	_, err = c.start()
	require.Error(t, err)
	c.logFile = filepath.Join(t.TempDir(), "loop")
	require.NoError(t, os.Symlink(c.logFile, c.logFile))
	_, err = c.start()
	require.Error(t, err, "there may be a log that it cannot read")
	require.Zero(t, c.extended)

	c = newComputer(t)
	p, err := c.start()
	require.NoError(t, err)
	require.NoError(t, os.Remove(c.logFile))
	_, err = p.Attest(c.says(), c.policy)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.Equal(t, 1, c.extended)
}

// TestZerosBehindTheLog are what file systems may leave where the power failed.
func TestZerosBehindTheLog(t *testing.T) {
	c := newComputer(t)
	c.run(t)
	appendTo(t, c.logFile, make([]byte, 41))
	c.run(t)
	appendTo(t, c.logFile, make([]byte, 41))
	c.reboot()
	c.run(t)
}

// TestLogThatIsRemoved while the program runs comes back with the next event.
func TestLogThatIsRemoved(t *testing.T) {
	c := newComputer(t)
	p := c.run(t)
	require.NoError(t, os.Remove(c.logFile))
	c.subject.Keys = append(c.subject.Keys, tao.EpochKey{Epoch: 1000, Key: filled(7)})
	_, err := p.Attest(c.says(), c.policy)
	require.ErrorIs(t, err, fs.ErrNotExist)
	c.requireAccepted(t, p)
	c.run(t)
}

// TestLogFollowsNoLink to a file of somebody else.
func TestLogFollowsNoLink(t *testing.T) {
	c := newComputer(t)
	victim := filepath.Join(t.TempDir(), "victim")
	require.NoError(t, os.WriteFile(victim, []byte("precious"), 0o600))
	require.NoError(t, os.Symlink(victim, c.logFile+".partial"))
	c.run(t)
	content, err := os.ReadFile(victim)
	require.NoError(t, err)
	require.Equal(t, "precious", string(content))
}
