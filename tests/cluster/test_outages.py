"""Processes of a cluster die under load: no read fails for it, no write is lost or done twice.

The figures of the same, longer and with times: `make bench ARGS="--only outage"`.
"""

from __future__ import annotations

import contextlib
import pathlib
import sqlite3

import outages
import pytest
from processes import cluster


@pytest.mark.parametrize("fault", [outages.one_killed, outages.one_stopped])
async def test_a_node_that_dies_costs_the_reads_of_a_busy_client_nothing(
    tmp_path: pathlib.Path, fault: outages.Fault
) -> None:
    with cluster(tmp_path, *outages.NODES) as made:
        reads = await fault(made, 4)
    assert reads.errors == []
    assert reads.count == 4 * 200


async def test_a_dead_coordinator_stops_no_read_and_evicts_nobody_when_it_returns(tmp_path: pathlib.Path) -> None:
    # Down for longer than a lease, watched for longer than the grace after a start.
    with cluster(tmp_path, *outages.NODES) as made:
        reads, census = await outages.coordinator_dead(made, 6, 11)
    assert reads.errors == []
    assert census.answers > 0
    assert census.evictions == 0


async def test_writes_through_nodes_that_are_killed_are_done_once_or_reported_unknown(tmp_path: pathlib.Path) -> None:
    database = tmp_path / "written.db"
    with contextlib.closing(sqlite3.connect(database)) as made:
        made.execute("pragma journal_mode = wal")
        made.execute("create table written (id integer)")
    pool = {"type": "sqlite", "config": {"database": str(database)}}
    # Joined and summed, so that some are under way when their node dies.
    sql = "insert into written select ? from (with recursive t(i) as (select 1 union all select i + 1 from t "
    sql += "where i < 5000) select max(i) from t)"
    with cluster(tmp_path, *outages.NODES, pool=pool) as made:
        writes, kills = await outages.writes_while_nodes_die(made, sql, 300, 0.3)
    with contextlib.closing(sqlite3.connect(database)) as read:
        rows = [number for (number,) in read.execute("select id from written")]
    verdict = writes.judge(rows)
    assert kills > 0
    assert verdict["acknowledged"] >= 300
    assert (verdict["lost"], verdict["doubled"], verdict["denied"]) == (0, 0, 0)
