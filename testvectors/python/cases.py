"""Vector cases made and checked by the Python reference, in the schema of the vector files.

A case is the dictionary that stands in those files: byte strings are lowercase hex. Everything a case says is computed
by sphinxmixcrypto itself; this file only carries inputs in and results out.
"""

from __future__ import annotations

import hashlib
import traceback
from importlib.metadata import version
from typing import Any, Dict, Iterator, List, Optional

from Cryptodome.Cipher import ChaCha20
from zope.interface import implementer

from sphinxmixcrypto import (
    CorruptMessageError, GroupCurve25519, IKeyState, IMixPKI, IReader, PacketReplayCacheDict, SphinxBody, SphinxDigest,
    SphinxHeader, SphinxPacket, SphinxParams, create_header, destination_encode, sphinx_packet_unwrap)
from sphinxmixcrypto.client import ReplyBlock, ReplyBlockDecryptionToken

Case = Dict[str, Any]

SOURCE = "sphinxmixcrypto {} with pylioness {}".format(version("sphinxmixcrypto"), version("pylioness"))

# The two messages that the format allows and the reference does not: see beyond_reference.
EMPTY = "an empty message, which the reference builds and cannot open"
LONG = "a message one byte longer than the reference builds, which it opens"

# What a negative case says about its end; text is left out.
REFUSAL_FIELDS = ("error", "error_hop", "exit", "client")

unhex = bytes.fromhex


@implementer(IReader)
class Reader:
    """The reader of a case: the ChaCha20 keystream of its seed under a zero nonce, noting each draw."""

    USES = ("x", "beta_padding", "ktilde")

    def __init__(self, seed: bytes) -> None:
        self._keystream = ChaCha20.new(key=seed, nonce=bytes(8))
        self.draws: List[Case] = []

    def read(self, n: int) -> bytes:
        drawn = self._keystream.encrypt(bytes(n))
        self.draws.append({"use": self.USES[len(self.draws)], "n": n, "hex": drawn.hex()})
        return drawn


@implementer(IMixPKI)
class Directory:
    """The public keys of a case's nodes."""

    def __init__(self, nodes: List[Case]) -> None:
        self._keys = {unhex(node["id"]): unhex(node["public_key"]) for node in nodes}

    def get(self, node_id: bytes) -> bytes:
        return self._keys[node_id]


@implementer(IKeyState)
class NodeKey:
    def __init__(self, node: Case) -> None:
        self._node = node

    def get_private_key(self) -> bytes:
        return unhex(self._node["private_key"])

    def get_public_key(self) -> bytes:
        return unhex(self._node["public_key"])


def node(node_id: bytes, private_raw: bytes) -> Case:
    group = GroupCurve25519()
    private = group.makesecret(private_raw)
    return {"id": node_id.hex(), "private_key": private.hex(),
            "public_key": group.expon(group.generator, private).hex(), "private_raw": private_raw.hex()}


def packet_to_dict(packet: SphinxPacket) -> Dict[str, str]:
    return {**header_to_dict(packet.header), "delta": packet.body.delta.hex()}


def header_to_dict(header: SphinxHeader) -> Dict[str, str]:
    return {"alpha": header.alpha.hex(), "beta": header.beta.hex(), "gamma": header.gamma.hex()}


def packet_from_dict(fields: Dict[str, str]) -> SphinxPacket:
    header = SphinxHeader(unhex(fields["alpha"]), unhex(fields["beta"]), unhex(fields["gamma"]))
    return SphinxPacket(header, SphinxBody(unhex(fields["delta"])))


def longest_message(kind: str, payload_size: int, destination_size: int) -> int:
    """Returns the length of the longest message that the reference builds: one byte less than the format allows."""
    return payload_size - 20 - destination_size if kind == "forward" else payload_size - 19


def longest_client_id(max_hops: int, path_length: int) -> int:
    """Returns the length of the longest client id that fits, with its length byte and message id, into β."""
    return min(127, 32 * (max_hops - path_length + 1) - 1)


def beyond_reference(case: Case) -> Optional[str]:
    """Returns EMPTY or LONG for the two messages that the reference cannot carry both ways, None for any other."""
    length = len(unhex(case["message"]))
    destination_size = len(unhex(case["destination"])) if case["kind"] == "forward" else 0
    if length == 0:
        return EMPTY
    if length == longest_message(case["kind"], case["params"]["payload_size"], destination_size) + 1:
        return LONG
    return None


