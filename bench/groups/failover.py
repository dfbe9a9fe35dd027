"""How long writes stand still when their primary dies: two PostgreSQL servers in streaming replication, one client.

As a program, in a network namespace of its own: `failover.py flap SECONDS`, over a link that loses packets.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from harness import Bench, Limit, Result, Worst, at_most, figures, module

TITLE = "Failover: a primary, its standby, one client that writes"
PAGE = "reliability.md"

THRESHOLD = 5  # switch_threshold's default
LOSS = 5  # %
# "No flap in 10 minutes": make bench ARGS="--only failover" with CENOTE_FLAP_SECONDS=600.
FLAP_SECONDS = int(os.environ.get("CENOTE_FLAP_SECONDS", "60"))
RECOVERY = 60  # after which a switch counts as missing


class Pair:
    """The servers of tests/servers/postgresql_pair.py, and a client's configuration for them."""

    def __init__(self, folder: pathlib.Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.control = shlex.split(environment["CENOTE_TEST_POSTGRESQL_PAIR_CONTROL"])
        self.urls = {name: environment[f"CENOTE_TEST_POSTGRESQL_PAIR_{name.upper()}"] for name in "ab"}

    def run(self, *action: str) -> None:
        subprocess.run([*self.control, *action], check=True)

    def endpoint(self, name: str) -> str:
        return urllib.parse.urlsplit(self.urls[name]).netloc.rpartition("@")[2]

    def client(self) -> Any:
        import cenote

        url = urllib.parse.urlsplit(self.urls["a"])
        config = {
            "endpoints": [self.endpoint("a"), self.endpoint("b")],
            "username": url.username,
            "password": url.password,
            "database": url.path[1:],
        }
        failover = {"strategy": "active_standby", "switch_threshold": f"{THRESHOLD}s"}
        pool = {"id": "db", "type": "postgresql", "config": config, "failover": failover}
        file = self.folder / "cenote.yaml"
        file.write_text(json.dumps({"deployment": {"pools": [pool]}}))  # JSON is YAML
        return cenote.DatabasePool.from_yaml(file)


@contextlib.contextmanager
def servers(folder: pathlib.Path) -> Iterator[Pair]:
    folder.mkdir(exist_ok=True)
    with module("tests/servers/postgresql_pair.py").serve(folder) as environment:
        yield Pair(folder, environment)


def until(condition: Any, what: str) -> None:
    end = time.monotonic() + RECOVERY
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"{what}: not within {RECOVERY} s")
        time.sleep(0.01)


def ready(pool: Any, pair: Pair) -> None:
    def seen() -> bool:
        states = {target["name"]: target["state"] for target in pool.failover_status()[0]["targets"]}
        return states == {pair.endpoint("a"): "writable", pair.endpoint("b"): "read-only"}

    until(seen, "both servers are seen")


def switch(pair: Pair) -> Result:
    """The primary dies, and somebody promotes its standby at once; one writer, one id after another."""
    import cenote

    pair.run("reset")
    pool = pair.client()
    try:
        ready(pool, pair)
        pool.sync.execute("db", "create table written (id bigint)")
        back: float | None = None
        killed = time.monotonic()  # before the command: its own start counts
        pair.run("kill", "a")
        promotion = subprocess.Popen([*pair.control, "promote", "b"])
        number = 0
        while back is None and time.monotonic() < killed + RECOVERY:
            number += 1
            try:
                pool.sync.execute("db", "insert into written values ($1)", [number])
                back = time.monotonic()
            except cenote.DbPoolError:
                continue  # held for as long as that may take; the next one follows
        promotion.wait()
        if back is None:
            raise RuntimeError(f"no write for {RECOVERY} s: {pool.failover_status()}")
        rows = pool.sync.query("db", "select id from written").rows()
        twice = len(rows) - len(set(rows))
        return {"gap": back - killed, "twice": twice, "refused": number - 1}
    finally:
        pool.sync.close()


def flap(seconds: float) -> Result:
    """In this network namespace: checks over a link that loses LOSS % of the primary's packets, both ways."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory(prefix="cenote-flap-") as scratch, servers(pathlib.Path(scratch) / "pair") as pair:
        os.chmod(scratch, 0o755)
        pair.run("reset")
        pool = pair.client()
        ready(pool, pair)
        port = pair.endpoint("a").rpartition(":")[2]
        drop = f"numgen random mod 100 < {LOSS} counter drop"
        rules = "add table inet loss; add chain inet loss in { type filter hook input priority 0; };"
        rules += f" add rule inet loss in tcp dport {port} {drop}; add rule inet loss in tcp sport {port} {drop}"
        subprocess.run(["nft", rules], check=True)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.5)
        counts = pool.failover_status()[0]["counts"]
        pool.sync.close()
        listed = subprocess.run(["nft", "list", "table", "inet", "loss"], capture_output=True, text=True, check=True)
        lost = sum(int(count) for count in re.findall(r"counter packets (\d+)", listed.stdout))
        return {kind: counts.get(kind, 0) for kind in ("suspect", "confirm", "switched")} | {"lost": lost}


def flap_apart() -> Result:
    done = subprocess.run(
        ["unshare", "--net", sys.executable, __file__, "flap", str(FLAP_SECONDS)],
        capture_output=True, text=True, timeout=FLAP_SECONDS + 120, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no word"])[-1])
    found: Result = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def worst(results: list[Result], what: str, key: str, unit: str, limit: Limit | None = None) -> Worst:
    return Worst(what, figures(results, key, unit), limit=limit)


def run(bench: Bench) -> Iterator[Worst]:
    with servers(bench.scratch / "pair") as pair:
        results = bench.take_turns({"cenote: switch": lambda: [switch(pair)]}, seconds=300)
    killed = f"kill -9 of the primary, its standby promoted, switch_threshold {THRESHOLD} s"
    yield worst(results, f"{killed}: time until a write is taken", "gap", "s", at_most(THRESHOLD + 2))
    yield worst(results, f"{killed}: writes done twice", "twice", "", at_most(0))
    lossy = f"{LOSS} % loss on the way to the primary for {FLAP_SECONDS} s"
    try:
        if missing := [name for name in ("nft", "unshare", "ip") if shutil.which(name) is None]:
            raise RuntimeError(f"needs {', '.join(missing)}")
        losses = [flap_apart()]
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        yield Worst(f"{lossy}: switches", skipped=str(error))
        return
    yield worst(losses, f"{lossy}: switches", "switched", "", at_most(0))
    yield worst(losses, f"{lossy}: times that a switch was considered", "confirm", "", at_most(0))
    yield worst(losses, f"{lossy}: times that a check failed", "suspect", "")
    yield worst(losses, f"{lossy}: packets lost", "lost", "")


if __name__ == "__main__":
    print(json.dumps(flap(float(sys.argv[2]))))
