package sphinx

import "errors"

// What a packet from outside is refused with. A node counts them and otherwise tells nobody.
var (
	ErrPacketSize  = errors.New("sphinx: packet has the wrong size")
	ErrGroup       = errors.New("sphinx: α is of low order")
	ErrMAC         = errors.New("sphinx: header fails authentication")
	ErrReplay      = errors.New("sphinx: packet was seen before")
	ErrReplayStore = errors.New("sphinx: the replay set could not answer") // wraps the store's error
	ErrRouting     = errors.New("sphinx: malformed routing block")
	ErrPayload     = errors.New("sphinx: payload is corrupt")
)

// What a caller's arguments are refused with; the errors returned wrap these and say more.
var (
	ErrParams      = errors.New("sphinx: parameters out of range")
	ErrPath        = errors.New("sphinx: path is not possible")
	ErrKey         = errors.New("sphinx: not a usable key")
	ErrDestination = errors.New("sphinx: destination must have 1 to 127 bytes")
	ErrMessageSize = errors.New("sphinx: message is too long")
	ErrClientID    = errors.New("sphinx: client id does not fit")
	ErrSURB        = errors.New("sphinx: not a SURB")
	ErrSpent       = errors.New("sphinx: SURB or reply key was used before")
)
