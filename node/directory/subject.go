package directory

import (
	"crypto/ed25519"
	"time"

	"sphinxmix.example/tao"
)

// What a mix offers, as descriptors list it, that does not make it an exit: that clients may link to it (GatewayService of
// package link), and what comes back to who sent it.
const (
	gatewayService = "gateway"
	echoService    = "echo"
)

// Role returns what the node is by its services: tao.Exit where it offers one that is neither "gateway" nor "echo", else
// tao.Mix.
func (d *Descriptor) Role() tao.Role {
	for _, name := range d.Services {
		if name != gatewayService && name != echoService {
			return tao.Exit
		}
	}
	return tao.Mix
}

// SubjectOf returns what a descriptor's evidence must be about, in a network whose directory has that key.
func SubjectOf(d *Descriptor, directoryKey ed25519.PublicKey) *tao.Subject {
	s := &tao.Subject{
		Identity: d.Identity,
		Role:     d.Role(),
		Network:  d.Network,
		Stamped:  func(stamp []byte) (time.Time, error) { return ParseStamp(stamp, directoryKey) },
	}
	for _, k := range d.Keys {
		s.Keys = append(s.Keys, tao.EpochKey{Epoch: k.Epoch, Key: k.Key})
	}
	return s
}
