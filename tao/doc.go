// Package tao says which nodes of a mix network are to be trusted, from one policy key alone.
//
// Whoever holds the policy key signs a [Policy]: who may run which program, set up how, on machines that who vouches
// for. A node that was enrolled has a [Record]: this identity belongs to that attestation key, which is in the TPM
// with that endorsement key. It measures what it does into a register of its TPM, has the TPM quote that register over
// a [Claim] of its keys, and puts all of it into [Evidence] beside its descriptor, with the help of a [Prover].
// Whoever reads that asks [Policy.Verify], which needs neither a TPM nor anybody's word, and answers with a [Verdict]
// or with an error that names the rule. [Policy.Explain] says what each rule has found.
//
// Descriptors and what evidence in them must be about are of package node/directory, which has an example. The commands of
// mixnet keep policies, requests, grants and enrolments in files as PEM: what is parsed here is what is in the block.
//
// README.md draws the chain, says what it proves and what not, and walks an operator through enrolment.
//
// An [Attestor] measures and quotes: a TPM 2.0 (package tao/tpm), or [NewSoft], which proves nothing and says so, for
// networks on one machine and for tests.
//
// What this package guarantees:
//
//   - Default deny: a zero Policy cannot be signed, and what a policy does not name is refused.
//   - A verdict rests on the evidence, the subject and the time that Verify is given, and on nothing else. Each part of
//     the evidence is bound: a change of one byte breaks a rule, or what is signed around it.
//   - There is one way to write anything. What was parsed, and is written again, comes out as the same bytes; nothing
//     may stand behind it. Signatures of one thing never hold for another: each has a context of its own.
//   - Bytes from outside make nothing here panic, and cost memory in proportion to their length, which is limited.
//   - The event log is on disk before the register is extended. A node that crashes between the two goes on.
//
// What it does not: a quote shows that somebody with access to this TPM asked for it while its registers had those
// values. That the program which measured itself told the truth, and that nobody with power over the machine has
// changed it since, it does not show; see README.md.
//
// # Encoding
//
// Numbers are big-endian, times are seconds since 1970 in 8 bytes, and [n] stands before what has a length of n bytes.
// A signature is Ed25519 over the context, its closing zero byte, and all that stands behind the signature. Lists are
// in ascending order, of bytes where they are not of numbers, and name nothing twice.
//
//	claim       SHA-256 of: see [Claim.Digest]
//	event       kind(1) ‖ digest(32), or for a key kind(1) ‖ epoch(8) ‖ key(32); a register is extended with its SHA-256
//	            behind the context "sphinxmix event v1"
//	evidence    see [Evidence.Encode]
//	record    = signature(64) ‖ signer(32) ‖ identity(32) ‖ kind(1) ‖ [2] attestation key ‖ endorsement(32) ‖ root(32) ‖
//	            resets(4) ‖ roles(1) ‖ issued(8) ‖ expires(8)
//	            context "sphinxmix enrolment v1", by the signer
//	policy    = signature(64) ‖ version(8) ‖ issued(8) ‖ expires(8) ‖ [2] attestors ‖ [2] enrollers ‖ [2] roots ‖
//	            [2] programs ‖ [2] settings ‖ log register(1) ‖ [2] registers ‖ size(4) ‖ interval in ms(4) ‖
//	            mean delay in ms(4) ‖ longest age in s(4) ‖ [2] revoked
//	            context "sphinxmix policy v1", by the policy key
//	attestors = kind(1) …, enrollers = (key(32) ‖ expires(8)) …, roots and revoked = hash(32) …,
//	programs and settings = (digest(32) ‖ roles(1) ‖ [1] name) …, registers = (index(1) ‖ [2] values) …
//	request   = signature(64) ‖ identity(32) ‖ kind(1) ‖ roles(1) ‖ [2] attestation key ‖ [2] endorsement key ‖
//	            [2] ([2] certificate) … ‖ [2] (index(1) ‖ value(32)) … ‖ [2] statement ‖ [2] signature
//	            context "sphinxmix enrolment request v1", by the identity; its quote is over the SHA-256 of what stands
//	            from the identity to the endorsement key, behind the context "sphinxmix enrolment request quote v1"
//	grant     = kind(1) ‖ [2] TPMS_ID_OBJECT ‖ [2] encrypted secret ‖ [2] record, by AES-256-GCM with the key that the
//	            TPM gets out of these two, and a nonce of zeros; or for a soft attestor kind(1) ‖ [2] record
package tao
