package tpm_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao/tpm"
)

// script is a TPM that says what is written down, whatever it is asked.
type script struct{ lines, response []byte }

func (s *script) Write(command []byte) (int, error) {
	n := len(s.lines)
	if n >= 6 {
		n = int(min(binary.BigEndian.Uint32(s.lines[2:]), uint32(n)))
	}
	s.response, s.lines = s.lines[:n], s.lines[n:]
	return len(command), nil
}

func (s *script) Read(b []byte) (int, error) {
	if len(s.response) == 0 {
		return 0, io.EOF
	}
	n := copy(b, s.response)
	s.response = s.response[n:]
	return n, nil
}

func (*script) Close() error { return nil }

// FuzzHostileTPM: what is at the other end of a socket can say anything, and crash nothing. The first byte chooses what
// it is asked for.
func FuzzHostileTPM(f *testing.F) {
	machine := start(f)
	require.NoError(f, newFactory(f).Certify(machine.Device()))
	blob, err := machine.Device().Seal([]byte("secret"), []uint8{14})
	require.NoError(f, err)
	all := operations(f, machine.Device())
	for i, operation := range all {
		wire := &relay{device: machine.Device(), breaks: -1}
		device, err := tpm.OpenTransport(wire)
		require.NoError(f, err)
		require.NoError(f, operation.run(device))
		f.Add(append([]byte{byte(i)}, wire.answers.Bytes()...))
	}
	f.Fuzz(func(t *testing.T, lines []byte) {
		if len(lines) == 0 {
			return
		}
		synctest.Test(t, func(*testing.T) { // it may say that it is busy
			device, err := tpm.OpenTransport(&script{lines: lines[1:]})
			if err == nil {
				_ = all[int(lines[0])%len(all)].run(device)
				_, _ = device.Unseal(blob)
			}
		})
	})
}

// FuzzUnseal: a blob may come from anywhere. Of those that a TPM gives a secret for there is one, and no other way to
// write it. The fuzzer chooses what stands in the place of which part of it, as each of its processes has another TPM.
func FuzzUnseal(f *testing.F) {
	device := start(f).Device()
	blob, err := device.Seal([]byte("secret"), []uint8{7, 14})
	require.NoError(f, err)
	f.Add(uint16(0), uint16(0), []byte{})
	f.Add(uint16(0), uint16(len(blob)), []byte{1, 1, 14, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, at, size uint16, part []byte) {
		from := min(int(at), len(blob))
		other := slices.Concat(blob[:from], part, blob[min(from+int(size), len(blob)):])
		secret, err := device.Unseal(other)
		if (err == nil) != bytes.Equal(other, blob) {
			t.Fatalf("%x gives %q: %v", other, secret, err)
		}
	})
}
