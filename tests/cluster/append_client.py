"""A client whose calls are a history: appends unique ids to lists in a shared database, and reads whole lists.

Arguments: its name, its configuration, the folder of the history. Each line on its standard input is a command in JSON:
{"do": "append", "key": 1, "id": 2} and {"do": "read", "key": 1} once, in a thread of their own; {"do": "load", …} the
workers of Load until {"do": "rest"}; {"do": "read all", "keys": […]} until each was read once. It answers "done" after
"rest" and "read all", when all of their calls have ended.
"""

from __future__ import annotations

import itertools
import json
import pathlib
import random
import sys
import threading
import time
from typing import Any

import cenote
from history import NotDone, Recorder, Unknown

# One list is one row; to append is one statement, which the database does at once or not at all.
APPEND = "insert into lists (key, ids) select $1::bigint, $2::text from pg_sleep($3) "
APPEND += "on conflict (key) do update set ids = lists.ids || ',' || excluded.ids"
READ = "select ids from lists where key = $1::bigint"
TIMEOUT = 5.0  # of each call of a load
PATIENCE = 30.0  # of a call that a test makes, which does something meanwhile
WATCH_INTERVAL = 0.05


class Client:
    """`mistake`: one that a client could make, for a test of the judge."""

    def __init__(self, name: str, pool: cenote.DistributedDatabasePool, recorder: Recorder, mistake: str) -> None:
        self.name, self.pool, self.recorder, self.mistake = name, pool, recorder, mistake
        self.resting = threading.Event()
        self.workers: list[threading.Thread] = []
        self.numbers = itertools.count(1)
        self.remembered: dict[tuple[str, int], list[int]] = {}

    def append(self, process: str, key: int, number: int, sleep: float = 0.0, timeout: float = TIMEOUT) -> bool:
        def once() -> None:
            try:
                self.pool.sync.execute("main_db", APPEND, [key, str(number), sleep], timeout=timeout)
            except cenote.DbPoolError as error:
                raise (NotDone if error.retryable else Unknown)(f"{type(error).__name__}: {error}") from error

        def work() -> bool:
            try:
                once()
            except (NotDone, Unknown):
                if self.mistake == "retries":
                    once()
                elif self.mistake != "claims":
                    raise
            return True

        return bool(self.recorder.call(process, "append", key, number, work))

    def read(self, process: str, key: int) -> bool:
        def work() -> list[int]:
            before = self.remembered.get((process, key))
            if self.mistake == "remembers" and before is not None:
                return before
            try:
                rows = self.pool.sync.query("main_db", READ, [key], timeout=TIMEOUT).rows()
            except cenote.DbPoolError as error:
                raise Unknown(f"{type(error).__name__}: {error}") from error
            ids = [int(number) for (text,) in rows for number in text.split(",")]
            self.remembered[process, key] = ids
            return ids

        return self.recorder.call(process, "read", key, None, work) is not None

    def once(self, command: dict[str, Any]) -> None:
        process = f"{self.name}.once.{next(self.numbers)}"
        if command["do"] == "append":
            self.append(process, command["key"], command["id"], timeout=PATIENCE)
        else:
            self.read(process, command["key"])

    def load(self, seed: int, first: int, begin: float, workers: int, keys: int = 0) -> None:
        """Each worker appends and reads; the lists, from `keys` on, change with the time, so that none grows long."""
        self.resting.clear()
        for worker in range(workers):
            given = (f"{self.name}.{worker}", random.Random(f"{seed} {worker}"), first + worker * 100_000, begin, keys)
            self.workers.append(threading.Thread(target=self.work, args=given))
            self.workers[-1].start()

    def work(self, process: str, chance: random.Random, first: int, begin: float, keys: int) -> None:
        for number in itertools.count(first):
            if self.resting.is_set():
                return
            key = keys + 4 * int(time.monotonic() - begin) + chance.randrange(4)
            if chance.random() < 0.5:
                # Some take a while, so that faults come in the middle of them.
                self.append(process, key, number, chance.choice([0, 0.02]))
            else:
                self.read(process, max(keys, key - chance.choice([0, 0, 4])))
            self.resting.wait(chance.uniform(0, 0.05))

    def rest(self) -> None:
        self.resting.set()
        while self.workers:
            self.workers.pop().join()

    def read_all(self, keys: list[int]) -> None:
        for key in keys:
            while not self.read(f"{self.name}.all", key):
                time.sleep(0.1)

    def watch(self) -> None:
        """Notes what it knows of the nodes, whenever that changes."""
        before = ""
        while True:
            status = self.pool.cluster_status() or {}
            states = {node["id"]: node["state"] for node in status["nodes"]}
            now = json.dumps({"partition": status["partition"]["state"], "nodes": states})
            if now != before:
                self.recorder.write(f"{self.name}.view", "note", **json.loads(now))
                before = now
            time.sleep(WATCH_INTERVAL)


def main(name: str, config: str, folder: str, mistake: str = "") -> None:
    recorder = Recorder(pathlib.Path(folder) / f"{name}.jsonl")
    client = Client(name, cenote.DistributedDatabasePool.from_yaml(config), recorder, mistake)
    threading.Thread(target=client.watch, daemon=True).start()
    for line in sys.stdin:
        command = json.loads(line)
        what = command.pop("do")
        if what == "load":
            client.load(**command)
        elif what == "rest":
            client.rest()
            print("done", flush=True)
        elif what == "read all":
            client.read_all(**command)
            print("done", flush=True)
        else:
            threading.Thread(target=client.once, args=({"do": what, **command},), daemon=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
