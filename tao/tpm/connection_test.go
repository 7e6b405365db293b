package tpm_test

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao/tpm"
)

// answer returns a response of nothing but a code.
func answer(code tpm2.TPMRC) []byte {
	return binary.BigEndian.AppendUint32([]byte{0x80, 0x01, 0, 0, 0, 10}, uint32(code))
}

// atTheEnd runs a test in virtual time with a socket, at whose other end serve is given each command and returns the
// response.
func atTheEnd(t *testing.T, serve func(command []byte) []byte, test func(stream net.Conn)) {
	synctest.Test(t, func(*testing.T) {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			command := make([]byte, 4096)
			for {
				n, err := theirs.Read(command)
				if err != nil {
					return
				}
				response := serve(command[:n])
				if response == nil {
					return
				}
				if _, err := theirs.Write(response); err != nil {
					return
				}
			}
		}()
		test(ours)
	})
}

// TestBusy: a TPM that tests itself, or spares its memory, is asked again for half a minute.
func TestBusy(t *testing.T) {
	for _, code := range []tpm2.TPMRC{tpm2.TPMRCRetry, tpm2.TPMRCYielded, tpm2.TPMRCTesting, tpm2.TPMRCNVRate} {
		asked := 0
		atTheEnd(t, func([]byte) []byte {
			if asked++; asked < 15 {
				return answer(code)
			}
			return answer(tpm2.TPMRCSuccess)
		}, func(stream net.Conn) {
			device, err := tpm.OpenTransport(stream)
			require.NoError(t, err)
			require.NoError(t, device.Close())
			require.Equal(t, 15, asked)
		})
		atTheEnd(t, func([]byte) []byte { return answer(code) }, func(stream net.Conn) {
			start := time.Now()
			_, err := tpm.OpenTransport(stream)
			require.ErrorIs(t, err, code)
			require.InDelta(t, 30*time.Second, time.Since(start), float64(2*time.Second))
		})
	}
}

// TestSilence: what says nothing is given up.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		start := time.Now()
		_, err := tpm.OpenTransport(ours)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.ErrorContains(t, err, "another program")
		require.Equal(t, 30*time.Second, time.Since(start))
		_, err = ours.Write([]byte{0})
		require.ErrorIs(t, err, io.ErrClosedPipe)
	})
}

// TestNoTPM: what answers otherwise than a TPM is not believed.
func TestNoTPM(t *testing.T) {
	ok := answer(tpm2.TPMRCSuccess)
	sized := func(size uint32) []byte {
		response := answer(tpm2.TPMRCSuccess)
		binary.BigEndian.PutUint32(response[2:], size)
		return response
	}
	for name, response := range map[string][]byte{
		"nothing":       nil,
		"half a header": ok[:5],
		"more after it": append(answer(tpm2.TPMRCSuccess), 0),
		"no size":       sized(0),
		"a size of 9":   sized(9),
		"4097 bytes":    sized(4097),
		"4 GB":          sized(1<<32 - 1),
		"a TPM 1.2":     {0, 0xc4, 0, 0, 0, 10, 0, 0, 0, 0x1e},
		"text":          []byte("HTTP/1.1 400 Bad Request\r\n\r\n"),
	} {
		atTheEnd(t, func([]byte) []byte { return response }, func(stream net.Conn) {
			_, err := tpm.OpenTransport(stream)
			require.Error(t, err, name)
			_, err = stream.Write([]byte{0})
			require.ErrorIs(t, err, io.ErrClosedPipe, name)
		})
	}
}

// TestSend: with it a device takes any command, and none that would break it.
func TestSend(t *testing.T) {
	device := start(t).Device()
	for _, size := range []int{0, 9, 4097} {
		_, err := device.Send(make([]byte, size))
		require.ErrorContains(t, err, "10 to 4096")
	}
	random, err := tpm2.GetRandom{BytesRequested: 16}.Execute(device)
	require.NoError(t, err)
	require.Len(t, random.RandomBytes.Buffer, 16)
}
