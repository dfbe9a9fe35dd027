"""For how long a client still asks a node that has died: etcd, three nodes and a client, a network namespace each."""

from __future__ import annotations

import pathlib
import signal
import tempfile
import time
from collections.abc import Iterator

from groups.partition import pieces
from harness import Bench, Limit, Result, Row, Worst, at_most, figures

TITLE = "A node dies: etcd, three nodes and a client, each in a network namespace, mode distributed"
PAGE = "reliability.md"

RUNS = 5
READERS = 8
WATCHED = 20.0  # seconds: longer than a lease and than a breaker's first rests
# A node that is silent is asked for a sign of life before a call goes there, for half a second at the most: no request.
SIGN_OF_LIFE = 0.6
LIMITS = {"kill -9": 1, "SIGSTOP": 4, "network cut": 5}  # seconds until the last request to it


def measure(fault: str) -> list[Result]:
    partitions = pieces()
    with tempfile.TemporaryDirectory() as folder, partitions.cluster(pathlib.Path(folder), READERS) as made:
        victim = made.processes["n3"]
        if fault == "network cut":
            made.network.cut(["n3"])
        else:
            victim.send_signal(signal.SIGKILL if fault == "kill -9" else signal.SIGSTOP)
        at = time.monotonic()
        time.sleep(WATCHED)
        reads = [seen for seen in made.samples() if seen.kind == "read" and seen.at >= at]
        if fault == "SIGSTOP":
            victim.send_signal(signal.SIGCONT)
    # Where the first place failed, or nothing answered in time, it was the dead one.
    least = 0.0 if fault == "kill -9" else SIGN_OF_LIFE
    asked = [seen.begun - at for seen in reads if not seen.ok or (seen.attempts > 1 and seen.at - seen.begun > least)]
    failed = [seen for seen in reads if not seen.ok]
    for seen in failed[:3]:
        print(f"  {fault}: {seen.error}", flush=True)
    slowest = max(seen.at - seen.begun for seen in reads)
    return [{"fault": fault, "last": max(asked, default=0.0), "failed": len(failed), "slowest": slowest}]


def run(bench: Bench) -> Iterator[Row]:
    if reason := pieces().why_not():
        yield Worst("all of them", skipped=reason)
        return
    contestants = {f"cenote: {fault}": lambda fault=fault: measure(fault) for fault in LIMITS}
    results = bench.take_turns(contestants, repetitions=RUNS, seconds=900)

    def line(fault: str, what: str, key: str, unit: str, limit: Limit | None = None) -> Worst:
        return Worst(f"{fault} of one of three: {what}", figures(results, key, unit, fault=fault), limit=limit)

    for fault, most in LIMITS.items():
        yield line(fault, "the last request that went to it", "last", "s", at_most(most))
        yield line(fault, "reads that failed", "failed", "")
        yield line(fault, "slowest read", "slowest", "s")