def build(case: Case) -> Case:
    """Builds the packet or SURB of a case's inputs, and returns all fields of the case but hops and decrypted.

    The inputs are name, kind, params, seed, the id and private_raw of each node, message, and destination or client_id
    and message_id. A LONG message has its δ taken from the case, since the reference builds everything but that.
    """
    params = SphinxParams(**case["params"])
    nodes = [node(unhex(n["id"]), unhex(n["private_raw"])) for n in case["nodes"]]
    route, directory = [unhex(n["id"]) for n in nodes], Directory(nodes)
    seed = unhex(case["seed"])
    reader = Reader(seed)
    message, long = unhex(case["message"]), beyond_reference(case) == LONG
    made = {"name": case["name"], "kind": case["kind"], "params": case["params"], "seed": seed.hex(),
            "rand": reader.draws, "nodes": nodes, "message": message.hex()}

    if case["kind"] == "forward":
        destination = unhex(case["destination"])
        if long:
            header, _ = create_header(params, route, directory, b"\x00", bytes(16), reader)
            packet = SphinxPacket(header, SphinxBody(unhex(case["packet"]["delta"])))
        else:
            packet = SphinxPacket.forward_message(params, route, directory, destination, message, reader)
        raw = packet.get_raw_bytes()
        made.update(destination=destination.hex(), raw_len=len(raw), raw_sha256=hashlib.sha256(raw).hexdigest())
    elif case["kind"] == "surb":
        message_id, client_id = unhex(case["message_id"]), unhex(case["client_id"])
        token, block = ReplyBlock.compose_reply_block(message_id, params, route, directory, client_id, reader)
        if long:
            packet = SphinxPacket(block.header, SphinxBody(unhex(case["packet"]["delta"])))
        else:
            packet = block.compose_forward_message(params, message)
        made.update(
            message_id=message_id.hex(), client_id=client_id.hex(), dest_encoded=destination_encode(client_id).hex(),
            reply_block={"header": header_to_dict(block.header), "first_hop": block.destination.hex(),
                         "ktilde": block.key.hex()},
            token={"message_id": token.message_id.hex(), "keys": [key.hex() for key in token.keys]})
    else:
        raise ValueError(f"kind is {case['kind']!r}, not forward or surb")
    made["packet"] = packet_to_dict(packet)
    return made


def hop_keys(node_fields: Case, alpha: bytes) -> Dict[str, str]:
    digest = SphinxDigest()
    s = GroupCurve25519().expon(alpha, unhex(node_fields["private_key"]))
    return {"s": s.hex(), "tau": digest.hash_replay(s).hex(), "blinding_factor": digest.hash_blinding(alpha, s).hex()}


def travel(case: Case, packet: SphinxPacket, start: int = 0) -> Iterator[Case]:
    """Opens a packet from nodes[start] on and yields an entry of hops for each; the reference's errors pass through."""
    params, nodes = SphinxParams(**case["params"]), case["nodes"]
    for index in range(start, len(nodes)):
        cache = PacketReplayCacheDict()
        unwrapped = sphinx_packet_unwrap(params, cache, NodeKey(nodes[index]), packet)
        hop = {"hop": index, "node_id": nodes[index]["id"], **hop_keys(nodes[index], packet.header.alpha)}
        if not cache.has_seen(unhex(hop["tau"])):
            raise ValueError(f"hop {index}: the reference stored another replay tag than {hop['tau']}")
        if unwrapped.exit_hop:
            destination, message = unwrapped.exit_hop
            yield {**hop, "result": "exit", "destination": destination.hex(), "message": message.hex()}
            return
        if unwrapped.client_hop:
            client_id, message_id, body = unwrapped.client_hop
            yield {**hop, "result": "client", "client_id": client_id.hex(), "message_id": message_id.hex(),
                   "delta": body.delta.hex()}
            return
        next_hop, packet = unwrapped.next_hop
        yield {**hop, "result": "next_hop", "next_hop": next_hop.hex(), "packet": packet_to_dict(packet)}
        if index + 1 == len(nodes) or next_hop.hex() != nodes[index + 1]["id"]:
            raise ValueError(f"hop {index}: sent on to {next_hop.hex()}, which is not the next node of the case")


def open_reply(message_id: str, keys: List[str], delta: str) -> str:
    # decrypt takes k̃ out of the token's list: give it one of its own.
    token = ReplyBlockDecryptionToken(unhex(message_id), [unhex(key) for key in keys])
    return token.decrypt(unhex(delta)).payload.hex()


def opened(case: Case) -> Case:
    """Opens the packet of a case at each of its nodes, and a SURB's reply, and returns hops and decrypted.

    An EMPTY message must make the reference stop at its last step, which is then not compared.
    """
    empty = beyond_reference(case) == EMPTY
    packet, hops = packet_from_dict(case["packet"]), []
    try:
        for hop in travel(case, packet):
            hops.append(hop)
    except AssertionError:
        if not empty or case["kind"] != "forward" or len(hops) != len(case["nodes"]) - 1:
            raise
        last, before = case["nodes"][-1], hops[-1]["packet"] if hops else case["packet"]
        hops.append({"hop": len(hops), "node_id": last["id"], **hop_keys(last, unhex(before["alpha"])),
                     "result": "exit", "destination": case["destination"], "message": ""})
    if case["kind"] == "forward":
        return {"hops": hops}
    try:
        return {"hops": hops, "decrypted": open_reply(hops[-1]["message_id"], case["token"]["keys"], hops[-1]["delta"])}
    except AssertionError:
        if not empty:
            raise
        return {"hops": hops, "decrypted": ""}


