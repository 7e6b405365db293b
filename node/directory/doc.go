// Package directory tells everybody in a mix network which nodes there are.
//
// A node signs a [Descriptor] of itself with [SignDescriptor] and registers it with [Client.Register]. The [Server]
// gathers the descriptors into one [View], which it signs as well. Clients and nodes get the view with [Client.Fetch].
// A [Route] is what a relay's routing block says: which node, which of its keys, how long to hold the packet.
//
// What this package guarantees:
//
//   - A descriptor speaks for the identity in it and for no other: whoever registers, relays or lists it cannot change
//     it. Every reader of a view checks the signature of each node again, and takes the directory's word for none.
//   - A view is the directory's, is not older than the one before it, and has not expired. The same holds for a
//     descriptor, at the directory and at every reader.
//   - There is one way to write anything: what a reader accepts, and writes again, comes out as the same bytes.
//   - What comes from outside never makes this package panic, and never makes it keep more than one view of
//     [MaxViewSize] bytes and [MaxNodes] nodes, in whole and in parts.
//   - A network with the insecure key schedule is refused by its directory, its nodes and its clients.
//
// What it does not: hide who asks the directory, say whether a node can be reached or can be trusted, or keep a stranger
// from registering as many nodes as there is room for. A directory that lies can leave nodes out. It can also show
// different views to different clients; whoever sits on the wire can hold a newer view back until the last one expires.
// What a server knows is in memory alone: after a restart it has an empty list until the nodes register again, and only
// its clock keeps its versions rising.
//
// # Encoding
//
// Numbers are big-endian, times are seconds since 1970, and [n] stands before what has a length of n bytes. A signature
// is Ed25519 over the context, its closing zero byte, and everything that stands behind the signature.
//
//	descriptor = signature(64) ‖ identity(32) ‖ version(8) ‖ expires(8) ‖ hash(32) ‖ [1] address ‖ [1] keys ‖ [2] services ‖ [2] evidence
//	             context "sphinxmix descriptor v1", by the identity
//	keys       = (epoch(8) ‖ key(32)) one to three times, epochs ascending
//	services   = ([1] name) up to sixteen times, in ascending order of bytes
//	view       = signature(64) ‖ version(8) ‖ published(8) ‖ expires(8) ‖ network ‖ [3] nodes
//	             context "sphinxmix view v1", by the directory
//	network    = MaxHops(1) ‖ PayloadSize(4) ‖ number of the key schedule(1) ‖ epoch in s(4) ‖ mean delay in ms(4)
//	nodes      = ([2] descriptor) any number of times, in ascending order of node ids
//	hash       = SHA-256("sphinxmix network v1" ‖ 0x00 ‖ network)
//	node id    = the first 12 bytes of SHA-256("sphinxmix node id v1" ‖ 0x00 ‖ identity)
//
// # HTTP
//
//	POST /v1/descriptor   the body is a signed descriptor. 204, or a status of 400 and up with one line that says why
//	GET  /v1/view         the signed view, with an ETag: the SHA-256 of these bytes in hexadecimal, in quotes
//	GET  /                the view as plain text for people
//
// Everything is signed, so HTTP without TLS gives nothing away but who asks.
package directory

// The contexts keep the signatures of one key apart, here and from what else the key signs: a signature of TLS 1.3 is
// over a text that starts with spaces, one of a certificate over a text that starts with a DER sequence.
const (
	nodeIDContext     = "sphinxmix node id v1\x00"
	networkContext    = "sphinxmix network v1\x00"
	descriptorContext = "sphinxmix descriptor v1\x00"
	leaveContext      = "sphinxmix leave v1\x00"
	viewContext       = "sphinxmix view v1\x00"
)
