package tao

import "errors"

// What is wrong with something that does not come from a node. The errors returned wrap these and say more.
var (
	ErrPolicy  = errors.New("tao: the policy is not good")
	ErrRequest = errors.New("tao: the request cannot be granted")
)

// The rules of [Policy.Verify], by what is said of evidence that breaks them. The errors returned wrap one of these and say
// more.
var (
	ErrEvidence      = errors.New("tao: the evidence is malformed")
	ErrKind          = errors.New("tao: the policy does not accept this kind of attestor")
	ErrRecord        = errors.New("tao: the enrolment record is malformed")
	ErrEnroller      = errors.New("tao: the enrolment record is not signed by the policy key, nor by a key that the policy delegates to")
	ErrExpired       = errors.New("tao: the enrolment has expired")
	ErrIdentity      = errors.New("tao: another node was enrolled")
	ErrRole          = errors.New("tao: the node may not have this role")
	ErrRoot          = errors.New("tao: no root of the policy vouches for this TPM")
	ErrRevoked       = errors.New("tao: revoked")
	ErrKey           = errors.New("tao: the attestation key is not restricted to what a TPM says of itself")
	ErrSignature     = errors.New("tao: the quote is not signed by the attestation key that was enrolled")
	ErrMagic         = errors.New("tao: what is signed was not made by a TPM")
	ErrType          = errors.New("tao: what is signed is no quote")
	ErrSigner        = errors.New("tao: the quote was signed in another hierarchy than that of endorsement")
	ErrSelection     = errors.New("tao: the quote is over other registers than the policy wants")
	ErrDigest        = errors.New("tao: the registers do not have the values that were quoted")
	ErrClaim         = errors.New("tao: the quote is over another claim")
	ErrStamp         = errors.New("tao: the stamp is not the directory's")
	ErrStale         = errors.New("tao: the stamp is too old")
	ErrClock         = errors.New("tao: the quote is older than one that was seen before")
	ErrCleared       = errors.New("tao: the TPM has been cleared since the node was enrolled")
	ErrRegister      = errors.New("tao: the policy does not allow the value of a register")
	ErrLog           = errors.New("tao: the log does not lead to the value of its register")
	ErrProgram       = errors.New("tao: the policy does not know the program")
	ErrConfiguration = errors.New("tao: the policy does not know the configuration")
	ErrMinimum       = errors.New("tao: the configuration mixes less than the policy's minimum")
	ErrKeys          = errors.New("tao: the keys that were measured are not those that the node publishes")
)
