"""sphinxmix, by one of the authors of the Sphinx paper. What is measured is sphinx_process and create_forward_message:
to take a packet from its bytes, unpack_message needs three times as long as opening it; that says nothing of Sphinx."""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import List

from sphinxmix.SphinxClient import (
    Dest_flag, Nenc, PFdecode, Relay_flag, create_forward_message, pack_message, receive_forward)
from sphinxmix.SphinxNode import sphinx_process
from sphinxmix.SphinxParams import SphinxParams

from peers import HOPS, PAYLOAD_SIZE, Operation, check

NOTE = ("George Danezis's sphinxmix with its standard parameters: NIST P-224 and AES-128-CTR by OpenSSL, HMAC-SHA-256, "
        "LIONESS of AES and SHA-256 over a payload of 1024 bytes, in Python around C; a header of 192 bytes; ")


class Path:
    """A path of hops, with their keys, and a message."""

    def __init__(self):
        self.params = SphinxParams(body_len=PAYLOAD_SIZE)
        group = self.params.group
        self.route = [Nenc(node) for node in range(HOPS)]
        self.private = [group.gensecret() for _ in range(HOPS)]
        self.public = [group.expon(group.g, [key]) for key in self.private]
        self.destination, self.message = b"destination", os.urandom(PAYLOAD_SIZE - 64)

    def wrap(self):
        return create_forward_message(self.params, self.route, self.public, self.destination, self.message)

    def open(self, hop, packet):
        _, routing, opened, mac_key = sphinx_process(self.params, self.private[hop], *packet)
        return PFdecode(self.params, routing), opened, mac_key

    def relay(self, hop, packet):
        """Opens a packet at a hop before the last and returns the next. Raises unless that is for the next hop."""
        routing, opened, _ = self.open(hop, packet)
        check(tuple(routing) == (Relay_flag, hop + 1), "a hop does not name the next hop")
        return opened

    def arrives(self, hop, packet):
        """Sends a packet through the hops from the given one on, and raises unless the last gets the message."""
        for relay in range(hop, HOPS - 1):
            packet = self.relay(relay, packet)
        routing, (_, delta), mac_key = self.open(HOPS - 1, packet)
        check(routing[0] == Dest_flag, "the last hop sends the packet on")
        received = receive_forward(self.params, mac_key, delta)
        check(list(received) == [self.destination, self.message], "another message arrives")


def operations() -> List[Operation]:
    path = Path()
    packet = path.wrap()
    path.arrives(1, path.relay(0, packet))
    size = len(pack_message(path.params, packet))

    def unwrap():
        path.relay(0, packet)

    def wrap():
        path.wrap()

    def measured(name, note, run):
        return Operation("sphinxmix", version("sphinxmix"), name, size, NOTE + note, run)

    return [
        measured("unwrap", "from a packet's parts to those of the next, not from bytes to bytes; the replay tag is "
                           "computed and not looked up", unwrap),
        measured("wrap", "up to the packet's parts, not to its bytes; 10 multiplications for 5 hops", wrap),
    ]
