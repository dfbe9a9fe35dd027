"""What callers notice while leaders die, of a store or of the coordinators on it: three members of etcd or Consul."""

from __future__ import annotations

import asyncio
import pathlib
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from harness import ROOT, Bench, Limit, Result, Worst, at_most, figures

TITLE = "Shared stores: two coordinators, three nodes, one client with 200 reads/s, stores of three members"
PAGE = "reliability.md"

STORES = ("etcd", "consul")
GHOSTS = 50  # writes that lie at the door of a leader that stood still


def pieces() -> tuple[Any, Any, Any]:
    """The processes and their faults, which the tests have too."""
    sys.path.insert(0, str(ROOT / "tests" / "cluster"))
    import elected
    import outages
    import stores

    return elected, outages, stores


def coordinators_of(kind: str) -> list[Result]:
    """The leader of two is killed, then its follower stands still."""
    elected, _, stores = pieces()
    with (
        tempfile.TemporaryDirectory() as folder,
        stores.store(kind, pathlib.Path(folder), 3) as members,
        elected.coordinators(pathlib.Path(folder), kind, members.endpoint) as made,
    ):
        leader = made.leader()
        begin = time.monotonic()
        leader.process.kill()
        _, killed = elected.follower_of(made, leader, begin)
        leader.start()
        zombie, stopped = elected.zombie_writes(made, GHOSTS)
    return [{"store": kind, "killed": killed, "stopped": stopped, "zombie": zombie}]


def reads_of(kind: str, mode: str) -> list[Result]:
    """The store's leader is killed under load."""
    elected, outages, stores = pieces()
    with tempfile.TemporaryDirectory() as text, stores.store(kind, pathlib.Path(text), 3) as members:
        folder = pathlib.Path(text)

        async def fault() -> None:
            members.leader().kill()

        if mode == "coordinated":
            with elected.coordinators(folder, kind, members.endpoint, *outages.NODES) as made:
                got = asyncio.run(outages.reads_during(made, 10, fault))
        else:
            discovery = {"type": kind, "endpoint": members.endpoint, "cluster": "bench"}
            with stores.fleet(folder, discovery, *outages.NODES) as made:
                got = asyncio.run(outages.reads_during(made, 10, fault))
    for error in got.errors[:3]:
        print(f"  {kind}, {mode}: {error}", flush=True)
    return [{"store": kind, "mode": mode, "failed": len(got.errors), "gap": got.gap, "count": got.count}]


def run(bench: Bench) -> Iterator[Worst]:
    contestants = {}
    for kind in STORES:
        contestants[f"cenote: {kind}"] = lambda kind=kind: coordinators_of(kind)
        for mode in ("coordinated", "distributed"):
            contestants[f"cenote: {kind}, {mode}"] = lambda kind=kind, mode=mode: reads_of(kind, mode)
    results = bench.take_turns(contestants, seconds=900)

    def line(what: str, key: str, unit: str, limit: Limit | None = None, **match: str) -> Worst:
        return Worst(what, figures(results, key, unit, **match), limit=limit)

    for kind in STORES:
        name = "etcd" if kind == "etcd" else "Consul"
        yield line(
            f"{name}: kill -9 of the leading coordinator: until another takes writes",
            "killed",
            "s",
            at_most(4),
            store=kind,
        )
        yield line(
            f"{name}: SIGSTOP of the leading coordinator: until another takes writes",
            "stopped",
            "s",
            at_most(5),
            store=kind,
        )
        yield line(f"{name}: writes of a leader that stood still, of {GHOSTS}", "zombie", "", at_most(0), store=kind)
        for mode in ("coordinated", "distributed"):
            killed = f"{name}'s leader killed, mode {mode}"
            yield line(f"{killed}: reads that failed", "failed", "", at_most(0), store=kind, mode=mode)
            yield line(f"{killed}: longest time without an answer", "gap", "s", store=kind, mode=mode)
