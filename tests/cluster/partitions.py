"""A cluster whose machines are network namespaces, so that a test can cut them off from one another.

Tests assert what becomes of it; bench/groups/partition.py prints the times.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from machines import NODES, Machines, own_database
from network import why_not
from processes import ROOT, eventually

__all__ = ["CLIENT", "NODES", "STORE", "Cluster", "Cut", "Sample", "cluster", "eventually", "why_not"]

STORE, CLIENT = "store", "client"


@dataclass
class Sample:
    """What the client saw at a time, which all namespaces share."""

    at: float
    kind: str  # "state", "read" or "write"
    state: str = ""
    cause: str = ""
    nodes: int = 0
    share: float = 1  # of their calls, for nodes that are back
    ok: bool = False
    begun: float = 0.0  # of a read
    node: str = ""
    attempts: int = 1
    stale: bool = False
    source: str = ""
    error: str = ""
    retryable: bool = False
    row: int = 0  # of a write
    detection: float = 0.0  # sums of the exported histograms
    recovery: float = 0.0


@dataclass
class Cut:
    """When things happened, in seconds of the machine's clock."""

    cut: float
    detected: float
    local: float  # the first read that was served in local mode
    healed: float = 0.0
    connected: float = 0.0
    exported_detection: float = 0.0
    exported_recovery: float = 0.0
    samples: list[Sample] = field(default_factory=list)


class Cluster(Machines):
    """etcd, three nodes that each serve a database with their name, and a client, on a machine each."""

    def __init__(self, folder: pathlib.Path, readers: int = 1, timeout: float = 2, **partition: object) -> None:
        self.readers, self.timeout = readers, timeout
        self._partition = partition
        super().__init__(folder, [STORE, *NODES, CLIENT])

    def start(self) -> None:
        self.start_store(STORE)
        shared = self.deployment(partition=self._partition)
        for name in NODES:
            self.start_node(name, shared, own_database(self.folder, name))
        own = {"load_balancer": {"algorithm": "round_robin"}, "metrics": {"prometheus": {"listen": "127.0.0.1:9464"}}}
        config = self.folder / "client.yaml"
        config.write_text(json.dumps({"deployment": {**shared, **own}}))
        script = str(ROOT / "tests" / "cluster" / "partition_client.py")
        self.run(CLIENT, sys.executable, script, str(config), str(self.readers), str(self.timeout))
        self.wait(lambda seen: seen.kind == "state" and seen.nodes == len(NODES), "all nodes known")
        self.wait(lambda seen: seen.ok, "a read")

    def samples(self) -> list[Sample]:
        """All that the client said so far."""
        text = (self.folder / f"{CLIENT}.out").read_text()
        return [Sample(**json.loads(line)) for line in text[: text.rfind("\n") + 1].splitlines()]

    def written(self) -> list[int]:
        """What all of the nodes' databases hold of the client's writes."""
        rows: list[int] = []
        for name in NODES:
            with contextlib.closing(sqlite3.connect(self.folder / f"{name}.db")) as database:
                rows += [row for (row,) in database.execute("select row from written")]
        return rows

    def wait(self, wanted: Callable[[Sample], bool], what: str, since: float = 0.0, seconds: float = 60) -> Sample:
        """The first such sample that was taken since then."""

        def found() -> Sample | None:
            return next((seen for seen in self.samples() if seen.at >= since and wanted(seen)), None)

        try:
            sample: Sample = eventually(found, seconds)
        except AssertionError:
            logs = {name: (self.folder / f"{name}.log").read_text()[-2000:] for name in self.processes}
            raise AssertionError(f"{what}: not within {seconds} s; {self.samples()[-3:]}; {logs}") from None
        return sample

    def wait_for_state(self, state: str, since: float) -> Sample:
        return self.wait(lambda seen: seen.kind == "state" and seen.state == state, state, since)

    def tell(self, word: str) -> None:
        """A line to the client."""
        self.say(CLIENT, word)

    def cut(self, fault: Callable[[], None]) -> Cut:
        """The fault, until the client serves reads in local mode."""
        before = self.samples()[-1].at
        detection = max(seen.detection for seen in self.samples())
        fault()
        at = time.monotonic()
        detected = self.wait(lambda seen: seen.state in ("partitioned", "local"), "detected", before)
        local = self.wait(lambda seen: seen.kind == "read" and seen.ok and seen.stale, "a local read", before)
        made = Cut(at, detected.at, local.at)
        told = self.wait(lambda seen: seen.kind == "state" and seen.detection > detection, "exported", before)
        made.exported_detection = told.detection - detection
        return made

    def heal(self, made: Cut) -> Cut:
        """Until the client is connected again."""
        recovery = max(seen.recovery for seen in self.samples())
        self.network.heal()
        made.healed = time.monotonic()
        made.connected = self.wait_for_state("connected", made.healed).at
        told = self.wait(lambda seen: seen.kind == "state" and seen.recovery > recovery, "exported", made.healed)
        made.exported_recovery = told.recovery - recovery
        made.samples = self.samples()
        return made


@contextlib.contextmanager
def cluster(folder: pathlib.Path, readers: int = 1, timeout: float = 2, **partition: object) -> Iterator[Cluster]:
    """`timeout`: seconds that each call of the client may take."""
    made = Cluster(folder, readers, timeout, **partition)
    try:
        yield made
    finally:
        made.end()
