#!/usr/bin/env python3
"""Cross-checks the Go implementation and the Python reference, live and both ways. Start it with run.sh."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import re
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, List, Optional, Tuple

try:
    from cases import (
        SOURCE, Case, build, check, longest_client_id, longest_message, node, opened, packet_from_dict, refusal)
except ImportError as missing:
    sys.exit(f"crosscheck: {missing}; run.sh installs what this needs and runs it")

REPOSITORY = Path(__file__).resolve().parents[2]
CHECKER = ["go", "run", "./node/cmd/mixnet", "vectors", "check"]
GENERATOR = ["go", "run", "./testvectors/generate"]

BATCH = 25  # cases to a file, and to a unit of work
SMALLEST_PAYLOAD = 192  # the reference's LIONESS takes no block shorter than its key
LARGEST_PAYLOAD = 65536
ENOUGH_FOR_BOTH_KINDS = 64  # among this many random cases either kind is missing once in 2^63
SHOWN_FAILURES = 20

# What a single flipped bit may lead to. A flip of alpha's bit 255, which X25519 ignores, passes at the last hop.
EXPECTED_REFUSALS = (None, "IncorrectMACError", "InvalidProcessDestinationError", "CorruptMessageError")

NOTES = {"forward": "forward messages", "surb": "single-use reply blocks",
         "negative": "one bit flipped at one hop: which error, at which hop"}

Failure = Tuple[str, str]  # the case's name, and what is wrong with it


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# --- Python to Go: random cases, written as vector files ---


def between(rng: random.Random, low: int, high: int) -> int:
    """Draws from low..high; both extremes come up often."""
    return rng.choice((low, high)) if rng.random() < 0.2 else rng.randint(low, high)


def random_case(rng: random.Random, kind: str, name: str, large: bool = True) -> Case:
    """Makes a random case of what the reference can build and open; only a large one is of any size."""
    max_hops = rng.randint(11, 50) if large and rng.random() < 0.1 else rng.randint(1, 10)
    path_length = between(rng, 1, max_hops)
    roomy = large and rng.random() < 0.04
    payload_size = between(rng, *((4097, LARGEST_PAYLOAD) if roomy else (SMALLEST_PAYLOAD, 4096)))
    inputs: Case = {
        "name": f"{name}-r{max_hops}-n{path_length}-p{payload_size}", "kind": kind,
        "params": {"max_hops": max_hops, "payload_size": payload_size}, "seed": rng.randbytes(32).hex(),
        "nodes": [node(b"\xff" + rng.randbytes(15), rng.randbytes(32)) for _ in range(path_length)]}
    destination_size = 0
    if kind == "forward":
        destination_size = between(rng, 1, 127)
        inputs["destination"] = rng.randbytes(destination_size).hex()
    else:
        inputs["message_id"] = rng.randbytes(16).hex()
        inputs["client_id"] = rng.randbytes(between(rng, 1, longest_client_id(max_hops, path_length))).hex()
    inputs["message"] = rng.randbytes(between(rng, 1, longest_message(kind, payload_size, destination_size))).hex()
    made = build(inputs)
    return {**made, **opened(made)}


def random_negative(rng: random.Random, name: str) -> Case:
    """Makes a random case and flips one bit of its packet on arrival at one of its nodes."""
    whole = random_case(rng, rng.choice(("forward", "surb")), name, large=False)
    hop = rng.randrange(len(whole["nodes"]))
    good = whole["hops"][hop - 1]["packet"] if hop else whole["packet"]
    field = rng.choice(("alpha", "beta", "gamma", "delta"))
    altered = bytearray.fromhex(good[field])
    bit = rng.randrange(8 * len(altered))
    if field == "alpha" and rng.random() < 0.1:
        bit = 255
    altered[bit // 8] ^= 1 << bit % 8
    case: Case = {
        "name": f"{whole['name']}-{field}-{bit // 8}.{bit % 8}-hop{hop}", "params": whole["params"],
        "nodes": whole["nodes"], "mutate_hop": hop, "note": "", "good": good, "bad": {**good, field: altered.hex()}}
    if whole["kind"] == "surb":
        case["token_keys"] = whole["token"]["keys"]
    case.update(refusal(case, packet_from_dict(case["bad"]), hop))
    if case["error"] not in EXPECTED_REFUSALS:
        raise RuntimeError(f"{case['name']}: the reference raised {case['error']}: {case.get('text')}")
    return case


def write_batch(job: Tuple[str, str, int, int, Path]) -> Tuple[Path, int]:
    """Makes the cases first..first+count-1 of a kind, each from its own randomness, and writes them to one file."""
    seed, kind, first, count, folder = job
    made: List[Case] = []
    for index in range(first, first + count):
        rng, name = random.Random(f"{seed} {kind} {index}"), f"python-{kind}-{index}"
        made.append(random_negative(rng, name) if kind == "negative" else random_case(rng, kind, name))
    path = folder / f"{kind}_python_{first:06d}.json"
    path.write_text(json.dumps({"source": SOURCE, "note": NOTES[kind], "count": count, "cases": made}))
    return path, count


def python_to_go(pool: Any, seed: str, count: int, folder: Path) -> Tuple[int, List[Failure]]:
    """Has the Go checker pass or fail count random cases of the reference, and an eighth as many negative ones."""
    jobs = [(seed, kind, first, min(BATCH, total - first), folder)
            for kind, total in (("forward", (count + 1) // 2), ("surb", count // 2), ("negative", max(8, count // 8)))
            for first in range(0, total, BATCH)]
    paths: List[str] = []
    written = 0
    for path, size in pool.imap_unordered(write_batch, jobs):
        paths.append(str(path))
        written += size
        if len(paths) % 10 == 0 or len(paths) == len(jobs):
            log(f"python to go: {written} cases made")
    log(f"python to go: {' '.join(CHECKER)} on {len(paths)} files")
    run = subprocess.run([*CHECKER, *sorted(paths)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    lines = run.stdout.rstrip().splitlines()
    closing = re.fullmatch(r"(\d+) passed, (\d+) failed", lines[-1]) if lines else None
    passed, failed = (int(closing[1]), int(closing[2])) if closing else (0, 0)
    if run.returncode == 0 and (passed, failed) == (written, 0):
        return passed, []
    for line in lines:
        log(line)
    what = f"exit status {run.returncode}, closing line {lines[-1] if lines else None!r}, for {written} cases written"
    # A case that the checker does not count as passed has failed, whatever became of it.
    passed = min(passed, written - 1)
    return passed, [("python to go", what)] * (written - passed)


# --- Go to Python ---


def go_to_python(pool: Any, seed: str, count: int, folder: Path) -> Tuple[int, List[Failure]]:
    """Checks count random cases of the Go generator with the reference."""
    command = [*GENERATOR, "-random", str(count), "-seed", seed]
    log(f"go to python: {' '.join(command)}")
    path = folder / "go.json"
    with path.open("wb") as out:
        run = subprocess.run(command, cwd=REPOSITORY, stdout=out)
    if run.returncode != 0:
        return 0, [("go to python", f"the generator's exit status is {run.returncode}")] * count
    try:
        cases = read_cases(path)
    except ValueError as error:
        return 0, [("go to python", str(error))] * count
    kinds = {case.get("kind") for case in cases}
    if len(cases) != count or not kinds <= {"forward", "surb"} or (count >= ENOUGH_FOR_BOTH_KINDS and len(kinds) < 2):
        what = f"{len(cases)} cases of the kinds {sorted(map(str, kinds))}, not {count} of both forward and surb"
        return 0, [("go to python", what)] * count
    return check_all(pool, cases, "go to python")


# --- Both ---


def read_cases(path: Path) -> List[Case]:
    """Reads the cases of one vector file; a file that is not one is a ValueError."""
    try:
        vectors = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    cases = vectors.get("cases") if isinstance(vectors, dict) else None
    if not cases or not isinstance(cases, list) or not all(isinstance(case, dict) for case in cases):
        raise ValueError(f"{path}: no cases")
    if vectors.get("count") != len(cases):
        raise ValueError(f"{path}: count is {vectors.get('count')}, with {len(cases)} cases")
    return cases


def check_all(pool: Any, cases: List[Case], what: str) -> Tuple[int, List[Failure]]:
    failures: List[Failure] = []
    for done, (case, wrong) in enumerate(zip(cases, pool.imap(check, cases, chunksize=BATCH // 5)), start=1):
        if wrong:
            failures.append((str(case.get("name")), wrong))
        if done % 250 == 0 or done == len(cases):
            log(f"{what}: {done} of {len(cases)} cases checked")
    beyond = sum(case.get("beyond_reference") is True for case in cases)
    if beyond:
        log(f"{what}: {beyond} of them with a message that the reference cannot build or cannot open")
    return len(cases) - len(failures), failures


def hex_seed(text: str) -> str:
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise argparse.ArgumentTypeError("must be 64 hexadecimal digits")
    return text.lower()


def at_least(smallest: int) -> Any:
    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < smallest:
            raise argparse.ArgumentTypeError(f"must be a number from {smallest}")
        return int(text)
    return number


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="run.sh", description="Cross-checks the Go implementation and the Python reference, live and both ways: "
        "random packets, SURBs and altered packets of the reference are checked by Go, and random packets and SURBs of "
        "Go are rebuilt and opened by the reference, byte for byte and hop by hop.",
        epilog="The last line of output is 'N passed, N failed'; the exit status is 0 only if all have passed.")
    parser.add_argument("--cases", type=at_least(2), default=2000, metavar="N",
                        help="random cases, half of them made by each side; altered packets come on top (%(default)s)")
    parser.add_argument("--seed", type=hex_seed, metavar="HEX",
                        help="32 bytes that all cases follow from, to repeat a run (default: random, and printed)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="write the vector files to DIR and leave them there")
    parser.add_argument("--jobs", type=at_least(1), default=min(8, os.cpu_count() or 1), metavar="N",
                        help="Python processes (%(default)s)")
    parser.add_argument("--self-test", nargs="+", type=Path, metavar="FILE",
                        help="instead, check the forward, surb and negative cases of these vector files with the "
                        "reference alone; runs no Go")
    return parser.parse_args()


def live(pool: Any, seed: str, count: int, folder: Path) -> Tuple[int, List[Failure]]:
    passed, failures = python_to_go(pool, seed, count - count // 2, folder)
    more_passed, more_failures = go_to_python(pool, seed, count // 2, folder)
    return passed + more_passed, failures + more_failures


def main() -> int:
    if not __debug__:
        sys.exit("crosscheck: the reference states its limits as assertions; run it without -O")
    options = arguments()
    seed: Optional[str] = None
    with multiprocessing.Pool(options.jobs) as pool, tempfile.TemporaryDirectory(prefix="crosscheck-") as temporary:
        try:
            if options.self_test:
                cases = [case for path in options.self_test for case in read_cases(path)]
                passed, failures = check_all(pool, cases, "self-test")
            else:
                seed = options.seed or secrets.token_hex(32)
                log(f"seed {seed}")
                folder = (options.keep or Path(temporary)).resolve()
                folder.mkdir(parents=True, exist_ok=True)
                passed, failures = live(pool, seed, options.cases, folder)
        except (OSError, ValueError) as error:
            sys.exit(f"crosscheck: {error}")
    for name, wrong in list(dict.fromkeys(failures))[:SHOWN_FAILURES]:
        print(f"FAIL {name}: {wrong}")
    if failures and seed:
        print(f"repeat with --cases {options.cases} --seed {seed}, and --keep DIR for the files")
    print(f"{passed} passed, {len(failures)} failed")
    return 1 if failures or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
