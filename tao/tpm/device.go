// Package tpm is the attestor of package tao that is a TPM 2.0: the chip of a machine, the virtual one of a virtual
// machine, or a program (package tao/swtpm).
//
// [Open] a [Device] by its address. [Device.Attestor] measures and quotes. [Device.Endorsement] and [Device.Activate]
// are a machine's side of enrolment. [Device.Seal] keeps a secret for as long as registers have the values they have
// now.
//
// Nothing is stored, in the TPM or elsewhere. Keys are made by the TPM out of the seeds in it and a fixed template
// whenever they are needed, the same ones each time, and are gone from the TPM's few slots when a call returns, whether
// it succeeds or not. So a device needs no care after a restart or a suspend of the machine, and other programs can use
// the TPM.
//
// A Device takes no passwords of hierarchies (a TPM has none unless somebody has set them), and does not check that it
// speaks with a TPM, which is what verifiers are for. It is open to whoever can change what passes between processor
// and TPM, as to whoever can use the TPM at all.
package tpm

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"github.com/google/go-tpm/tpm2"
)

// Device is an open TPM. It may be used by several goroutines at once. After a failure on the way to the TPM and back,
// the next call opens it anew where it was opened by its address; otherwise every call returns that failure.
type Device struct {
	dial func() (io.ReadWriteCloser, error) // nil where there is no address

	mu         sync.Mutex
	connection connection // guarded by mu
}

// Open returns the TPM at an address:
//
//	/dev/tpmrm0       a device of the operating system, best the one that several programs can use at once
//	unix:/path        a socket that bare commands are sent to, as swtpm's
//	tcp:host:port     the same
//
// A TPM that has not been started since it got power is started, which firmware and operating systems do for devices.
// Commands to sockets must be answered within half a minute; the operating system has its own limits for devices.
func Open(address string) (*Device, error) {
	network, rest, _ := strings.Cut(address, ":")
	var dial func() (io.ReadWriteCloser, error)
	switch {
	case strings.HasPrefix(address, "/"):
		dial = func() (io.ReadWriteCloser, error) {
			file, err := openFile(address)
			if err != nil {
				return nil, fmt.Errorf("%w%s", err, adviceToOpen(err))
			}
			return file, nil
		}
	case network == "unix" || network == "tcp":
		dial = func() (io.ReadWriteCloser, error) { return (&net.Dialer{Timeout: patience}).Dial(network, rest) }
	default:
		return nil, fmt.Errorf("tpm: %q is no address of a TPM: give /dev/tpmrm0, unix:/path or tcp:host:port", address)
	}
	stream, err := dial()
	if err != nil {
		return nil, fmt.Errorf("tpm: cannot open %s: %w", address, err)
	}
	d, err := OpenTransport(stream)
	if err != nil {
		return nil, fmt.Errorf("%w, at %s", err, address)
	}
	d.dial = dial
	return d, nil
}

// OpenTransport returns the TPM at the other end of a stream of bare commands and responses, which the device closes,
// also where it is none.
func OpenTransport(stream io.ReadWriteCloser) (_ *Device, err error) {
	d := &Device{connection: connection{stream: stream}}
	if err := d.start(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// start makes sure of a TPM that takes commands.
func (d *Device) start() (err error) {
	defer d.begin("opening", &err)()
	return d.wake()
}

// wake makes sure that the TPM was started since it got power.
func (d *Device) wake() error {
	ask := tpm2.GetCapability{Capability: tpm2.TPMCapTPMProperties, Property: uint32(tpm2.TPMPTFamilyIndicator), PropertyCount: 1}
	_, err := ask.Execute(&d.connection)
	if errors.Is(err, tpm2.TPMRCInitialize) {
		_, err = tpm2.Startup{StartupType: tpm2.TPMSUClear}.Execute(&d.connection)
	}
	return err
}

// Close closes the device, and leaves nothing behind in the TPM.
func (d *Device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.connection.close()
}

// Send runs one command, as TPM 2.0 Library, part 3 writes them, and returns the response, also one that says that the
// TPM refuses. It comes between the commands of no other call. With it, a Device is a transport of package tpm2, for
// what is not done here.
func (d *Device) Send(command []byte) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.connection.Send(command)
}

// begin waits until the TPM is free for an operation, and returns what ends that and says in err what failed.
func (d *Device) begin(doing string, err *error) func() {
	d.mu.Lock()
	d.mend()
	return func() {
		d.mu.Unlock()
		if *err != nil {
			*err = fmt.Errorf("tpm: %s: %w%s", doing, *err, advice(*err))
		}
	}
}

// mend opens a TPM anew whose connection is broken. Where that fails, the operation fails as the one before did.
func (d *Device) mend() {
	if d.dial == nil || d.connection.broken == nil || errors.Is(d.connection.broken, errClosed) {
		return
	}
	if stream, err := d.dial(); err == nil {
		d.connection = connection{stream: stream}
		_ = d.wake() // the operation meets what is wrong
	}
}

// object is one that is in one of the TPM's slots.
type object struct {
	handle tpm2.TPMHandle
	name   tpm2.TPM2BName
	public []byte // TPMT_PUBLIC
}

// use returns the object, with what allows its use: that it has no password.
func (o *object) use() tpm2.AuthHandle {
	return tpm2.AuthHandle{Handle: o.handle, Name: o.name, Auth: tpm2.PasswordAuth(nil)}
}

// primary makes a key out of the seed of a hierarchy and the template. Whoever calls it flushes the handle.
func (d *Device) primary(hierarchy tpm2.TPMHandle, template tpm2.TPMTPublic) (*object, error) {
	made, err := tpm2.CreatePrimary{PrimaryHandle: hierarchy, InPublic: tpm2.New2B(template)}.Execute(&d.connection)
	if err != nil {
		return nil, err
	}
	return &object{made.ObjectHandle, made.Name, made.OutPublic.Bytes()}, nil
}

// flush frees the slot of an object or a session. It is deferred: what failed before says more.
func (d *Device) flush(handle tpm2.TPMHandle, err *error) {
	if _, failed := (tpm2.FlushContext{FlushHandle: handle}).Execute(&d.connection); failed != nil && *err == nil {
		*err = failed
	}
}
