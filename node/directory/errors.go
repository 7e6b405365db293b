package directory

import "errors"

// What is wrong with a descriptor or a view. The errors returned wrap these and say more.
var (
	ErrKey              = errors.New("not a usable Ed25519 key")
	ErrDescriptor       = errors.New("malformed descriptor")
	ErrView             = errors.New("malformed view")
	ErrSignature        = errors.New("wrong signature")
	ErrExpired          = errors.New("expired")
	ErrInsecureSchedule = errors.New("the network uses the insecure key schedule 0, with which every packet can be traced")
	ErrNetwork          = errors.New("impossible network")
	ErrOtherNetwork     = errors.New("the node is set up for a network with other parameters")
	ErrOlder            = errors.New("older than what is known already")
)

// What else a [Server] refuses a descriptor for.
var (
	ErrLifetime = errors.New("the descriptor expires too far in the future")
	ErrTaken    = errors.New("another node has this node id")
	ErrFull     = errors.New("no room for another node")
)

// What a [Client] meets on its way. The errors returned wrap these and say what to do.
var (
	ErrNoAnswer = errors.New("does not answer")
	ErrRefused  = errors.New("refuses")
)
