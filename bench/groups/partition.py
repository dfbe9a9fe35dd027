"""What a client notices while machines are cut off, or far away and lossy: etcd, nodes, clients, a namespace each."""

from __future__ import annotations

import os
import pathlib
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from harness import ROOT, Bench, Limit, Result, Row, Worst, at_most, figures

TITLE = "Partitions: etcd, three nodes and a client, each in a network namespace"
PAGE = "reliability.md"

RUNS = 5
INTERVAL = 1.0  # detection_interval's default
CHANCE = random.Random(8)
DELAY, LOSS = 100, 5  # milliseconds and percent of what nodes and clients send
FAR_SECONDS = float(os.environ.get("CENOTE_FAR_SECONDS", "60"))
FAULTS = {
    "minority": "client and one of three nodes cut off",
    "deaf": "one-way cut: the client hears nothing, but for one node",
}


def pieces() -> Any:
    """The network and its faults, which the tests have too."""
    sys.path.insert(0, str(ROOT / "tests" / "cluster"))
    import partitions

    return partitions


def measure(name: str) -> list[Result]:
    partitions = pieces()
    with tempfile.TemporaryDirectory() as folder, partitions.cluster(pathlib.Path(folder)) as made:
        network = made.network

        def fault() -> None:
            time.sleep(CHANCE.random() * INTERVAL)  # anywhere between two probes
            if name == "minority":
                network.cut([partitions.CLIENT, "n1"])
            else:
                network.deafen(partitions.CLIENT, but="n1")

        got = made.heal(made.cut(fault))
    detected, connected = got.detected - got.cut, got.connected - got.healed
    return [
        {
            "fault": name,
            "detected": detected,
            "local": got.local - got.cut,
            "connected": connected,
            "detection_error": abs(got.exported_detection - detected),
            "recovery_error": abs(got.exported_recovery - connected),
        }
    ]


def far_away() -> list[Result]:
    """Nodes and clients that are far from one another, from the store and from the database, and lose packets."""
    pieces()
    import appends
    import history

    far = [*appends.NODES, *appends.CLIENTS]
    with tempfile.TemporaryDirectory() as folder, appends.appends(pathlib.Path(folder)) as made:
        made.network.delay(DELAY, far)
        made.network.lose(LOSS, far)
        with made.load(seed=1):
            time.sleep(FAR_SECONDS)
            told = made.told()
        wrong = made.problems()
        if wrong:
            print(wrong, flush=True)
        logs = [(made.folder / f"{name}.log").read_text() for name in far]
    dead = {(name, line["time"]) for line in told if "nodes" in line for name, state in line["nodes"].items()
            if state not in ("up", "draining")}  # fmt: skip
    counts = history.counts(told)
    failed = sum(count for how, count in counts.items() if not how.endswith(" ok"))
    return [
        {
            "fault": "far",
            "dead": len(dead),
            "suspicions": sum(log.count('"to":"suspect"') for log in logs),
            "calls": sum(counts.values()),
            "failed": 100 * failed / sum(counts.values()),
            "problems": len(wrong.splitlines()),
        }
    ]


def run(bench: Bench) -> Iterator[Row]:
    if reason := pieces().why_not():
        yield Worst("all of them", skipped=reason)
        return
    contestants = {f"cenote: {name}": lambda name=name: measure(name) for name in FAULTS}
    results = bench.take_turns(contestants, repetitions=RUNS, seconds=600)

    def line(fault: str, what: str, key: str, limit: Limit) -> Worst:
        return Worst(f"{FAULTS[fault]}: {what}", figures(results, key, "s", fault=fault), limit=limit)

    for fault in FAULTS:
        yield line(fault, "from the cut to finding it", "detected", at_most(4))
        yield line(fault, "from the cut to the first read in local mode", "local", at_most(4.5))
        yield line(fault, "from the heal to being connected", "connected", at_most(12))
        yield line(fault, "exported detection against the true one, off by", "detection_error", at_most(INTERVAL))
        yield line(fault, "exported recovery against the true one, off by", "recovery_error", at_most(INTERVAL))
    yield from far_rows(bench)


def far_rows(bench: Bench) -> Iterator[Row]:
    what = f"{DELAY} ms of delay and {LOSS} % loss for {FAR_SECONDS:.0f} s"
    if reason := pieces().why_not(delay=True):
        yield Worst(what, skipped=reason)
        return
    results = bench.take_turns({"cenote: far": far_away}, repetitions=1)

    def line(name: str, key: str, unit: str, limit: Limit | None = None) -> Worst:
        return Worst(f"{what}: {name}", figures(results, key, unit, fault="far"), limit=limit)

    yield line("times that a client thought a node dead", "dead", "", at_most(0))
    yield line("suspicions of a partition, of two clients and three nodes", "suspicions", "", at_most(2))
    yield line("calls", "calls", "")
    yield line("calls that failed", "failed", "%")
    yield line("lost, doubled, denied, stale or invented; calls without a clear end", "problems", "", at_most(0))
