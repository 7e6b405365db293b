package tao_test

import (
	"slices"

	"github.com/google/go-tpm/tpm2"

	"sphinxmix.example/tao"
)

// quoted replaces what a quote is over: any banks, and a digest that fits nothing else unless it is given.
func quoted(banks ...tpm2.TPMSPCRSelection) change {
	return change{attest: func(a *tpm2.TPMSAttest) {
		info, err := a.Attested.Quote()
		if err != nil {
			panic(err)
		}
		a.Attested = quoteInfo(info.PCRDigest.Buffer, banks...)
	}}
}

// wide returns a selection of the SHA-256 bank as it is, whatever its size.
func wide(selected ...byte) tpm2.TPMSPCRSelection {
	return tpm2.TPMSPCRSelection{Hash: tpm2.TPMAlgSHA256, PCRSelect: selected}
}

// registerRefusals are about what a quote is over, and the values that registers had.
var registerRefusals = []refusal{
	{
		name: "a quote over other registers", kinds: onlyTPM, rule: bySelection, err: tao.ErrSelection,
		change: quoted(bankOf(tpm2.TPMAlgSHA256, 1, 14)),
	},
	{
		name: "a quote that leaves out the platform's register", kinds: onlyTPM, rule: bySelection, err: tao.ErrSelection,
		change: change{before: func(s *scene) { s.registers = nil }},
	},
	{
		name: "a quote that leaves out the log's register", kinds: onlyTPM, rule: bySelection, err: tao.ErrSelection,
		change: quoted(bankOf(tpm2.TPMAlgSHA256, 0)),
	},
	{
		name: "a quote over one register more", kinds: onlyTPM, rule: bySelection, err: tao.ErrSelection, also: []string{byPlatform},
		change: change{before: func(s *scene) { s.registers = append(s.registers, tao.Register{Index: 7, Value: firmware}) }},
	},
	{
		name: "a soft quote over one register more", kinds: onlySoft, rule: bySelection, err: tao.ErrSelection,
		change: change{before: func(s *scene) { s.registers = []tao.Register{{Index: 0, Value: firmware}} }},
	},
	{
		name: "a quote over nothing", kinds: onlyTPM, rule: bySelection, err: tao.ErrSelection,
		change: quoted(),
	},
	{
		name: "a soft quote over nothing", kinds: onlySoft, rule: bySelection, err: tao.ErrSelection, also: []string{byValues},
		change: change{statement: func(b []byte) []byte { return b[:len(b)-33] }},
	},
	{
		name: "a quote over another bank", kinds: onlyTPM, rule: bySelection, err: tao.ErrSelection,
		change: quoted(bankOf(tpm2.TPMAlgSHA1, 0, 14)),
	},
	{
		name: "a quote over another bank too", kinds: onlyTPM, rule: bySelection, err: tao.ErrSelection,
		change: quoted(bankOf(tpm2.TPMAlgSHA256, 0, 14), bankOf(tpm2.TPMAlgSHA1, 0)),
	},
	{
		name: "a quote over the same bank in two parts", kinds: onlyTPM, rule: bySelection, err: tao.ErrSelection,
		change: quoted(bankOf(tpm2.TPMAlgSHA256, 0), bankOf(tpm2.TPMAlgSHA256, 14)),
	},
	{
		name: "a quote over as many banks as there are", kinds: onlyTPM, rule: bySelection, err: tao.ErrSelection,
		change: quoted(slices.Repeat([]tpm2.TPMSPCRSelection{wide()}, 16)...),
	},
	{
		name: "a selection that has room for more registers", kinds: onlyTPM, rule: bySelection, err: tao.ErrSelection,
		change: quoted(wide(0x01, 0x40, 0, 0)),
	},
	{
		name: "a selection that has room for fewer registers", kinds: onlyTPM, rule: bySelection, err: tao.ErrSelection,
		change: quoted(wide(0x01, 0x40)),
	},
	{
		name: "a log of another register", rule: bySelection, err: tao.ErrSelection,
		change: change{evidence: func(e *tao.Evidence) { e.LogRegister = 15 }},
	},
	{
		name: "a value that was tampered with", kinds: onlyTPM, rule: byValues, err: tao.ErrDigest,
		change: change{evidence: func(e *tao.Evidence) { e.Registers[0].Value = newFirmware }},
	},
	{
		name: "a value of the log's register that was tampered with", rule: byValues, err: tao.ErrDigest, also: []string{byLog},
		change: change{evidence: func(e *tao.Evidence) { e.Registers[len(e.Registers)-1].Value[0] ^= 1 }},
	},
	{
		name: "values that stand at each other's place", kinds: onlyTPM, rule: byValues, err: tao.ErrDigest, also: []string{byPlatform, byLog},
		change: change{evidence: func(e *tao.Evidence) {
			e.Registers[0].Value, e.Registers[1].Value = e.Registers[1].Value, e.Registers[0].Value
		}},
	},
	{
		name: "a value that is missing", kinds: onlyTPM, rule: bySelection, err: tao.ErrSelection, also: []string{byValues},
		change: change{evidence: func(e *tao.Evidence) { e.Registers = e.Registers[1:] }},
	},
	{
		name: "a value that is missing, and that of the log", rule: bySelection, err: tao.ErrSelection, also: []string{byValues, byLog},
		change: change{evidence: func(e *tao.Evidence) { e.Registers = nil }},
	},
	{
		name: "a value that nobody has quoted", rule: bySelection, err: tao.ErrSelection, also: []string{byValues, byPlatform},
		change: change{evidence: func(e *tao.Evidence) { e.Registers = append(e.Registers, tao.Register{Index: 15, Value: firmware}) }},
	},
	{
		name: "a value that stands for another register", kinds: onlyTPM, rule: bySelection, err: tao.ErrSelection, also: []string{byPlatform},
		change: change{evidence: func(e *tao.Evidence) { e.Registers[0].Index = 1 }},
	},
	{
		name: "a digest of another length", kinds: onlyTPM, rule: byValues, err: tao.ErrDigest,
		change: change{attest: func(a *tpm2.TPMSAttest) {
			info, err := a.Attested.Quote()
			if err != nil {
				panic(err)
			}
			info.PCRDigest.Buffer = append(info.PCRDigest.Buffer, 0)
		}},
	},
	{
		name: "a soft quote of the same register twice", kinds: onlySoft, rule: byValues, err: tao.ErrDigest,
		change: change{statement: func(b []byte) []byte { return append(b, b[len(b)-33:]...) }},
	},
	{
		name: "a soft quote of a register that there is not", kinds: onlySoft, rule: byValues, err: tao.ErrDigest,
		change: change{statement: func(b []byte) []byte { return append(append(b, 24), make([]byte, 32)...) }},
	},
	{
		name: "a value that the policy does not list", kinds: onlyTPM, rule: byPlatform, err: tao.ErrRegister,
		change: change{before: func(s *scene) { s.registers[0].Value = digest("a root kit") }},
	},
	{
		name: "a value that the policy lists for another register", kinds: onlyTPM, rule: byPlatform, err: tao.ErrRegister,
		change: change{before: func(s *scene) {
			known := digest("what register 4 is to be")
			s.policy.Registers = append(s.policy.Registers, tao.RegisterRule{Index: 4, Values: [][32]byte{known}})
			s.registers = []tao.Register{{Index: 0, Value: known}, {Index: 4, Value: known}}
		}},
	},
	{
		name: "a register that the policy asks for no more", kinds: onlyTPM, rule: bySelection, err: tao.ErrSelection, also: []string{byPlatform},
		change: change{after: func(s *scene) { s.policy.Registers = nil }},
	},
	{
		name: "a policy that wants events elsewhere", rule: bySelection, err: tao.ErrSelection, also: []string{byPlatform, byLog},
		change: change{after: func(s *scene) { s.policy.LogRegister = 12 }},
	},
}
