"""Measures the Python implementations of Sphinx for the table in which our library stands beside others, and prints
each measurement as a line of JSON (see the README one folder up). run.sh installs what it needs."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from typing import Callable, List

HOPS = 5
PAYLOAD_SIZE = 1024  # bytes of the payload as it is on the wire between two hops


@dataclass
class Operation:
    """One thing that a peer does, again and again. run does it once, and raises where the outcome is wrong."""

    peer: str
    version: str
    name: str
    packet_size: int  # bytes on the wire
    note: str  # what is compared, and how the format differs
    run: Callable[[], None]
    count: int = 1  # how many runs make one measurement

    def measure(self) -> float:
        """Returns the nanoseconds of one run in processor time, the mean over count of them."""
        run = self.run
        start = time.process_time_ns()
        for _ in range(self.count):
            run()
        return (time.process_time_ns() - start) / self.count

    def warm_up(self, length: float) -> None:
        """Repeats the operation for length nanoseconds, and sets how many times a measurement of that length has to."""
        while True:
            ns = self.measure()
            if ns * self.count >= length / 2:
                self.count = max(1, int(length / ns))
                return
            self.count *= 2

    def line(self, round_number: int, ns: float) -> str:
        return json.dumps({
            "peer": self.peer, "version": self.version, "operation": self.name, "hops": HOPS, "payload": PAYLOAD_SIZE,
            "packet": self.packet_size, "round": round_number, "ns": ns, "note": self.note}, separators=(",", ":"))


def reference() -> List[Operation]:
    import reference
    return reference.operations()


def sphinxmix() -> List[Operation]:
    import danezis
    return danezis.operations()


PEERS = {"sphinxmixcrypto": reference, "sphinxmix": sphinxmix}


def check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise RuntimeError(otherwise)


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def main() -> None:
    options = argparse.ArgumentParser(prog="run.sh", description=__doc__)
    options.add_argument("--rounds", type=positive, default=11, help="measurements of each operation")
    options.add_argument("--round-ms", type=positive, default=100, help="processor time of one measurement")
    options.add_argument("--peer", choices=PEERS, help="measure this peer alone")
    chosen = options.parse_args()

    operations: List[Operation] = []
    for name, create in PEERS.items():
        if chosen.peer in (None, name):
            try:
                operations += create()
            except ImportError as error:
                # sphinxmix wants a C compiler and OpenSSL's headers, which not every machine has.
                if chosen.peer == name or name != "sphinxmix":
                    sys.exit(f"peers: {name}: {error}")
                print(f"peers: {name} is left out: {error}", file=sys.stderr)
    for operation in operations:
        operation.warm_up(chosen.round_ms * 1e6)
    for round_number in range(1, chosen.rounds + 1):
        for operation in operations:
            print(operation.line(round_number, operation.measure()), flush=True)


if __name__ == "__main__":
    # Under the name by which the peers import it, so that there is one class Operation.
    sys.modules["peers"] = sys.modules["__main__"]
    main()
