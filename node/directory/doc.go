// Package directory tells everybody in a mix network which nodes there are.
//
// A node signs a [Descriptor] of itself with [SignDescriptor] and registers it with [Client.Register]; when it shuts
// down, it says so with [SignLeave] and [Client.Leave]. The [Server] gathers the descriptors into one [View], which it
// signs as well. Clients and nodes get the view with [Client.Fetch]. A [Route] is what a relay's routing block says:
// which node, which of its keys, how long to hold the packet.
//
// What a server knows is in a [Store]: a [Memory], a file (package boltstore) or etcd (package etcdstore). Several
// servers with one key and one store are one directory, of which a [Client] asks any.
//
// What this package guarantees:
//
//   - A descriptor speaks for the identity in it and for no other: whoever registers, stores, relays or lists it
//     cannot change it. Every reader of a view checks the signature of each node again, and takes the directory's word
//     for none.
//   - Where a network has a policy (package tao), views carry it. Servers take in and list the nodes alone whose
//     evidence satisfies it. A client that is given the policy's key judges each node again, by that key and no word of
//     the directory: [View].Nodes are those that it trusts, [View].Refused says why not of the others, and [View.At]
//     leaves a node out from the second on at which its evidence, its enrolment or the policy ends. A client does not
//     go back to an older policy, nor to a quote that is older than one by the same TPM that it has seen. Of nodes that
//     have one TPM or attestation key, whoever enrolled them, a client trusts the one alone that was enrolled last.
//   - A stamp, with which each view begins, proves by itself that the directory has made it, and when. Nothing else
//     that a directory signs passes for one. Evidence of a node is over a stamp, and so was made after that.
//   - A view is the directory's, is not older than the one before it, and has not expired. The same holds for a
//     descriptor, at the directory and at every reader. Nobody who recorded an old descriptor can register it once more
//     after a newer one, and after the node has left, for as long as any of its descriptors is good.
//   - Of one version there is one view, with the same bytes at every server, and versions rise from server to server
//     and across restarts. A view counts once it is in the store.
//   - What happens to a node, or to the policy, is in the next view that the same server is asked for, and a second
//     later at the other servers. Only where changes come thicker than that, they wait for each other: all servers
//     together sign 32 views in a row and then one in a second; of views above 256 KiB fewer, so that they add 256 KiB
//     a second to the store, but eight in an epoch or in a view's life if that is more. There is a new view with each
//     epoch, and when half the life of the last has gone, whatever came before.
//   - A node changes what is stored of it ten times at once, and then once in a minute, or four times an epoch if that
//     is more; it can always leave. ServerConfig.MaxNewNodes says what one address may register. What is above that
//     gets status 429 and does not reach the store. Nor does a node that the policy refuses, which costs one
//     verification: an address may bring 64 such at once, and then one in a second.
//   - While the store fails, servers show their last view until it expires, and refuse what is new with status 503.
//   - There is one way to write anything: what a reader accepts, and writes again, comes out as the same bytes.
//   - What comes from outside, or stands in the store, never makes this package panic. A client never keeps more than
//     one view of [MaxViewSize] bytes and [MaxNodes] nodes, in whole and in parts, and the clocks of twice as many
//     TPMs. It checks a descriptor once, as long as it is in each view and the policy is the same. A server keeps 128
//     MiB of versions that are being sent, as many records of nodes as ServerConfig.MaxNodes, and 2048 requests at
//     once, 256 of them from one address.
//   - Who reads a view at 1 Mbit/s or faster gets the whole of it, where epochs and views last 10 minutes or longer.
//     Where readers keep more versions than there is room for, those at the address that reads the most versions are
//     cut off first.
//   - A network with the insecure key schedule is refused by its directory, its nodes and its clients.
//
// What it does not: hide who asks the directory, say whether a node can be reached or, without a policy, can be
// trusted; or keep a stranger with many addresses from registering as many nodes as there is room for, where no policy
// asks that they be enrolled. A directory that lies can leave nodes out, and sign stamps with times that are wrong. To
// a client that has just started it can show a policy from before a revocation, until that policy expires. It can also
// show different views to different clients, as long as none of them meets two of one version; whoever sits on the wire
// can hold a newer view back until the last one expires. Whoever can write to the store can make the directory forget
// nodes, or list them as they once were.
//
// # Running a directory
//
// Servers of one directory need the same key, network, policy key, lifetime and store, and clocks that are right to a
// few seconds: a server whose clock is ahead lets nodes expire early, and one that is half a view's lifetime off signs
// views that the others replace. Nodes' clocks may be up to a day ahead.
//
// A newer policy goes to one server, by [Server.SetPolicy] or when it starts: the others find it in the store. A policy
// that expires takes the whole network down, and says so in the log with each view.
//
// Serve a Server on a listener from [Limit], with an [http.Server] that has a ReadHeaderTimeout and an IdleTimeout. The
// Server sets deadlines of its own for bodies and views. Behind a proxy, all requests seem to come from one address:
// let the proxy limit connections and requests in place of Limit, and raise ServerConfig.MaxNewNodes.
//
// A copy of the store is worth little more than a day: nodes renew what is in it. After a store was lost or set back,
// restart the servers; versions go on, for they count milliseconds, and nodes register again by themselves. To change
// the network, restart all servers with the new one: they start over without nodes. A new key is a new directory, whose
// stamps nodes must quote first.
//
// # Encoding
//
// Numbers are big-endian, times are seconds since 1970, and [n] stands before what has a length of n bytes. A signature
// is Ed25519 over the context, its closing zero byte, and everything that stands behind the signature there.
//
//	descriptor = signature(64) ‖ identity(32) ‖ version(8) ‖ expires(8) ‖ hash(32) ‖ weight(1) ‖ [1] address ‖
//	             [1] keys ‖ [2] services ‖ [2] evidence
//	             context "sphinxmix descriptor v1", by the identity
//	keys       = (epoch(8) ‖ key(32)) one to three times, epochs ascending
//	services   = ([1] name) up to sixteen times, in ascending order of bytes
//	leave      = signature(64) ‖ identity(32) ‖ version(8)
//	             context "sphinxmix leave v1", by the identity
//	view       = stamp ‖ [2] policy ‖ [3] nodes
//	stamp      = signature(64) ‖ version(8) ‖ published(8) ‖ expires(8) ‖ network ‖ SHA-256 of what follows the stamp(32)
//	             context "sphinxmix view v2", by the directory
//	policy     = nothing, or a signed policy as package tao has it
//	network    = MaxHops(1) ‖ PayloadSize(4) ‖ number of the key schedule(1) ‖ epoch in s(4) ‖ mean delay in ms(4)
//	nodes      = ([2] descriptor) any number of times, in ascending order of node ids
//	hash       = SHA-256("sphinxmix network v1" ‖ 0x00 ‖ network)
//	node id    = the first 12 bytes of SHA-256("sphinxmix node id v1" ‖ 0x00 ‖ identity)
//
// In a store, the newest view has the name "view", and what is known of a node has the name "node/" and its id:
//
//	record     = until when to keep it(8) ‖ 0x01 ‖ descriptor, or until when to keep it(8) ‖ 0x02 ‖ leave
//
// # HTTP
//
//	POST /v1/descriptor   the body is a signed descriptor. 204, or a status of 400 and up with one line that says why
//	POST /v1/leave        the body is a signed leave. The same
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
	viewContext       = "sphinxmix view v2\x00"
)
