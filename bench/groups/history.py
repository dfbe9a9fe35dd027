"""Whether a history of appends and reads stays explicable while everything fails: machines in network namespaces."""

from __future__ import annotations

import itertools
import os
import pathlib
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from types import ModuleType

from harness import ROOT, Bench, Limit, Result, Row, Worst, at_least, at_most, figures

TITLE = "Histories: three etcd, three nodes before one PostgreSQL, two clients with six threads, a machine each"
PAGE = "reliability.md"

RUNS = 3
SECONDS = float(os.environ.get("CENOTE_NEMESIS_SECONDS", "120"))
SEED = int(os.environ.get("CENOTE_SEED", "0")) or random.randrange(1, 10**6)
SHORTEST, LONGEST = 1, 9  # seconds of one fault: from a hiccup to longer than a lease and than a partition's detection
KEPT = ROOT / "build" / "history"


def pieces() -> tuple[ModuleType, ModuleType, ModuleType]:
    """The cluster, its faults and the judge, which the tests have too."""
    sys.path.insert(0, str(ROOT / "tests" / "cluster"))
    import appends
    import history
    import nemesis

    return appends, history, nemesis


def measure(seed: int) -> list[Result]:
    appends, history, nemesis = pieces()
    kept = KEPT / f"seed-{seed}"
    shutil.rmtree(kept, ignore_errors=True)
    print(
        f"  seed {seed}: CENOTE_SEED={seed} begins with it; until it is judged well, its history is {kept}", flush=True
    )
    with tempfile.TemporaryDirectory() as folder, appends.appends(pathlib.Path(folder), kept) as made:
        faults = nemesis.Nemesis(made, seed)
        end = time.monotonic() + SECONDS
        rounds = itertools.chain.from_iterable(faults.shuffled() for _ in itertools.count())
        with made.load(seed):
            faults.run(itertools.takewhile(lambda _: time.monotonic() < end, rounds), SHORTEST, LONGEST)
        told = made.told()
    wrong = history.problems(told)
    if wrong:
        print("\n".join(wrong[:10]), f"\n  again: build/venv/bin/python tests/cluster/history.py {kept}", flush=True)
    else:
        shutil.rmtree(kept)
    counts = history.counts(told)
    faults_done = sum(line.get("fault", "").endswith(" is over") for line in told)
    unknown, not_done = counts.get("append info", 0), counts.get("append fail", 0)
    return [
        {
            "faults": faults_done,
            "appends": counts["append ok"],
            "reads": counts["read ok"],
            "unknown": unknown,
            "not done": not_done,
            "problems": len(wrong),
        }
    ]


def run(bench: Bench) -> Iterator[Row]:
    if reason := pieces()[0].why_not(delay=True):
        yield Worst("all of them", skipped=reason)
        return
    seeds = itertools.count(SEED)
    runs = {"cenote": lambda: measure(next(seeds))}
    results = bench.take_turns(runs, repetitions=RUNS, seconds=10 * RUNS * SECONDS)

    def line(what: str, key: str, limit: Limit | None = None, *, more: bool = False) -> Worst:
        return Worst(f"{SECONDS:.0f} s of faults: {what}", figures(results, key, "", more_is_better=more), limit=limit)

    yield line("how many", "faults", more=True)
    yield line("acknowledged appends", "appends", at_least(1), more=True)
    yield line("reads of whole lists", "reads", at_least(1), more=True)
    yield line("appends of unknown outcome", "unknown")
    yield line("appends reported as not done", "not done")
    yield line("lost, doubled, denied, stale or invented; calls without a clear end", "problems", at_most(0))
