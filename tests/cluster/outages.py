"""Load on a cluster while its processes die, and what became of each call.

Tests assert the counts; bench/groups/outage.py prints them, and the times.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import signal
import time
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import cenote
from processes import Cluster, Process


class Known(Protocol):
    """A cluster, whatever it meets in."""

    nodes: dict[str, Process]

    def connect(self) -> cenote.DistributedDatabasePool:
        """A client."""


READ = "select name from who"
NODES = ("n1", "n2", "n3")


async def eventually(condition: Callable[[], object]) -> None:
    """Waits, bounded, for what another process brings about."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not come about within 60 s"
        await asyncio.sleep(0.02)


def _published(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/v1/nodes", timeout=30) as answer:
        published: dict[str, Any] = json.load(answer)
        return published


async def settled(cluster: Cluster) -> None:
    """A coordinator that has just started judges nobody for a while."""
    while (await asyncio.to_thread(_published, cluster.url))["provisional"]:
        await asyncio.sleep(0.1)


async def client(cluster: Known) -> cenote.DistributedDatabasePool:
    """Knows all nodes, and has asked each of them something."""
    pool = cluster.connect()

    def all_known() -> bool:
        return len((pool.cluster_status() or {"nodes": []})["nodes"]) == len(cluster.nodes)

    await eventually(all_known)
    for _ in range(2 * len(cluster.nodes)):
        await pool.query("main_db", "select 1")
    return pool


@dataclass
class Reads:
    """Reads at a steady rate, each begun when it is due, whatever became of those before it."""

    begin: float = 0.0
    lasted: float = 0.0
    ended: list[float] = field(default_factory=list)  # when each success was there
    slowest: float = 0.0  # from its due time to its end, success or not
    errors: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.ended) + len(self.errors)

    @property
    def error_share(self) -> float:
        return len(self.errors) / self.count

    @property
    def gap(self) -> float:
        """The longest time without a success."""
        times = [self.begin, *sorted(self.ended)]
        return max(later - earlier for earlier, later in itertools.pairwise(times))

    async def _read(self, pool: cenote.DistributedDatabasePool, due: float) -> None:
        try:
            await pool.query("main_db", READ, timeout=60)
            self.ended.append(time.monotonic())
        except cenote.DbPoolError as error:
            self.errors.append(str(error))
        self.slowest = max(self.slowest, time.monotonic() - due)

    async def run(self, pool: cenote.DistributedDatabasePool, seconds: float, rate: int = 200) -> None:
        self.begin = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for number in range(int(seconds * rate)):
                due = self.begin + number / rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                tasks.create_task(self._read(pool, due))


Fault = Callable[[Cluster, float], Awaitable[Reads]]


async def reads_during(
    cluster: Known, seconds: float, fault: Callable[[], Awaitable[None]], after: float = 1.0
) -> Reads:
    """Reads for that long; the fault begins after the first of those seconds."""
    pool = await client(cluster)
    reads = Reads()

    async def disturb() -> None:
        await asyncio.sleep(after)
        await fault()

    async with asyncio.TaskGroup() as both:
        both.create_task(reads.run(pool, seconds))
        both.create_task(disturb())
    return reads


async def one_killed(cluster: Cluster, seconds: float) -> Reads:
    """kill -9 of a node."""

    async def fault() -> None:
        cluster.nodes["n1"].kill()

    return await reads_during(cluster, seconds, fault)


async def one_stopped(cluster: Cluster, seconds: float) -> Reads:
    """SIGSTOP of a node, which goes on after the last read."""

    async def fault() -> None:
        cluster.nodes["n1"].signal(signal.SIGSTOP)

    try:
        return await reads_during(cluster, seconds, fault)
    finally:
        cluster.nodes["n1"].signal(signal.SIGCONT)


@dataclass
class Census:
    """What a coordinator published of its nodes, asked again and again."""

    answers: int = 0
    states: Counter[str] = field(default_factory=Counter)
    missing: int = 0  # nodes that were not in an answer

    @property
    def evictions(self) -> int:
        return self.missing + self.states["dead"]

    async def take(self, url: str, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            nodes = (await asyncio.to_thread(_published, url))["nodes"]
            self.answers += 1
            self.states.update(node["state"] for node in nodes)
            self.missing += len(NODES) - len(nodes)
            await asyncio.sleep(0.1)


async def coordinator_dead(cluster: Cluster, down: float, watched: float) -> tuple[Reads, Census]:
    """kill -9 of the coordinator, which comes back after `down` and is then watched for `watched` seconds."""
    census = Census()

    async def fault() -> None:
        listen = cluster.url.split("://")[1]
        cluster.coordinator.kill()
        await asyncio.sleep(down)
        await asyncio.to_thread(cluster.start_coordinator, listen)
        await census.take(cluster.url, watched)

    return await reads_during(cluster, down + watched + 2, fault), census


@dataclass
class Writes:
    """Ids that were to be inserted once each, by what their writer was told."""

    kills: int = 0
    acknowledged: set[int] = field(default_factory=set)
    not_sent: set[int] = field(default_factory=set)  # told that the write may be tried again
    unknown: set[int] = field(default_factory=set)

    @property
    def count(self) -> int:
        return len(self.acknowledged) + len(self.not_sent) + len(self.unknown)

    def judge(self, rows: list[int]) -> dict[str, int]:
        """What the table says of it."""
        there = Counter(rows)
        return {
            "acknowledged": len(self.acknowledged),
            "lost": sum(1 for number in self.acknowledged if number not in there),
            "doubled": sum(1 for times in there.values() if times > 1),
            "denied": sum(1 for number in self.not_sent if number in there),
            "unknown": len(self.unknown),
        }

    async def write(self, pool: cenote.DistributedDatabasePool, sql: str, wanted: int, numbers: Iterator[int]) -> None:
        while len(self.acknowledged) < wanted or self.kills == 0:
            number = next(numbers)
            try:
                await pool.execute("main_db", sql, [number], timeout=60)
                self.acknowledged.add(number)
            except cenote.DbPoolError as error:
                (self.not_sent if error.retryable else self.unknown).add(number)
                await asyncio.sleep(0.01)


async def writes_while_nodes_die(cluster: Cluster, sql: str, wanted: int, every: float) -> tuple[Writes, int]:
    """Eight writers, until so many writes are acknowledged; a node is killed and started again all the while.

    Gives also the number of kills.
    """
    pool = await client(cluster)
    writes = Writes()
    numbers = itertools.count(1)
    chance = random.Random(8)
    enough = asyncio.Event()

    async def disturb() -> None:
        while not enough.is_set():
            await asyncio.sleep(every * (0.5 + chance.random()))
            name = chance.choice(list(cluster.nodes))
            cluster.nodes[name].kill()
            writes.kills += 1
            await asyncio.to_thread(cluster.restart, name)

    faults = asyncio.create_task(disturb())
    try:
        async with asyncio.TaskGroup() as writers:
            for _ in range(8):
                writers.create_task(writes.write(pool, sql, wanted, numbers))
    finally:
        enough.set()  # a node that starts just now is waited for
        await faults
    return writes, writes.kills
