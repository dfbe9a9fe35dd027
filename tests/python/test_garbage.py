"""Pools that nobody refers to, found by the garbage collector while it runs on some thread of cenote's own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

PRELUDE = """
import gc, logging, sys, threading
import cenote
gc.disable()  # runs where it is told to below, and nowhere else
collected = threading.Event()
def forget(pool):
    cycle = [pool]
    cycle.append(cycle)
"""


def run(code: str, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", PRELUDE + textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_pool_may_be_collected_while_one_of_its_threads_logs() -> None:
    run("""
        class Collecting(logging.Handler):
            def emit(self, record):
                gc.collect()
                collected.set()
        logging.getLogger("cenote").addHandler(Collecting())
        # Its endpoint is gone: the thread that watches the cluster has something to tell, again and again.
        for _ in range(20):
            forget(cenote.DistributedDatabasePool("coordinated", coordinator_url="http://127.0.0.1:1"))
            assert collected.wait(60)
            collected.clear()
    """)


def test_a_pool_may_be_collected_while_one_of_its_threads_asks_for_credentials(postgresql: str) -> None:
    run(
        """
        rest = sys.argv[1].partition("://cenote:")[2]
        password, _, address = rest.partition("@")
        def credentials():
            gc.collect()
            collected.set()
            return "cenote", password
        for _ in range(20):
            forget(cenote.connect("postgresql://" + address, credentials=credentials))
            assert collected.wait(60)
            collected.clear()
        """,
        postgresql,
    )
