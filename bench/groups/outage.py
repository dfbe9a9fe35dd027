"""What callers notice while processes of a cluster die: a coordinator, three nodes, one client, on loopback."""

from __future__ import annotations

import asyncio
import pathlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

from harness import ROOT, Bench, Limit, Result, Worst, at_least, at_most, figures

TITLE = "Outages: a coordinator, three nodes, one client with 200 reads/s"
PAGE = "reliability.md"

# The coordinator's outage lasts a minute, which bounds its repetitions.
COORDINATOR_RUNS = 2
DOWN, WATCHED = 60, 15
WRITES = 1_000
INSERT = "insert into written select $1::bigint from pg_sleep(0.02)"  # long enough to be under way when its node dies


def pieces() -> Any:
    """The load and its faults, which the tests have too."""
    sys.path.insert(0, str(ROOT / "tests" / "cluster"))
    import outages

    return outages


def reads(fault: str) -> list[Result]:
    outages = pieces()
    from processes import cluster

    with tempfile.TemporaryDirectory() as folder, cluster(pathlib.Path(folder), *outages.NODES) as made:
        asyncio.run(outages.settled(made))
        got = asyncio.run(getattr(outages, fault)(made, 10.0))
    return [of_reads(fault, got)]


def of_reads(fault: str, got: Any) -> Result:
    for error in got.errors[:3]:
        print(f"  {fault}: {error}", flush=True)
    errors = 100 * got.error_share
    return {"fault": fault, "errors": errors, "success": 100 - errors, "gap": got.gap, "slowest": got.slowest}


def coordinator() -> list[Result]:
    outages = pieces()
    from processes import cluster

    with tempfile.TemporaryDirectory() as folder, cluster(pathlib.Path(folder), *outages.NODES) as made:
        asyncio.run(outages.settled(made))
        got, census = asyncio.run(outages.coordinator_dead(made, DOWN, WATCHED))
    return [of_reads("coordinator", got) | {"evictions": census.evictions}]


def writes(bench: Bench) -> list[Result]:
    outages = pieces()
    from processes import cluster

    url = bench.postgresql()
    bench.psql("drop table if exists written; create table written (id bigint)")
    pool = {"type": "postgresql", "config": {"uri": url}}
    with tempfile.TemporaryDirectory() as folder, cluster(pathlib.Path(folder), *outages.NODES, pool=pool) as made:
        done, kills = asyncio.run(outages.writes_while_nodes_die(made, INSERT, WRITES, 0.5))
    # What a killed node had begun ends by itself.
    bench.psql(
        "do $$ begin while exists (select from pg_stat_activity where query like 'insert into written%' and "
        "state = 'active') loop perform pg_sleep(0.02), pg_stat_clear_snapshot(); end loop; end $$"
    )
    return [{"fault": "writes", "kills": kills, **done.judge(bench.numbers("select id from written"))}]


def row(results: list[Result], what: str, fault: str, key: str, unit: str, limit: Limit | None) -> Worst:
    more_is_better = limit is not None and limit.least is not None
    return Worst(what, figures(results, key, unit, more_is_better=more_is_better, fault=fault), limit=limit)


def run(bench: Bench) -> Iterator[Worst]:
    both: dict[str, Callable[[], list[Result]]] = {
        "cenote: kill": lambda: reads("one_killed"),
        "cenote: stop": lambda: reads("one_stopped"),
        "cenote: writes": lambda: writes(bench),
    }
    results = bench.take_turns(both, seconds=600)
    results += bench.take_turns({"cenote: coordinator": coordinator}, repetitions=COORDINATOR_RUNS, seconds=600)

    def line(what: str, fault: str, key: str, unit: str, limit: Limit | None = None) -> Worst:
        return row(results, what, fault, key, unit, limit)

    yield line("kill -9 of a node: reads that failed", "one_killed", "errors", "%", at_most(0.5))
    yield line("kill -9 of a node: longest time without an answer", "one_killed", "gap", "s", at_most(1))
    yield line("kill -9 of a node: slowest read", "one_killed", "slowest", "s")
    yield line("SIGSTOP of a node: reads that failed", "one_stopped", "errors", "%", at_most(0.5))
    yield line("SIGSTOP of a node: longest time without an answer", "one_stopped", "gap", "s", at_most(4))
    yield line("SIGSTOP of a node: slowest read", "one_stopped", "slowest", "s")
    dead = f"coordinator dead for {DOWN} s"
    yield line(f"{dead}: reads that succeeded", "coordinator", "success", "%", at_least(99.9))
    yield line(f"{dead}: slowest read", "coordinator", "slowest", "s")
    yield line(f"{dead}: nodes evicted after its return", "coordinator", "evictions", "", at_most(0))
    killed = f"{WRITES:,} acknowledged writes, nodes killed"
    yield line(f"{killed}: kills meanwhile", "writes", "kills", "")
    yield line(f"{killed}: lost", "writes", "lost", "", at_most(0))
    yield line(f"{killed}: done twice", "writes", "doubled", "", at_most(0))
    yield line(f"{killed}: said not to be sent, but done", "writes", "denied", "", at_most(0))
    yield line(f"{killed}: reported as unknown", "writes", "unknown", "")
