package tpm

import (
	"errors"
	"io/fs"

	"github.com/google/go-tpm/tpm2"
)

// What a caller may want to know apart. The errors returned wrap these.
var (
	// ErrRegisters: registers do not have the values that a secret was sealed to.
	ErrRegisters = errors.New("the registers do not have the values that the secret was sealed to")

	// ErrForeign: the TPM does not know what it is given.
	ErrForeign = errors.New("it was made for another TPM, or before this one was cleared, or it is damaged")

	// ErrNoBank: the TPM has no registers of SHA-256.
	ErrNoBank = errors.New("the TPM has no SHA-256 registers: choose SHA-256 for its PCR banks in the firmware's setup")
)

// errCleared is about a TPM that makes another attestation key than before.
var errCleared = errors.New("the TPM has another attestation key than when it was opened: its seeds were changed")

const (
	adviceOnPassword = "somebody has set a password, which is not supported: clear the TPM in the firmware's setup, and enrol it again"
	adviceOnRoom     = "other programs fill the TPM: use /dev/tpmrm0, where each has its own room"
)

var advices = []struct {
	code tpm2.TPMRC
	what string
}{
	{tpm2.TPMRCLockout, "the TPM is locked after wrong passwords: wait, or run tpm2_dictionarylockout --clear-lockout"},
	{tpm2.TPMRCBadAuth, adviceOnPassword},
	{tpm2.TPMRCAuthFail, adviceOnPassword},
	{tpm2.TPMRCHierarchy, "the hierarchy is disabled: enable the TPM in the firmware's setup"},
	{tpm2.TPMRCObjectMemory, adviceOnRoom},
	{tpm2.TPMRCSessionMemory, adviceOnRoom},
	{tpm2.TPMRCLocality, "registers 17 to 22 are not for programs"},
	{tpm2.TPMRCFailure, "the TPM has failed its self-test: turn the machine off and on again"},
}

// advice returns what can be done about an error of the TPM, where that is known.
func advice(err error) string {
	for _, a := range advices {
		if errors.Is(err, a.code) {
			return " (" + a.what + ")"
		}
	}
	return ""
}

// adviceToOpen is the same for a device that cannot be opened.
func adviceToOpen(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return " (add the user to the group tss: usermod -aG tss USER, then log in again)"
	case errors.Is(err, fs.ErrNotExist):
		return " (is there a TPM, and is it enabled in the firmware's setup?)"
	}
	return ""
}
