"""What the groups of benchmarks share: rows of the table, their limits, and contestants that take turns."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
PEERS = ROOT / "bench" / "peers"
PROGRAMS = ROOT / "build" / "release" / "bin"
PYTHON = ROOT / "build" / "peers" / "bin" / "python"
JARS = ROOT / "build" / "peers" / "jars"

Result = dict[str, Any]
Contestant = Callable[[], list[Result]]


@dataclass(frozen=True)
class Figures:
    """One measure, once for each repetition."""

    values: tuple[float, ...]
    unit: str
    more_is_better: bool = False

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def best(self) -> float:
        return max(self.values) if self.more_is_better else min(self.values)

    def __str__(self) -> str:
        return f"{number(self.median)} ({number(self.best)}) {self.unit}"


@dataclass(frozen=True)
class Limit:
    """What a row must hold: of our own figure, or of the ratio of ours to the peer's."""

    most: float | None = None
    least: float | None = None
    of_ratio: bool = False

    def holds(self, value: float) -> bool:
        return (self.most is None or value <= self.most) and (self.least is None or value >= self.least)

    def __str__(self) -> str:
        bound = f"≤ {number(self.most)}" if self.most is not None else f"≥ {number(self.least or 0)}"
        return f"{bound} ×" if self.of_ratio else bound


def at_most(value: float) -> Limit:
    return Limit(most=value)


def at_least(value: float) -> Limit:
    return Limit(least=value)


def ratio_at_most(value: float) -> Limit:
    return Limit(most=value, of_ratio=True)


def ratio_at_least(value: float) -> Limit:
    return Limit(least=value, of_ratio=True)


@dataclass(frozen=True)
class Row:
    """A line of the table: our figure, a peer's, and what is asked of them. Judged by medians."""

    what: str
    ours: Figures | None = None
    peer: str = ""
    theirs: Figures | None = None
    limit: Limit | None = None
    skipped: str = ""  # why there is no figure of the peer's
    failed: bool = False  # the group ended with an error

    @property
    def ratio(self) -> float | None:
        return self.ours.median / self.theirs.median if self.ours and self.theirs else None

    @property
    def verdict(self) -> str:
        if self.failed:
            return "failed"
        if self.skipped:
            return f"skipped: {self.skipped}"
        judged = self.ratio if self.limit and self.limit.of_ratio else self.ours and self.ours.median
        if self.limit is None or judged is None:
            return ""
        return "pass" if self.limit.holds(judged) else "**miss**"

    def cells(self) -> list[str]:
        ratio = "" if self.ratio is None else f"{number(self.ratio)} ×"
        return [
            self.what, str(self.ours or ""), self.peer, str(self.theirs or ""), ratio,
            str(self.limit or ""), self.verdict,
        ]  # fmt: skip


HEADER = ["row", "cenote", "peer", "peer's figure", "ratio", "limit", ""]


@dataclass(frozen=True)
class Worst(Row):
    """A line about reliability: nobody beside us, and the worst of all runs is judged, not the median."""

    @property
    def worst(self) -> float:
        assert self.ours is not None
        return min(self.ours.values) if self.ours.more_is_better else max(self.ours.values)

    @property
    def verdict(self) -> str:
        if self.failed or self.skipped or self.limit is None:
            return super().verdict
        return "pass" if self.limit.holds(self.worst) else "**miss**"

    def cells(self) -> list[str]:
        if self.ours is None:
            return [self.what, "", "", "", "", self.verdict]
        unit, runs = self.ours.unit, len(self.ours.values)
        cells = [f"{number(value)} {unit}".strip() for value in (self.worst, self.ours.median)]
        return [self.what, *cells, str(runs), str(self.limit or ""), self.verdict]


WORST_HEADER = ["what happens", "worst", "median", "runs", "limit", ""]


