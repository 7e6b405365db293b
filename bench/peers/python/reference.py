"""sphinxmixcrypto, the Python reference that the test vectors are checked against, from bytes to bytes."""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import List

from zope.interface import implementer

from peers import HOPS, PAYLOAD_SIZE, Operation, check
from sphinxmixcrypto import (
    GroupCurve25519, IKeyState, IMixPKI, IPacketReplayCache, IReader, SphinxPacket, SphinxParams, sphinx_packet_unwrap)

NOTE = ("the Python reference, the parent of our format: X25519 by libsodium, BLAKE2b, ChaCha20, LIONESS of both over "
        "a payload of 1024 bytes, in Python around C; ")


@implementer(IMixPKI)
class Directory:
    """The public keys of the path."""

    def __init__(self, keys):
        self._keys = keys

    def get(self, node_id):
        return self._keys[node_id]


@implementer(IKeyState)
class NodeKey:
    def __init__(self, private, public):
        self._private, self._public = private, public

    def get_private_key(self):
        return self._private

    def get_public_key(self):
        return self._public


@implementer(IReader)
class SystemRandom:
    def read(self, n):
        return os.urandom(n)


@implementer(IPacketReplayCache)
class Unseen:
    """Calls every tag new and remembers none, so that one packet can be opened again and again."""

    def has_seen(self, tag):
        return False

    def set_seen(self, tag):
        pass

    def flush(self):
        pass


class Path:
    """A path of hops, with their keys, and a message."""

    def __init__(self):
        self.params = SphinxParams(max_hops=HOPS, payload_size=PAYLOAD_SIZE)
        self.route = [b"\xff" + os.urandom(15) for _ in range(HOPS)]
        group = GroupCurve25519()
        self.keys = []
        for _ in range(HOPS):
            private = group.makesecret(os.urandom(32))
            self.keys.append(NodeKey(private, group.expon(group.generator, private)))
        self.directory = Directory({node: key.get_public_key() for node, key in zip(self.route, self.keys)})
        self.random, self.unseen = SystemRandom(), Unseen()
        self.destination = b"destination"
        self.message = os.urandom(PAYLOAD_SIZE - 20 - len(self.destination))

    def wrap(self):
        return SphinxPacket.forward_message(
            self.params, self.route, self.directory, self.destination, self.message, self.random).get_raw_bytes()

    def open(self, hop, raw):
        packet = SphinxPacket.from_raw_bytes(self.params, raw)
        return sphinx_packet_unwrap(self.params, self.unseen, self.keys[hop], packet)

    def relay(self, hop, raw):
        """Opens a packet at a hop before the last and returns the next. Raises unless that is for the next hop."""
        opened = self.open(hop, raw)
        check(opened.next_hop is not None, "a hop does not send the packet on")
        address, packet = opened.next_hop
        check(address == self.route[hop + 1], "a hop does not name the next hop")
        return packet.get_raw_bytes()

    def arrives(self, hop, raw):
        """Sends a packet through the hops from the given one on, and raises unless the last gets the message."""
        for relay in range(hop, HOPS - 1):
            raw = self.relay(relay, raw)
        check(self.open(HOPS - 1, raw).exit_hop == (self.destination, self.message), "another message arrives")


def operations() -> List[Operation]:
    path = Path()
    packet = path.wrap()
    path.arrives(1, path.relay(0, packet))
    group, one, other = GroupCurve25519(), path.keys[0], path.keys[1]
    secret = group.expon(one.get_public_key(), other.get_private_key())

    def unwrap():
        check(len(path.relay(0, packet)) == len(packet), "a packet changes its size")

    def wrap():
        check(len(path.wrap()) == len(packet), "packets are of different sizes")

    def multiply():
        check(group.expon(other.get_public_key(), one.get_private_key()) == secret, "a wrong shared secret")

    def measured(name, note, run):
        return Operation("sphinxmixcrypto", version("sphinxmixcrypto"), name, len(packet), note, run)

    return [
        measured("unwrap", NOTE + "from a packet's bytes to those of the next; the replay cache calls everything new",
                 unwrap),
        measured("wrap", NOTE + "up to the packet's bytes; 30 multiplications for 5 hops", wrap),
        measured("x25519", "the reference's group operation alone, which an unwrap does twice: X25519 of any point by "
                           "libsodium, called from Python", multiply),
    ]
