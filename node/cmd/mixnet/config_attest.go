package main

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"sphinxmix.example/tao"
	"sphinxmix.example/tao/tpm"
)

// attestationSettings is what the section [attestation] of a node's configuration sets.
type attestationSettings struct {
	attestor            string
	register            int
	enrolment, log, key string // files
}

func newAttestationSettings() attestationSettings {
	return attestationSettings{
		register:  tao.DefaultRegister,
		enrolment: "enrolment.pem",
		log:       "measurements",
		key:       "attestation.key",
	}
}

// softAttestor is the name of the attestor that is a key in a file.
const softAttestor = "soft"

const attestorAdvice = `give a TPM like "/dev/tpmrm0", "unix:PATH" or "tcp:HOST:PORT", "soft" for trying out, or "" for none`

func (a *attestationSettings) list() []setting {
	return []setting{
		{
			key: "attestation.attestor", to: &a.attestor, advice: attestorAdvice,
			about: "What vouches for the program, the settings and the keys of this mix: a TPM 2.0, as \"/dev/tpmrm0\", \"unix:PATH\" or\n" +
				"\"tcp:HOST:PORT\"; \"soft\", a key in a file, which proves nothing and is for trying out; or \"\" for nothing: then\n" +
				"networks that have a policy refuse the mix. With one, directory.policy_key is needed.",
		},
		{
			key: "attestation.register", to: &a.register, positive: true, advice: "give the register that the network's policy wants, 1 to 15",
			about: "The register (PCR) of the TPM that programs and keys are measured into: 1 to 15, where nothing else measures.",
		},
		{
			key: "attestation.enrolment", to: &a.enrolment, advice: "name the file that 'mixnet node enrol' makes",
			about: "File with the enrolment of this mix by whoever has the policy key, which 'mixnet node enrol' asks for and makes.",
		},
		{
			key: "attestation.log", to: &a.log, advice: "name a file that nothing else writes",
			about: "File with what has been measured since the machine was started. Never change it; once the machine is started anew,\nit may be removed.",
		},
		{
			key: "attestation.key", to: &a.key, advice: "name a file that nothing else writes",
			about: "File with the key of the soft attestor, which 'mixnet node enrol' makes: Ed25519, PEM (PKCS #8).",
		},
	}
}

// kind returns what kind of attestor there is, and false where there is none.
func (a *attestationSettings) kind() (kind tao.Kind, attests bool) {
	switch a.attestor {
	case "":
		return 0, false
	case softAttestor:
		return tao.Soft, true
	default:
		return tao.TPM, true
	}
}

// checkAttestor says why an attestor cannot be one that a configuration names. It opens none.
func checkAttestor(name string) error {
	kind, rest, _ := strings.Cut(name, ":")
	switch {
	case name == "" || name == softAttestor || strings.HasPrefix(name, "/"):
	case kind == "unix" && rest != "":
	case kind == "tcp" && checkListen(rest) == nil && !strings.HasPrefix(rest, ":") && !strings.HasSuffix(rest, ":0"):
	default:
		return fmt.Errorf("is %q, which is no attestor", name)
	}
	return nil
}

// checkAttestation refuses settings that nothing can be attested by. It asks no TPM.
func (l *loadedNode) checkAttestation() {
	a, c := &l.settings.attestation, l.file
	c.check("attestation.attestor", a.attestor, checkAttestor)
	if tao.CheckLogRegister(uint8(min(a.register, 255))) != nil || a.register < 0 {
		c.refuse("attestation.register", fmt.Sprintf("is %d, which can be reset or is none", a.register))
	}
	if _, attests := a.kind(); attests && l.settings.directory.policyKey == "" && c.usable("directory.policy_key") {
		c.refuse("directory.policy_key", "is missing, and [attestation] has an attestor, whose evidence is for a policy")
	} else {
		l.attests = attests
	}
}

// checkEnrolment refuses settings of a node that is not enrolled as they say.
func (l *loadedNode) checkEnrolment() {
	a, c := &l.settings.attestation, l.file
	kind, attests := a.kind()
	if !attests || !c.usable("attestation.attestor") || !c.usable("attestation.enrolment") {
		return
	}
	if err := l.enrolled(kind); err != nil {
		c.refuseWith("attestation.enrolment", err)
	}
}

// enrolled returns nil where the node has an enrolment of a kind that is good now.
func (l *loadedNode) enrolled(kind tao.Kind) error {
	again := l.enrolAdvice()
	signed, err := l.readEnrolment()
	if errors.Is(err, fs.ErrNotExist) {
		return &remedied{"there is no file " + l.file.path(l.settings.attestation.enrolment), again}
	} else if err != nil {
		return &remedied{err.Error(), again}
	}
	record, err := tao.ParseRecord(signed)
	if err != nil {
		return &remedied{plain(err), again}
	}
	var key []byte
	if kind == tao.Soft {
		private, err := readKey(l.file.path(l.settings.attestation.key))
		if err != nil {
			return err
		}
		key = private.Public().(ed25519.PublicKey)
	}
	if err := l.checkRecord(record, kind, key, time.Now()); err != nil {
		return &remedied{err.Error(), again}
	}
	return nil
}

// checkRecord says why an enrolment is not one for this node as it is set up, on this machine: that whose attestor has
// a kind and a key, which is nil where no TPM was asked.
func (l *loadedNode) checkRecord(r *tao.Record, kind tao.Kind, key []byte, now time.Time) error {
	switch {
	case l.identity != nil && !r.Identity.Equal(l.identity.Public()):
		return fmt.Errorf("is for another node, whose identity is %x", r.Identity)
	case r.Kind != kind:
		return fmt.Errorf("is for a %v attestor, and attestation.attestor is %q", r.Kind, l.settings.attestation.attestor)
	case key != nil && !bytes.Equal(r.Key, key):
		return errors.New("is for another attestation key than this machine has")
	case !r.Roles.Has(l.settings.role()):
		return fmt.Errorf("lets this node be: %v, and by exit.enabled it is set up to be: %v", r.Roles, l.settings.role())
	case !now.Before(r.Expires):
		return errors.New("was good until " + r.Expires.UTC().Format(time.RFC3339))
	}
	return nil
}

