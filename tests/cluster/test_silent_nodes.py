"""A node that stands still closes no connection: what waits there ends, without a store to tell, and says how."""

from __future__ import annotations

import pathlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import cenote
import pytest
from processes import eventually
from stores import Fleet, fleet

WHO = "select name from who"
SLOW = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 40000000) select count(*) from n"
ROWS = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 10000000) select i from n"
LIMIT = 60  # seconds, after which a call is taken to wait without end


class Call:
    """A call on a thread of its own, which may hang without keeping the tests."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call, self._got, self._error = call, None, None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._got = self._call()
        except cenote.DbPoolError as error:
            self._error = error

    def result(self) -> Any:
        self._thread.join(LIMIT)
        assert not self._thread.is_alive(), "the call waits without end"
        if self._error is not None:
            raise self._error
        return self._got


@pytest.fixture
def listed(tmp_path: pathlib.Path) -> Iterator[Fleet]:
    """Two nodes, and clients that know them by a fixed list alone."""
    alone = {"type": "static", "endpoint": "127.0.0.1:1", "pools": "main_db"}
    with fleet(tmp_path, alone, "n1", "n2") as made:
        made.discovery = {**alone, "endpoint": ",".join(place(made, name) for name in made.nodes)}
        yield made


@pytest.fixture
def pool(listed: Fleet) -> cenote.DistributedDatabasePool:
    made = listed.connect()
    eventually(lambda: {made.sync.query("main_db", WHO).rows()[0][0] for _ in range(4)} == {"n1", "n2"})
    return made


def place(made: Fleet, node: str) -> str:
    return made.nodes[node].address.removeprefix("grpc://")


def reached(pool: cenote.DistributedDatabasePool, node: str) -> bool | None:
    found = pool.cluster_status()
    assert found is not None
    answers: dict[str, bool | None] = {each["id"]: each["reached"] for each in found["nodes"]}
    return answers[node]


def test_reads_without_a_limit_go_on_at_another_node(listed: Fleet, pool: cenote.DistributedDatabasePool) -> None:
    listed.nodes["n1"].stop()
    reads = [Call(lambda: pool.sync.query("main_db", WHO).rows()) for _ in range(6)]
    assert [read.result() for read in reads] == [[("n2",)]] * 6
    eventually(lambda: reached(pool, place(listed, "n1")) is False)
    # It is left alone until it lives again.
    assert [pool.sync.query("main_db", WHO).meta["attempts"] for _ in range(10)] == [1] * 10
    listed.nodes["n1"].signal(signal.SIGCONT)
    eventually(lambda: reached(pool, place(listed, "n1")))
    eventually(lambda: pool.sync.query("main_db", WHO).rows() == [("n1",)])


def test_a_write_without_a_limit_ends_and_its_outcome_is_unknown(
    listed: Fleet, pool: cenote.DistributedDatabasePool
) -> None:
    listed.nodes["n1"].stop()
    writes = [Call(lambda: pool.sync.execute("main_db", "insert into who values ('x')")) for _ in range(2)]
    outcomes = []
    for write in writes:
        try:
            outcomes.append(write.result())
        except cenote.OperationalError as error:
            outcomes.append("outcome is unknown" in str(error))
    assert sorted(outcomes) == [1, True]


def test_a_statement_of_a_transaction_ends(listed: Fleet, pool: cenote.DistributedDatabasePool) -> None:
    with pool.sync.transaction("main_db") as transaction:
        name = transaction.query(WHO).rows()[0][0]
        listed.nodes[name].stop()
        waiting = Call(lambda: transaction.execute("insert into who values ('x')"))
        with pytest.raises(cenote.OperationalError):
            waiting.result()
        listed.nodes[name].signal(signal.SIGCONT)


def test_a_stream_whose_rows_stay_away_ends(listed: Fleet, pool: cenote.DistributedDatabasePool) -> None:
    with pool.sync.query_stream("main_db", ROWS) as rows:
        next(iter(rows))
        for node in listed.nodes.values():
            node.stop()
        waiting = Call(lambda: sum(1 for _ in rows))
        with pytest.raises(cenote.OperationalError):
            waiting.result()
        for node in listed.nodes.values():
            node.signal(signal.SIGCONT)


def test_a_slow_statement_of_a_node_that_lives_is_waited_for(pool: cenote.DistributedDatabasePool) -> None:
    assert pool.sync.query("main_db", SLOW).rows() == [(40000000,)]
