"""What one coordinator on one core bears: nodes with a heartbeat a second and a watch each, over real sockets."""

from __future__ import annotations

import json
import pathlib
import subprocess
from collections.abc import Iterator

from harness import PROGRAMS, ROOT, Bench, Figures, Result, Row, at_most, figures

TITLE = "One coordinator on one core: nodes with 1 s heartbeats and a watch each"

SIZES = (200, 500, 1_000, 2_000)
SECONDS = 6
PROGRAM = ROOT / "build" / "bin" / "cenote"


def measured(folder: pathlib.Path, nodes: int) -> list[Result]:
    """One fresh coordinator on the first core, its load on the second."""
    config = {
        "listen": "127.0.0.1:0",
        "state": str(folder / "coordinator.db"),
        # Else the nodes would come in 50 a second, and wait here for nothing.
        "registrations_per_second": 100_000,
        "max_connections": 100_000,
    }
    path = folder / "coordinator.yaml"
    path.write_text(json.dumps({"coordinator": config}))
    for old in folder.glob("coordinator.db*"):
        old.unlink()
    command = ["taskset", "-c", "0", PROGRAM, "coordinator", "-c", path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as coordinator:
        try:
            assert coordinator.stdout is not None
            port = coordinator.stdout.readline().strip().rsplit(":", 1)[1]
            load = ["taskset", "-c", "1", PROGRAMS / "bench-coordinator", port, coordinator.pid, nodes, SECONDS]
            done = subprocess.run(
                [str(word) for word in load], capture_output=True, text=True, timeout=180, check=False
            )
        finally:
            coordinator.terminate()
    if done.returncode != 0:
        raise RuntimeError(f"{done.stdout[-500:]}\n{done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def derived(results: list[Result], nodes: int) -> list[Result]:
    """What one heartbeat and one event cost, of each repetition: what docs/scaling.md multiplies."""
    calm = [result for result in results if result["nodes"] == nodes and result["who"] == "calm"]
    changing = [result for result in results if result["nodes"] == nodes and result["who"] == "changing"]
    costs = []
    for before, after in zip(calm, changing, strict=True):
        events = after["changes_per_s"] * nodes
        costs.append(
            {
                "beat_us": before["cpu"] / 100 / before["beats_per_s"] * 1e6,
                "event_us": max(0.0, after["cpu"] - before["cpu"]) / 100 / events * 1e6,
                "event_bytes": (after["watch_kb_per_s"] - before["watch_kb_per_s"]) * 1e3 / events,
            }
        )
    return costs


def run(bench: Bench) -> Iterator[Row]:
    def all_sizes() -> list[Result]:
        return [result for nodes in SIZES for result in measured(bench.scratch, nodes)]

    results = bench.take_turns({"cenote": all_sizes})
    few = SIZES[0]

    def row(nodes: int, what: str, key: str, unit: str, who: str, limit: float | None = None) -> Row:
        """Beside it the figure of the fewest nodes: the ratio is how it grew."""
        ours = figures(results, key, unit, who=who, nodes=nodes)
        peer, theirs = "", None
        if nodes != few:
            peer, theirs = f"{few:,} nodes", figures(results, key, unit, who=who, nodes=few)
        return Row(f"{nodes:,} nodes: {what}", ours, peer, theirs, None if limit is None else at_most(limit))

    for nodes in SIZES:
        most = 50 if nodes == SIZES[-1] else None
        yield row(nodes, "heartbeat, p50", "p50_ms", "ms", "calm")
        yield row(nodes, "heartbeat, p99", "p99_ms", "ms", "calm", most)
        yield row(nodes, "the coordinator's core", "cpu", "%", "calm")
        yield row(nodes, "memory for each node", "kb_per_node", "kB", "calm")
        yield row(nodes, "2 changes/s: heartbeat, p99", "p99_ms", "ms", "changing", most)
        yield row(nodes, "2 changes/s: the coordinator's core", "cpu", "%", "changing")
        yield row(nodes, "2 changes/s: the last watch knows", "told_max_ms", "ms", "changing")
        yield row(nodes, "2 changes/s: to the watches", "watch_kb_per_s", "kB/s", "changing")
    costs = derived(results, SIZES[-1])

    def cost(what: str, key: str, unit: str) -> Row:
        return Row(what, Figures(tuple(each[key] for each in costs), unit))

    yield cost("the core's time for a heartbeat, its share of metrics and bookmarks", "beat_us", "µs")
    yield cost("the core's time for an event to one watch", "event_us", "µs")
    yield cost("bytes of an event to one watch", "event_bytes", "B")
