"""One client of a cluster, in a namespace of its own: reads all the time and says as JSON lines what it sees.

Arguments: its configuration, how many threads read, and the seconds that a call may take. Lines on its standard input
are told to it: "recover", and "write", from where on it writes too.
"""

from __future__ import annotations

import itertools
import json
import re
import sys
import threading
import time
import urllib.request
from typing import Any

import cenote

STATE_INTERVAL, READ_INTERVAL = 0.02, 0.05
TIMEOUT = float(sys.argv[3])
METRICS = "http://127.0.0.1:9464/metrics"
_print = threading.Lock()


def say(**sample: Any) -> None:
    with _print:
        print(json.dumps({"at": time.monotonic(), **sample}), flush=True)


def metrics() -> str:
    with urllib.request.urlopen(METRICS, timeout=30) as answer:
        text: str = answer.read().decode()
        return text


def exported(text: str, name: str) -> float:
    found = re.search(rf'^cenote_partition_{name}_seconds_sum{{scope="cluster"}} (\S+)$', text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def watch(pool: cenote.DistributedDatabasePool) -> None:
    before: tuple[object, ...] = ()
    while True:
        status = pool.cluster_status() or {}
        text = metrics()
        sums = exported(text, "detection"), exported(text, "recovery")
        partition = status["partition"]
        now = (partition["state"], partition["cause"], len(status["nodes"]), partition["share"], *sums)
        if now != before:
            seen = dict(zip(("state", "cause", "nodes", "share", "detection", "recovery"), now, strict=True))
            say(kind="state", **seen)
            before = now
        time.sleep(STATE_INTERVAL)


def read(pool: cenote.DistributedDatabasePool) -> None:
    while True:
        begun = time.monotonic()
        try:
            meta = pool.sync.query("main_db", "select name from who", timeout=TIMEOUT).meta
            where = {key: meta[key] for key in ("node", "attempts", "stale", "source")}
            say(kind="read", ok=True, begun=begun, **where)
        except cenote.DbPoolError as error:
            say(kind="read", begun=begun, error=str(error))
        time.sleep(READ_INTERVAL)


def write(pool: cenote.DistributedDatabasePool) -> None:
    for row in itertools.count(1):
        try:
            pool.sync.execute("main_db", f"insert into written values ({row})", timeout=TIMEOUT)
            say(kind="write", ok=True, row=row)
        except cenote.DbPoolError as error:
            say(kind="write", row=row, error=str(error), retryable=error.retryable)
        time.sleep(READ_INTERVAL)


def main() -> None:
    pool = cenote.DistributedDatabasePool.from_yaml(sys.argv[1])
    for work in (watch, *[read] * int(sys.argv[2])):
        threading.Thread(target=work, args=(pool,), daemon=True).start()
    for line in sys.stdin:
        if line.strip() == "recover":
            pool.recover()
        elif line.strip() == "write":
            threading.Thread(target=write, args=(pool,), daemon=True).start()


if __name__ == "__main__":
    main()