// openAttestor opens what is to vouch for the node: a device too, which whoever calls it closes, where that is a TPM.
// The key of a soft attestor is made where there is neither one nor an enrolment that it could be of.
func (l *loadedNode) openAttestor() (tao.Attestor, *tpm.Device, error) {
	switch kind, attests := l.settings.attestation.kind(); {
	case !attests:
		return nil, nil, l.file.because("attestation.attestor", &remedied{"is empty, so that nothing vouches for this node", attestorAdvice})
	case kind == tao.Soft:
		key, err := l.softKey()
		if err != nil {
			return nil, nil, l.file.because("attestation.key", err)
		}
		return tao.NewSoft(key), nil, nil
	}
	device, err := tpm.Open(l.deviceAddress())
	if err != nil {
		return nil, nil, l.file.because("attestation.attestor", err)
	}
	attestor, err := device.Attestor()
	if err != nil {
		device.Close()
		return nil, nil, l.file.because("attestation.attestor", err)
	}
	return attestor, device, nil
}

// deviceAddress returns where the TPM is, as package tpm has it. A socket is named like all files of the configuration.
func (l *loadedNode) deviceAddress() string {
	if path, is := strings.CutPrefix(l.settings.attestation.attestor, "unix:"); is {
		return "unix:" + l.file.path(path)
	}
	return l.settings.attestation.attestor
}

// softKey returns the key of the soft attestor.
func (l *loadedNode) softKey() (ed25519.PrivateKey, error) {
	file := l.file.path(l.settings.attestation.key)
	if _, err := l.readEnrolment(); errors.Is(err, fs.ErrNotExist) {
		if _, err := createKey(file); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, &remedied{fmt.Sprintf("%s cannot be made (%v)", file, reason(err)), "let the user that runs this write there"}
		}
	}
	return readKey(file)
}

// readIdentity returns the node's private key, which the TPM opens where it is sealed.
func (l *loadedNode) readIdentity() (ed25519.PrivateKey, error) {
	file := l.file.path(l.settings.identity)
	if filepath.Ext(file) != sealedSuffix {
		return readKey(file)
	}
	kind, _ := l.settings.attestation.kind()
	if kind != tao.TPM || checkAttestor(l.settings.attestation.attestor) != nil {
		return nil, &remedied{file + " is sealed, and attestation.attestor names no TPM to open it", "name the TPM of this machine there"}
	}
	device, err := tpm.Open(l.deviceAddress())
	if err != nil {
		return nil, &remedied{fmt.Sprintf("%s is sealed, and its TPM cannot be used: %s", file, plain(err)), "make that work, or bring the key back from the backup"}
	}
	defer device.Close()
	return openSealed(file, device)
}

// openProver opens what the node's claims are proven by, nil where nothing vouches for the node, and measures that this
// program has started. end is to be called when the node has ended.
func (l *loadedNode) openProver() (prover *tao.Prover, end func(), err error) {
	if _, attests := l.settings.attestation.kind(); !attests {
		return nil, func() {}, nil
	}
	record, err := l.readEnrolment()
	if err != nil {
		return nil, nil, l.file.because("attestation.enrolment", err)
	}
	program, err := tao.ProgramDigest()
	if err != nil {
		return nil, nil, err
	}
	attestor, device, err := l.openAttestor()
	if err != nil {
		return nil, nil, err
	}
	end = func() {
		if device != nil {
			device.Close()
		}
	}
	cfg := tao.ProverConfig{Attestor: attestor, Record: record, Program: program, Register: uint8(l.settings.attestation.register)}
	if device != nil { // what a soft attestor has measured ends with the process
		cfg.LogFile = l.file.path(l.settings.attestation.log)
	}
	if prover, err = tao.NewProver(cfg); err == nil {
		return prover, end, nil
	}
	end()
	if errors.Is(err, tao.ErrRecord) {
		return nil, nil, l.file.because("attestation.enrolment", &remedied{plain(err), l.enrolAdvice()})
	}
	return nil, nil, l.file.because("attestation.log", &remedied{plain(err), "then start the mix again"})
}

// anyProver stands for what the claims of a node are proven by, which nobody but the node that runs may open.
func anyProver(identity ed25519.PrivateKey) (*tao.Prover, error) {
	record := tao.Record{
		Identity: identity.Public().(ed25519.PublicKey), Kind: tao.Soft, Key: identity.Public().(ed25519.PublicKey),
		Roles: tao.RolesOf(tao.Mix), Expires: time.Now(),
	}
	record.Issued = record.Expires
	signed, err := record.Sign(identity)
	if err != nil {
		return nil, err
	}
	return tao.NewProver(tao.ProverConfig{Attestor: tao.NewSoft(identity), Record: signed})
}

// enrolAdvice says what to do about an enrolment that is none of this node, as it is.
func (l *loadedNode) enrolAdvice() string {
	return fmt.Sprintf("enrol this node with 'mixnet node enrol --config %s'", l.file.file)
}

// readEnrolment returns the node's signed enrolment record. The error wraps fs.ErrNotExist where there is none.
func (l *loadedNode) readEnrolment() ([]byte, error) {
	return readBlock(l.file.path(l.settings.attestation.enrolment), enrolmentBlock)
}