def refusal(case: Case, packet: SphinxPacket, start: int) -> Case:
    """Opens an altered packet and returns error, error_hop and text; or exit or client with a null error."""
    reached = start
    try:
        for hop in travel(case, packet, start):
            reached += 1
    except Exception as error:  # any: the reference's stray exceptions are part of the vectors
        return {"error": type(error).__name__, "error_hop": reached, "text": str(error)}
    if hop["result"] == "exit":
        return {"error": None, "exit": {key: hop[key] for key in ("destination", "message")}}
    if case.get("token_keys"):
        try:
            open_reply(hop["message_id"], case["token_keys"], hop["delta"])
        except CorruptMessageError as error:
            return {"error": type(error).__name__, "error_hop": "client"}
    return {"error": None, "client": {key: hop[key] for key in ("client_id", "message_id", "delta")}}


def replays(case: Case) -> Case:
    """Sends the packets of a case's sequence, in order, to its first node, with one replay cache."""
    cache, steps = PacketReplayCacheDict(), []
    for step in case["sequence"]:
        error = None
        try:
            sphinx_packet_unwrap(SphinxParams(**case["params"]), cache, NodeKey(case["nodes"][0]),
                                 packet_from_dict(step["packet"]))
        except Exception as raised:  # as in refusal
            error = type(raised).__name__
        steps.append({**step, "error": error})
    return {"sequence": steps}


def difference(want: Any, got: Any, path: str = "") -> Optional[str]:
    """Returns the first place where two JSON values differ, with what stands there, or None."""
    if isinstance(want, dict) and isinstance(got, dict):
        for key in [*want, *(key for key in got if key not in want)]:
            where = f"{path}.{key}" if path else str(key)
            if key not in got or key not in want:
                return f"{where}: {'missing' if key in want else 'not in the schema of this case'}"
            found = difference(want[key], got[key], where)
            if found:
                return found
        return None
    if isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        each = (difference(w, g, f"{path}[{i}]") for i, (w, g) in enumerate(zip(want, got)))
        return next((found for found in each if found), None)
    if type(want) is type(got) and want == got:
        return None
    return f"{path}: the reference has {shorten(want, got)}, the case {shorten(got, want)}"


def shorten(value: Any, other: Any) -> str:
    """Returns a value as text, a long string only from just before where it first differs from the other."""
    if isinstance(value, list):
        return f"{len(value)} elements"
    if not (isinstance(value, str) and isinstance(other, str) and len(value) > 64):
        return repr(value)
    at = next((i for i, (a, b) in enumerate(zip(value, other)) if a != b), min(len(value), len(other)))
    at -= at % 2
    return f"{value[at:at + 32]}… from byte {at // 2} of {len(value) // 2}"


def check(case: Case) -> Optional[str]:
    """Checks a forward, surb or negative case with the reference, and returns what is wrong with it, or None."""
    try:
        if case.get("kind") in ("forward", "surb"):
            return check_whole(case)
        if "sequence" in case:
            return difference(replays(case), {"sequence": case["sequence"]})
        if "error" in case:
            # One that is forged from the start, rather than altered on its way, stands as good or packet.
            packet = case.get("bad") or case.get("good") or case["packet"]
            want = refusal(case, packet_from_dict(packet), case.get("mutate_hop") or 0)
            want.pop("text", None)  # belongs to the version of a library, not to the format
            return difference(want, {key: case[key] for key in REFUSAL_FIELDS if key in case})
        return "neither a forward nor a surb nor a negative case"
    except Exception as error:  # whatever the case makes the reference do is that case's failure
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}{f': {error}' if str(error) else ''}, in {frame.name}: {frame.line}"


def check_whole(case: Case) -> Optional[str]:
    """Builds a forward or surb case anew and compares every byte, then opens its packet and compares every step."""
    beyond = beyond_reference(case)
    if case.get("beyond_reference", False) != (beyond is not None):
        return f"beyond_reference: should be true: {beyond}" if beyond else "beyond_reference: the reference can do this"
    recorded = {key: case[key] for key in case if key not in ("hops", "decrypted", "beyond_reference")}
    return difference(build(case), recorded) or difference(
        opened(case), {key: case[key] for key in ("hops", "decrypted") if key in case})
