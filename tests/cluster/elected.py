"""Several coordinators on one store, which of them leads, and what becomes of writes while leaders die.

Tests assert the counts; bench/groups/stores.py prints them, and the times.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import pathlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import cenote
from processes import Process, coordinated, eventually, free_port, prepare_node, start_node

DEADLINE = 30
Config = dict[str, str]


def config(number: int) -> Config:
    """A configuration that differs by one number."""
    pool = {"id": "main_db", "type": "sqlite", "config": {"database": "shop.db"}, "pool": {"max_connections": number}}
    return {"content": json.dumps({"deployment": {"pools": [pool]}})}


def registration(name: str) -> dict[str, Any]:
    """Of a node that the test plays."""
    return {"node_id": name, "incarnation": 1, "location": "grpc://127.0.0.1:1", "pools": []}


@dataclass
class Answer:
    status: int
    body: Any
    headers: http.client.HTTPMessage


class Coordinator:
    """A process on an address that it keeps."""

    def __init__(self, folder: pathlib.Path, name: str, settings: dict[str, Any]) -> None:
        self.folder, self.name = folder, name
        self.place = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self.place}"
        self.file = folder / f"{name}.yaml"
        self.file.write_text(json.dumps({"coordinator": {"listen": self.place, **settings}}))
        self.start()

    def start(self) -> None:
        self.process = Process(self.folder, self.name, "coordinator", "-c", str(self.file))

    def connect(self, timeout: float = DEADLINE) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.place, timeout=timeout)

    def send(self, connection: http.client.HTTPConnection, method: str, path: str, body: Any, **headers: str) -> None:
        """`headers` with _ for -."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        kind = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), names | kind)

    def call(self, method: str, path: str, body: Any = None, timeout: float = DEADLINE, **headers: str) -> Answer:
        """Raises OSError or HTTPException where no whole answer came."""
        connection = self.connect(timeout)
        with contextlib.closing(connection):
            self.send(connection, method, path, body, **headers)
            answer = connection.getresponse()
            text = answer.read()
            is_json = "json" in answer.headers.get("Content-Type", "")
            return Answer(answer.status, json.loads(text) if is_json else text.decode(), answer.headers)

    def leads(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            answer = self.call("GET", "/readyz", timeout=1)
            return answer.status == 200 and "Cenote-Stale" not in answer.headers
        return False


class Coordinators:
    """Those of one cluster, and nodes that know all of them, as `processes.Cluster` has them."""

    def __init__(self, folder: pathlib.Path, kind: str, endpoint: str, count: int, **settings: Any) -> None:
        self.folder = folder
        store = {"type": kind, "endpoint": endpoint, **settings.pop("store", {})}
        self.all = [Coordinator(folder, f"c{i}", {"store": store, **settings}) for i in range(1, count + 1)]
        self.nodes: dict[str, Process] = {}

    @property
    def url(self) -> str:
        """As a client names all of them."""
        return ",".join(each.url for each in self.all)

    def leader(self) -> Coordinator:
        found: list[Coordinator] = eventually(lambda: [each for each in self.all if each.leads()], 60)
        return found[0]

    def standby(self) -> Coordinator:
        leader = self.leader()
        return next(each for each in self.all if each is not leader)

    def listed(self) -> dict[str, Any]:
        """As the leader lists them; empty: it leads no more."""
        answer = self.leader().call("GET", "/v1/nodes")
        return dict(answer.body) if answer.status == 200 else {}

    def term(self) -> int:
        found: int = eventually(lambda: self.listed().get("term"))
        return found

    def connect(self) -> cenote.DistributedDatabasePool:
        return coordinated(self.url)

    def add(self, name: str) -> Process:
        prepare_node(self.folder, name, {"mode": "coordinated", "coordinator": {"endpoint": self.url}})
        self.nodes[name] = start_node(self.folder, name)
        return self.nodes[name]

    def end(self) -> None:
        for process in [*self.nodes.values(), *(each.process for each in self.all)]:
            process.end()


@contextlib.contextmanager
def coordinators(
    folder: pathlib.Path, kind: str, endpoint: str, *nodes: str, count: int = 2, **settings: Any
) -> Iterator[Coordinators]:
    made = Coordinators(folder, kind, endpoint, count, **settings)
    try:
        made.leader()
        for name in nodes:
            made.add(name)
        yield made
    finally:
        made.end()


def steady(made: Coordinators, check: Callable[[Coordinator, Coordinator], Any]) -> Any:
    """What holds of a leader and another while it leads; anew where it stood still so long that it lost the lead."""
    while True:
        term = made.term()
        leader = made.leader()
        try:
            return check(leader, next(each for each in made.all if each is not leader))
        except Exception:
            if made.term() == term:
                raise


@dataclass
class Versions:
    """Configurations that were written through whoever leads, by what their writer was told."""

    acknowledged: dict[int, str] = field(default_factory=dict)
    terms: list[int] = field(default_factory=list)  # of the leaders that took one, in turn
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def write(self, made: Coordinators, done: threading.Event) -> None:
        """Each over the newest that can be read, at the coordinators in turn; a lost answer is not asked again."""
        for number, coordinator in zip(self.numbers, itertools.cycle(made.all), strict=False):
            if done.is_set():
                return
            with contextlib.suppress(OSError, http.client.HTTPException):
                newest = coordinator.call("GET", "/v1/config/default", timeout=3)
                if "Cenote-Stale" in newest.headers or newest.status not in (200, 404):
                    continue
                seen = newest.body["version"] if newest.status == 200 else 0
                content = config(number)
                answer = coordinator.call("PUT", "/v1/config/default", content, 3, If_Match=f'"{seen}"')
                if answer.status == 201:
                    self._note(answer.body["version"], content["content"], int(answer.headers["Cenote-Term"]))

    def _note(self, version: int, content: str, term: int) -> None:
        assert version not in self.acknowledged, f"version {version} was given twice"
        self.acknowledged[version] = content
        if not self.terms or self.terms[-1] != term:
            self.terms.append(term)

    def judge(self, leader: Coordinator) -> dict[str, int]:
        """What the newest leader says of it."""
        lost = 0
        for version, content in self.acknowledged.items():
            answer = leader.call("GET", f"/v1/config/default/versions/{version}")
            lost += answer.status != 200 or answer.body["content"] != content
        numbers = [each["version"] for each in leader.call("GET", "/v1/config/default/history").body["versions"]]
        return {"lost": lost, "forked": len(numbers) - len(set(numbers)), "falling": self.terms != sorted(self.terms)}


def takes_writes(coordinator: Coordinator, name: str) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        return coordinator.call("POST", "/v1/nodes", registration(name), timeout=1).status == 201
    return False


def follower_of(made: Coordinators, ended: Coordinator, begin: float) -> tuple[Coordinator, float]:
    """Who takes writes in its place, and after how many seconds."""
    others = [each for each in made.all if each is not ended]
    end = begin + 60
    while time.monotonic() < end:
        for other in others:
            if takes_writes(other, "the-first"):
                return other, time.monotonic() - begin
        time.sleep(0.005)
    raise AssertionError("nobody follows")


def ghosts(zombie: Coordinator, number: int) -> list[tuple[str, http.client.HTTPConnection]]:
    """Registrations, which compare nothing, that lie at the door of a leader that stands still."""
    sent = []
    for i in range(number):
        connection = zombie.connect()
        zombie.send(connection, "POST", "/v1/nodes", registration(f"ghost-{i}"))
        sent.append((f"ghost-{i}", connection))
    return sent


def zombie_writes(made: Coordinators, number: int) -> tuple[int, float]:
    """The leader stands still until another leads, and goes on with requests at its door.

    How many of those it took or are in the store, and how long nobody led.
    """
    zombie = made.leader()
    begin = time.monotonic()
    zombie.process.stop()
    try:
        sent = ghosts(zombie, number)
        follower, seconds = follower_of(made, zombie, begin)
    finally:
        zombie.process.signal(signal.SIGCONT)
    taken = 0
    for _, connection in sent:
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            taken += connection.getresponse().status < 300
    # As the store has it: read anew by whoever leads next.
    follower.process.kill()
    follower.start()
    last = made.leader()
    there = {node["node_id"] for node in last.call("GET", "/v1/nodes").body["nodes"]}
    return max(taken, len(there & {name for name, _ in sent})), seconds
