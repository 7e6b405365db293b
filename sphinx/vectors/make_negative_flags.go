package vectors

import "sphinxmix.example/testvectors"

// negativeFlags explain what the negative cases look for.
var negativeFlags = map[string]testvectors.Flag{
	"BitFlip": {
		Bug:    "A part of the header is outside the MAC, or the payload is not a wide block.",
		Effect: "A node marks a packet and an accomplice recognises it further on.",
	},
	"ClientIDOverrun": {
		Bug:    "The length of a client id is believed.",
		Effect: "A crash, or a client id and a message id that were sliced short or made of what lies behind β.",
	},
	"DestinationLength": {
		Bug:    "The length of the destination is believed, or its code is taken for another one.",
		Effect: "A crash, or a message for somebody who was not named.",
	},
	"EquivalentAlpha": {
		Bug:    "Keys are derived from s and not from α, and other values of α have the same s.",
		Effect: "A node changes α unseen and an accomplice recognises the packet; or a replay gets a fresh tag.",
	},
	"Limit": {
		Bug:    "A limit of what a sender may ask for is off by one, or not checked.",
		Effect: "A packet that cannot be opened, or a crash.",
	},
	"LowOrderAlpha": {
		Bug:    "A shared secret of zeros is accepted.",
		Effect: "A packet that anybody can make and every node accepts, whatever its key; in some implementations a crash.",
	},
	"LowOrderKey": {
		Bug:    "A node's public key of low order is used.",
		Effect: "Everybody can open that hop's layer.",
	},
	"MalformedSURB": {
		Bug:    "The length or the first byte of a SURB is not checked.",
		Effect: "A crash, or a reply that is sent to no node.",
	},
	"PaddingOffset": {
		Bug:    "The count at the end of the payload is believed, or checked only at one end.",
		Effect: "A crash, or a message with parts of the padding; different refusals tell an attacker about the plaintext.",
	},
	"PayloadZeros": {
		Bug:    "Not all of the 16 zero bytes before the payload are checked.",
		Effect: "A spoiled payload is delivered as if it were whole.",
	},
	"Replay": {
		Bug:    "The set of tags is not asked, or not within a batch, or the tag depends on what the MAC does not cover.",
		Effect: "An attacker sends a packet again and watches where a second one comes out.",
	},
	"ReplayPoisoning": {
		Bug:    "The tag is stored before the MAC was checked, or compared before it.",
		Effect: "Whoever sees a packet can have the original refused, or learn from the refusal that it was there.",
	},
	"ReservedRouting": {
		Bug:    "A routing block with a reserved first byte is taken for one of another kind.",
		Effect: "A crash, or a payload handed to somebody who was not named; nodes that disagree can be told apart.",
	},
	"SingleUse": {
		Bug:    "A SURB or its key works twice.",
		Effect: "Two packets with one header: the second is a replay, and links the replies.",
	},
	"TamperedReply": {
		Bug:    "The payload of a reply is not a wide block, or its zeros are not checked.",
		Effect: "A client accepts a reply that was changed on its way.",
	},
	"TorsionAlpha": {
		Bug:    "A point of low order can be added to α, because the clamped scalars cancel it.",
		Effect: "A node tags packets unseen by the next, and an accomplice recognises them.",
	},
	"WrongKey": {
		Bug:    "The MAC is not checked, or not under a key of this node alone.",
		Effect: "A node processes packets of another.",
	},
	"WrongParams": {
		Bug:    "Only the size of the packet is checked.",
		Effect: "Parts of the payload are taken for parts of the header.",
	},
	"WrongReplyKey": {
		Bug:    "A reply is opened by guesswork, or with a key that is not its own.",
		Effect: "A client takes one correspondent for another.",
	},
	"WrongSchedule": {
		Bug:    "A node accepts key schedule 0 beside its own.",
		Effect: "All packets of senders that use it are linkable by anybody who sees them.",
	},
	"WrongSize": {
		Bug:    "The size of a packet or reply is not checked before all else.",
		Effect: "A crash, or packets that stand out from the others.",
	},
}
