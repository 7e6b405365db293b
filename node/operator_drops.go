package node

// explanation says what a reason means to the person who runs the node: what happened, and what to do about it.
type explanation struct{ meaning, advice string }

// explanations are complete sentences of plain words.
var explanations = [drops]explanation{
	DropFrame: {
		"A link carried something that has no place there, and was closed.",
		"Nothing while it is rare: a program of another version, or somebody trying things.",
	},
	DropEpoch: {
		"The packet was made for a key of an epoch that is over, or that has not begun.",
		"Check this machine's clock. If it is right, the senders' clocks are wrong or their view of the network is old.",
	},
	DropSize: {
		"The packet does not have the size of this network's packets.",
		"Nothing: the sender is set up for another network.",
	},
	DropGroup: {
		"The packet's public key is one that no honest sender makes.",
		"Nothing: somebody tried an attack that does not work.",
	},
	DropMAC: {
		"The packet's header was made for another key, or was changed on its way.",
		"A few are senders who know an older key of this node. If many come, a mix before this one may be changing packets.",
	},
	DropReplay: {
		"The packet came before, and was opened then.",
		"Nothing: somebody sent it twice, and refusing it is what protects its sender.",
	},
	DropReplayStore: {
		"The node could not remember the packet, so it could not have refused it the second time.",
		"Act now: see whether the disk is full or fails, or the key is used up. The log has the error.",
	},
	DropRouting: {
		"The packet does not say what should happen to it, in a way that this node understands.",
		"Nothing: the sender has a fault, or is newer than this node.",
	},
	DropPayload: {
		"What the packet carried had been changed on its way.",
		"Nothing here. If many come, a mix before this one may be spoiling packets: tell the other operators.",
	},
	DropSender: {
		"It was a service's answer, or this node's own cover, for a sender with as many packets here as anybody may have.",
		"Nothing while it is rare: it keeps one sender from crowding out others.",
	},
	DropNextHop: {
		"The next mix is not in the view of the network, or is this node itself.",
		"Nothing while a mix is leaving. Otherwise see whether this node's view of the network is fresh.",
	},
	DropPeerQueue: {
		"Too many packets were waiting, for the next mix or in the whole node.",
		"Find the peer with a long queue. If all are long, this machine's connection or memory is too small for the traffic.",
	},
	DropPeer: {
		"The next mix could not be reached, or went away while the packet was on its way.",
		"Find the peer that loses packets. If all do, it is this machine's connection.",
	},
	DropNoService: {
		"The packet asks for a service that this node does not offer, or is one of the node's own loops, too late.",
		"Nothing, unless the node should offer that service: then see its configuration.",
	},
	DropServiceQueue: {
		"More packets came for the services of this node than they could take.",
		"See what the services wait for: their destinations, or this machine's processors.",
	},
	DropService: {
		"The service could not use what the packet carried.",
		"Nothing while it is rare: a client of another version, or with a fault.",
	},
	DropNoClient: {
		"A reply came for a client that is not here, or that left and did not come back in time.",
		"Nothing: clients come and go.",
	},
	DropClientQueue: {
		"More replies came for a client than it takes.",
		"Nothing: that client reads too slowly, and loses only its own replies.",
	},
}

// Explain returns what the reason means for the person who runs the node, and what to do about it, a sentence or two of
// plain words each.
func (d Drop) Explain() (meaning, advice string) {
	return explanations[d].meaning, explanations[d].advice
}