def number(value: float) -> str:
    """Three digits that matter."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def figures(
    results: Iterable[Result], key: str, unit: str, *, more_is_better: bool = False, **match: Any
) -> Figures | None:
    """The `key` of the results that have the values of `match`; None if there is none."""
    values = [r[key] for r in results if key in r and all(r.get(k) == v for k, v in match.items())]
    return Figures(tuple(values), unit, more_is_better) if values else None


@dataclass
class Bench:
    """What a group may use: contestants' processes, the servers, a folder, and its share of the time."""

    scratch: pathlib.Path
    stack: contextlib.ExitStack
    repetitions: int = 5
    seconds: float = 100  # for the repetitions of one group
    skipped: dict[str, str] = field(default_factory=dict)  # contestant: why it did not run
    _environment: dict[str, str] = field(default_factory=dict)

    def program(self, name: str, *arguments: object) -> list[Result]:
        """The lines of JSON of a program of ours, bench-NAME."""
        return self._run([PROGRAMS / f"bench-{name}", *arguments])

    def python(self, script: str, *arguments: object) -> list[Result]:
        """The same of a script of bench/peers, where the peers' packages are installed."""
        return self._run([PYTHON, PEERS / f"{script}.py", *arguments])

    def java(self, source: str, *arguments: object) -> list[Result]:
        return self._run(["java", "-cp", JARS / "*", PEERS / f"{source}.java", *arguments])

    def _run(self, command: list[object]) -> list[Result]:
        done = subprocess.run(
            [str(word) for word in command], capture_output=True, text=True, timeout=180, check=False, cwd=ROOT
        )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout[-500:]}\n{done.stderr[-2000:]}")
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    def postgresql(self) -> str:
        """The URL of a PostgreSQL of this run's own, started when first asked for."""
        if "CENOTE_TEST_POSTGRESQL" not in self._environment:
            servers = module("tools/servers.py")
            self._environment |= servers.start(self.stack, "postgresql", self.scratch)
        return self._environment["CENOTE_TEST_POSTGRESQL"]

    def psql(self, sql: str) -> None:
        subprocess.run(["psql", "-q", "-v", "ON_ERROR_STOP=1", self.postgresql(), "-c", sql], check=True)

    def numbers(self, sql: str) -> list[int]:
        """A column of whole numbers."""
        command = ["psql", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", self.postgresql(), "-c", sql]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return [int(line) for line in done.stdout.split()]

    def take_turns(
        self, contestants: Mapping[str, Contestant], *, repetitions: int | None = None, seconds: float | None = None
    ) -> list[Result]:
        """Each contestant once, then each once more: what disturbs the machine disturbs all. Ends rather early.

        One that fails is skipped with its reason; ours never fails silently.
        """
        results: list[Result] = []
        begin = time.monotonic()
        for _ in range(repetitions or self.repetitions):
            turn = time.monotonic()
            for name, contestant in contestants.items():
                if name in self.skipped:
                    continue
                try:
                    results += contestant()
                except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
                    if name.startswith("cenote"):
                        raise
                    self.skipped[name] = str(error).strip().splitlines()[-1][:160]
            now = time.monotonic()
            if now - begin + (now - turn) > (seconds or self.seconds):
                break
        return results

    def row(self, what: str, ours: Figures | None, peer: str, theirs: Figures | None, limit: Limit | None) -> Row:
        """A row against a peer that may have been skipped."""
        return Row(what, ours, peer, theirs, limit, self.skipped.get(peer, ""))


def module(path: str) -> ModuleType:
    """A file of the repository that is in no package."""
    spec = importlib.util.spec_from_file_location(pathlib.Path(path).stem, ROOT / path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def machine() -> str:
    """One line: processor, memory, system, and the versions of what was compared."""
    model = next(
        (line.split(":")[1].strip() for line in _read("/proc/cpuinfo").splitlines() if line.startswith("model name")),
        os.uname().machine,
    )
    memory = int(_read("/proc/meminfo").split()[1]) / 2**20
    system = next((line.split('"')[1] for line in _read("/etc/os-release").splitlines() if "PRETTY" in line), "")
    parts = [f"{os.cpu_count()} × {model}, {memory:.0f} GB, {system}, Linux {os.uname().release}"]
    for command in (["postgres", "--version"], ["java", "-version"]):
        binary = shutil.which(command[0]) or shutil.which(command[0], path="/usr/lib/postgresql/15/bin")
        if binary:
            done = subprocess.run([binary, command[1]], capture_output=True, text=True, check=False)
            parts.append((done.stdout or done.stderr).splitlines()[0].strip())
    return "; ".join(parts)


def versions() -> str:
    """The peers' packages."""
    names = [
        "adbc-driver-postgresql",
        "asyncpg",
        "connectorx",
        "duckdb",
        "pandas",
        "psycopg",
        "psycopg-pool",
        "sqlalchemy",
    ]
    code = f"import importlib.metadata as m; print(', '.join(f'{{n}} {{m.version(n)}}' for n in {names!r}))"
    done = subprocess.run([str(PYTHON), "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _read(path: str) -> str:
    return pathlib.Path(path).read_text()
