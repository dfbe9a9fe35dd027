"""A cluster that writes a history: three etcd, three nodes before one PostgreSQL, two clients, a machine each."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import history
from machines import NODES, Machines
from network import why_not
from processes import ROOT, eventually
from stores import servers

__all__ = ["CLIENTS", "DATABASE", "GUEST", "NODES", "STORES", "Appends", "appends", "why_not"]

STORES = ("s1", "s2", "s3")
DATABASE = "db"
CLIENTS = ("c1", "c2")
GUEST = "c3"  # a client with a history of its own, which a test starts
WORKERS = 6  # of each client
PORT = "5432"


class Appends(Machines):
    """Its history goes to the folder `kept`, or to one of its own in `folder`."""

    def __init__(self, folder: pathlib.Path, kept: pathlib.Path | None = None) -> None:
        self.history = kept or folder / "history"
        self.history.mkdir(parents=True)
        self.recorder = history.Recorder(self.history / "faults.jsonl")
        self._password = secrets.token_hex(8)
        self._loads = 0
        self._done = dict.fromkeys([*CLIENTS, GUEST], 0)
        super().__init__(folder, [*STORES, DATABASE, *NODES, *CLIENTS, GUEST])

    def start(self) -> None:
        self.start_store(*STORES)
        self._start_database()
        shared = self.deployment()
        for name in NODES:
            self.start_node(name, shared, self.pool())
        (self.folder / "client.yaml").write_text(
            json.dumps({"deployment": {**shared, "load_balancer": {"algorithm": "round_robin"}}})
        )
        for name in CLIENTS:
            self.start_client(name)
        self.wait_for_all()

    def pool(self) -> dict[str, Any]:
        place = {"host": self.network.addresses[DATABASE], "port": int(PORT), "database": "postgres"}
        return {"type": "postgresql", "config": {**place, "username": "cenote", "password": self._password}}

    def _start_database(self) -> None:
        postgresql = servers("postgresql")
        made = postgresql.Cluster(self.folder / "postgresql", self._password)
        made.create()
        with (made.data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all 10.77.0.0/24 scram-sha-256\n")
        user = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")
        settings = (f"unix_socket_directories={made.home}", "listen_addresses=*", f"port={PORT}", "fsync=off")
        options = [word for setting in settings for word in ("-c", setting)]
        program = postgresql.BIN / "postgres"
        self.run(DATABASE, *user, str(program), "-D", str(made.data), *options)
        eventually(lambda: self.asked("select 1", check=False) == "1")
        self.asked("create table lists (key bigint primary key, ids text not null)")

    def asked(self, sql: str, *, check: bool = True) -> str:
        """Of the database itself, on its own machine."""
        done = subprocess.run([*self._psql, "-c", sql], capture_output=True, text=True, check=False, env=self._secret)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip()

    @property
    def _psql(self) -> list[str]:
        given = ["-q", "-A", "-t", "-h", "127.0.0.1", "-p", PORT, "-U", "cenote", "-d", "postgres"]
        return self.network.command(DATABASE, "psql", *given)

    @property
    def _secret(self) -> dict[str, str]:
        return os.environ | {"PGPASSWORD": self._password}

    def start_client(self, name: str, folder: pathlib.Path | None = None, mistake: str = "") -> None:
        script = ROOT / "tests" / "cluster" / "append_client.py"
        given = [name, str(self.folder / "client.yaml"), str(folder or self.history), mistake]
        self.run(name, sys.executable, str(script), *given)

    @contextlib.contextmanager
    def writers_wait(self, key: int) -> Iterator[None]:
        """Appends to a list, which must be there, wait in the database meanwhile."""
        command = [*self._psql, "-c", f"begin; select key from lists where key = {key} for update", "-f", "-"]
        holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self._secret)
        assert holder.stdin is not None and holder.stdout is not None
        try:
            assert holder.stdout.readline() == f"{key}\n"
            yield
        finally:
            holder.communicate("commit;\n", timeout=30)

    def wait_for_writer(self) -> None:
        """Until an append waits in the database."""
        waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like 'insert%'"
        eventually(lambda: self.asked(waiting) == "1")

    def told(self) -> list[dict[str, Any]]:
        """The history so far."""
        return history.lines([self.history])

    def tell(self, client: str, do: str, **more: object) -> None:
        self.say(client, json.dumps({"do": do, **more}))

    def wait(self, wanted: Callable[[dict[str, Any]], object], what: str, since: float = 0.0) -> dict[str, Any]:
        """The first such line that was written since then."""

        def found() -> dict[str, Any] | None:
            return next((line for line in self.told() if line["time"] >= since and wanted(line)), None)

        try:
            line: dict[str, Any] = eventually(found, 60)
        except AssertionError:
            raise AssertionError(f"{what}: not within a minute; {self.told()[-3:]}; {self.logs()}") from None
        return line

    def logs(self) -> dict[str, str]:
        return {name: (self.folder / f"{name}.log").read_text()[-1000:] for name in self.processes}

    def views(self) -> dict[str, dict[str, Any]]:
        """What each client knows now."""
        return {line["process"].removesuffix(".view"): line for line in self.told() if "nodes" in line}

    def wait_for_all(self) -> None:
        """Until each client is connected and knows all nodes to be up."""
        well = {"partition": "connected", "nodes": dict.fromkeys(NODES, "up")}

        def settled() -> bool:
            seen = self.views()
            return all(name in seen and {key: seen[name][key] for key in well} == well for name in CLIENTS)

        try:
            eventually(settled, 60)
        except AssertionError:
            raise AssertionError(f"not all is well within a minute: {self.views()}; {self.logs()}") from None

    def wait_done(self, client: str) -> None:
        """Until all calls of a command have ended."""
        self._done[client] += 1
        answers = self.folder / f"{client}.out"
        try:
            eventually(lambda: answers.read_text().count("done") == self._done[client], 60)
        except AssertionError:
            raise AssertionError(f"calls of {client} did not end within a minute; history: {self.history}") from None

    @contextlib.contextmanager
    def load(self, seed: int) -> Iterator[None]:
        """Both clients append and read meanwhile; afterwards the network is whole, and all lists are read once more."""
        self._loads += 1
        keys = self._loads * 1_000_000
        given = {"begin": time.monotonic(), "workers": WORKERS, "keys": keys}
        for number, client in enumerate(CLIENTS, 1):
            first = self._loads * 1_000_000_000 + number * 10_000_000  # ids that no other has, nor another load
            self.tell(client, "load", seed=seed + number, first=first, **given)
        yield
        self.network.heal()
        for client in CLIENTS:
            self.tell(client, "rest")
        for client in CLIENTS:
            self.wait_done(client)
        self.wait_for_all()
        written = {line["key"] for line in self.told() if "key" in line}
        self.read(CLIENTS[0], sorted(key for key in written if keys <= key < keys + 1_000_000))

    def read(self, client: str, keys: list[int]) -> None:
        """Each of these lists once."""
        self.tell(client, "read all", keys=keys)
        self.wait_done(client)

    def note(self, what: str) -> None:
        self.recorder.write("nemesis", "note", fault=what)

    def problems(self, since: float = 0.0) -> str:
        """What is wrong with the history since then, and how to see it again; empty: nothing."""
        found = history.problems(line for line in self.told() if line["time"] >= since)
        again = f"build/venv/bin/python tests/cluster/history.py {self.history}"
        return "\n".join([*found[:20], f"the history can be judged again: {again}"]) if found else ""

    def end(self) -> None:
        if database := self.processes.get(DATABASE):
            database.send_signal(signal.SIGQUIT)  # its children end with it
            database.wait()
        super().end()
        self.recorder.close()


@contextlib.contextmanager
def appends(folder: pathlib.Path, kept: pathlib.Path | None = None) -> Iterator[Appends]:
    made = Appends(folder, kept)
    try:
        yield made
    finally:
        made.end()
