"""Choosing a target from the view: what routing adds to a call before anything leaves the process."""

from collections.abc import Iterator

from harness import Bench, Row, at_most, figures

TITLE = "Choosing a target from the view, every algorithm, one instance in ten shut"
LIMITS = {100: 1_000, 10_000: 5_000}  # ns
ALGORITHMS = ("round_robin", "least_connections", "weighted_round_robin", "random", "p2c_ewma")


def run(bench: Bench) -> Iterator[Row]:
    results = bench.take_turns({"cenote": lambda: bench.program("choose")})
    for instances, most in LIMITS.items():
        for algorithm in ALGORITHMS:
            ours = figures(results, "ns", "ns", who=algorithm, instances=instances)
            yield Row(f"{instances:,} instances, {algorithm}", ours, limit=at_most(most))
