package tao

import "errors"

// What is wrong with something that does not come from a node. The errors returned wrap these and say more.
var (
	ErrPolicy  = errors.New("the policy is not good")
	ErrRequest = errors.New("the request cannot be granted")
)

// The rules of [Policy.Verify], by what is said of evidence that breaks them. The errors returned wrap one of these
// and say more.
var (
	ErrEvidence      = errors.New("the evidence is malformed")
	ErrKind          = errors.New("the policy does not accept this kind of attestor")
	ErrRecord        = errors.New("the enrolment record is malformed")
	ErrEnroller      = errors.New("the enrolment record is not signed by the policy key, nor by a key that the policy delegates to")
	ErrExpired       = errors.New("the enrolment has expired")
	ErrIdentity      = errors.New("another node was enrolled")
	ErrRole          = errors.New("the node may not have this role")
	ErrRoot          = errors.New("no root of the policy vouches for this TPM")
	ErrRevoked       = errors.New("revoked")
	ErrKey           = errors.New("the attestation key is not restricted to what a TPM says of itself")
	ErrSignature     = errors.New("the quote is not signed by the attestation key that was enrolled")
	ErrMagic         = errors.New("what is signed was not made by a TPM")
	ErrType          = errors.New("what is signed is no quote")
	ErrSigner        = errors.New("the quote was signed in another hierarchy than that of endorsement")
	ErrSelection     = errors.New("the quote is over other registers than the policy wants")
	ErrDigest        = errors.New("the registers do not have the values that were quoted")
	ErrClaim         = errors.New("the quote is over another claim")
	ErrStamp         = errors.New("the stamp is not the directory's")
	ErrStale         = errors.New("the stamp is too old")
	ErrClock         = errors.New("the quote is older than one that was seen before")
	ErrCleared       = errors.New("the TPM has been cleared since the node was enrolled")
	ErrRegister      = errors.New("the policy does not allow the value of a register")
	ErrLog           = errors.New("the log does not lead to the value of its register")
	ErrProgram       = errors.New("the policy does not know the program")
	ErrConfiguration = errors.New("the policy does not know the configuration")
	ErrMinimum       = errors.New("the configuration mixes less than the policy's minimum")
	ErrKeys          = errors.New("the keys that were measured are not those that the node publishes")
)
