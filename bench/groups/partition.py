"""What a client notices while machines are cut off: etcd, three nodes and a client, each in a network namespace."""

from __future__ import annotations

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
