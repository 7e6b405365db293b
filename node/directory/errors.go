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
	ErrPolicy           = errors.New("the network's policy cannot be followed")
	ErrTwoPolicies      = errors.New("the policy key has signed two policies of version")
	ErrSameMachine      = errors.New("another node has the same TPM, or the same attestation key")
)

// What else a [Server] refuses a node for.
var (
	ErrLeave     = errors.New("malformed leave")
	ErrLifetime  = errors.New("the descriptor expires too far in the future")
	ErrFuture    = errors.New("from the future")
	ErrTaken     = errors.New("another node has this node id")
	ErrFull      = errors.New("no room for another node")
	ErrTooMany   = errors.New("too many new nodes from one address: try again later")
	ErrTooMuch   = errors.New("too many bytes of descriptors from one address: try again later")
	ErrTooOften  = errors.New("the node has changed too often: try again later")
	ErrUntrusted = errors.New("the network's policy does not trust the node")
	ErrTooWrong  = errors.New("too many nodes from one address that the policy does not trust: try again later")
	ErrStore     = errors.New("the directory cannot reach what it knows: try again later")
)

// What a [Client] meets on its way. The errors returned wrap these and say what to do.
var (
	ErrNoAnswer = errors.New("does not answer")
	ErrTwoViews = errors.New("the directory lies: it signed two views of version")
	ErrRefused  = errors.New("refuses")
)
