"""A process that forks after it has joined a cluster: the child hears a clear error, the parent does not notice."""

from __future__ import annotations

import pathlib
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest
from processes import Cluster, cluster

# The child tells by its exit code; what it raises unexpectedly goes to standard error. A hang is SIGALRM.
PREAMBLE = """
import logging, os, signal, sys, warnings
logging.getLogger("cenote").addHandler(logging.NullHandler())  # of a coordinator that is slow
warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads
import cenote
pool = cenote.DistributedDatabasePool("coordinated", sys.argv[1])

def ask(pool, timeout=30):
    return pool.sync.query("main_db", "select name from who", timeout=timeout).rows()

def in_child(work):
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        work()
        sys.exit(0)  # the whole exit of an interpreter, which closes pools
    assert os.waitpid(child, 0)[1] == 0

def refused(call, words):
    try:
        call()
    except cenote.InterfaceError as error:
        assert words in str(error), error
    else:
        raise AssertionError("no error")
"""


@pytest.fixture
def one(tmp_path: pathlib.Path) -> Iterator[Cluster]:
    with cluster(tmp_path, "n1") as made:
        yield made


def run(made: Cluster, code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PREAMBLE + textwrap.dedent(code), made.url],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    assert done.returncode != -signal.SIGALRM


def test_the_child_is_told_to_make_its_own_and_the_parent_goes_on(one: Cluster) -> None:
    run(
        one,
        """
        assert ask(pool) == [("n1",)]

        def work():
            refused(lambda: ask(pool), "forked")
            refused(lambda: pool.sync.transaction("main_db").__enter__(), "forked")
            assert pool.list_pools() == []
            assert "forked" in pool.cluster_status()["last_error"]
            # gRPC, used before the fork, would abort the process.
            own = cenote.DistributedDatabasePool("coordinated", sys.argv[1])
            refused(lambda: ask(own), "forked")

        in_child(work)
        assert ask(pool) == [("n1",)]
        """,
    )


def test_a_child_forked_before_the_first_call_joins_by_itself(one: Cluster) -> None:
    run(
        one,
        """
        def work():
            refused(lambda: ask(pool), "forked")
            assert ask(cenote.DistributedDatabasePool("coordinated", sys.argv[1])) == [("n1",)]

        in_child(work)
        assert ask(pool) == [("n1",)]
        """,
    )


def test_the_own_pool_works_in_the_child_too(one: Cluster) -> None:
    run(
        one,
        """
        pool.sync.create_pool("own", "sqlite", database=":memory:")
        assert ask(pool) == [("n1",)]

        def work():
            pool.sync.create_pool("more", "sqlite", database=":memory:")
            assert pool.sync.query("more", "select 1").rows() == [(1,)]
            assert pool.list_pools() == ["own", "more"]

        in_child(work)
        assert pool.sync.query("own", "select 2").rows() == [(2,)]
        """,
    )


def test_what_was_open_at_the_fork_stays_the_parents(one: Cluster) -> None:
    run(
        one,
        """
        rows = "with recursive s(i) as (select 1 union all select i + 1 from s where i < 300000) select i from s"
        with pool.sync.transaction("main_db", read_only=True) as transaction:
            assert transaction.query("select 1").rows() == [(1,)]
            with pool.sync.query_stream("main_db", rows, chunk_size=1000) as stream:
                first = len(next(stream))

                def work():
                    refused(lambda: transaction.query("select 1"), "forked")
                    refused(lambda: next(stream), "forked")
                    os._exit(0)

                in_child(work)
                assert first + sum(len(frame) for frame in stream) == 300000
            assert transaction.query("select 2").rows() == [(2,)]
        """,
    )
