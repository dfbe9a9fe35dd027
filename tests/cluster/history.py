"""Histories of calls as lines of JSON, and what is wrong with one: `history.py FILE|FOLDER …` says so, status 1 then.

An operation has two lines: `invoke` before the call begins, and after its end `ok`, `fail` (it was certainly not done)
or `info` (it may have been done, and may still be). Times are of the machine's one monotonic clock, so that the files
of several processes make one history. Lines of other types (`note`: a fault, what a client saw) are for the reader.
"""

from __future__ import annotations

import json
import pathlib
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import linearizability
from linearizability import FOREVER, Append, Operation, Read

T = TypeVar("T")


class Unknown(Exception):
    """A call's end that says neither that it was done nor that it was not."""


class NotDone(Exception):
    """A call's end that says that it was certainly not done."""


class Recorder:
    """Writes one file; any number of threads, each of them one process of the history at a time."""

    def __init__(self, path: pathlib.Path) -> None:
        self._file = path.open("a", buffering=1)
        self._lock = threading.Lock()

    def write(self, process: str, type: str, **what: Any) -> None:
        with self._lock:
            self._file.write(json.dumps({"time": time.monotonic(), "process": process, "type": type, **what}) + "\n")

    def call(self, process: str, function: str, key: int, value: Any, work: Callable[[], T]) -> T | None:
        """Records the work, whose answer is a read's value; None: it failed."""
        what = {"function": function, "key": key}
        self.write(process, "invoke", **what, value=value)
        try:
            answer = work()
        except (Unknown, NotDone) as error:
            self.write(process, "info" if isinstance(error, Unknown) else "fail", **what, value=value, error=str(error))
            return None
        except Exception as error:
            self.write(process, "crash", **what, value=value, error=repr(error))
            raise
        self.write(process, "ok", **what, value=answer if function == "read" else value)
        return answer

    def close(self) -> None:
        self._file.close()


def lines(paths: Iterable[pathlib.Path]) -> list[dict[str, Any]]:
    """Of files, and of the files in folders, in the order of time; a line that is being written is left out."""
    files = [file for path in paths for file in (sorted(path.glob("*.jsonl")) if path.is_dir() else [path])]
    read = [json.loads(line) for file in files for line in file.read_text().split("\n")[:-1]]
    return sorted(read, key=lambda line: line["time"])


def operations(history: Iterable[dict[str, Any]]) -> tuple[dict[int, list[Operation]], list[str]]:
    """By key, those that may have been done; and what is wrong with the ends of calls."""
    made: dict[int, list[Operation]] = {}
    wrong = []
    begun: dict[str, dict[str, Any]] = {}
    ids: set[tuple[int, int]] = set()
    for line in history:
        kind, process = line["type"], line["process"]
        if kind == "invoke":
            if process in begun:
                wrong.append(f"{process} began a call before its last one had ended")
            begun[process] = line
            if line["function"] == "append":
                given = line["key"], line["value"]
                if given in ids:
                    wrong.append(f"{process} appends {given[1]} to {given[0]} once more: such a history proves nothing")
                ids.add(given)
        if kind not in ("ok", "fail", "info", "crash"):
            continue
        begin = begun.pop(process)
        if kind != "ok" and (kind == "crash" or not line["error"]):
            wrong.append(f"a call of {process} ended without a clear error: {line['error']!r}")
        if kind == "fail" or (kind != "ok" and line["function"] == "read"):
            continue
        times = begin["time"], line["time"] if kind == "ok" else FOREVER
        read = line["function"] == "read"
        done = Read(process, *times, tuple(line["value"])) if read else Append(process, *times, line["value"])
        made.setdefault(line["key"], []).append(done)
    for process, line in begun.items():
        wrong.append(f"a call of {process} never ended: {line['function']} of key {line['key']}")
    return made, wrong


def problems(history: Iterable[dict[str, Any]]) -> list[str]:
    """What is wrong with a history; empty: an order explains it, and every call ended in an answer or a clear error."""
    by_key, found = operations(history)
    for key, done in sorted(by_key.items()):
        found += [f"key {key}: {each}" for each in linearizability.problems(done)]
    return found


def counts(history: Iterable[dict[str, Any]]) -> dict[str, int]:
    """How many calls ended how, as {"append ok": 3}."""
    made: dict[str, int] = {}
    for line in history:
        if "function" in line and line["type"] != "invoke":
            name = f"{line['function']} {line['type']}"
            made[name] = made.get(name, 0) + 1
    return made


def main(paths: list[str]) -> int:
    history = lines(map(pathlib.Path, paths))
    found = problems(history)
    print(", ".join(f"{name}: {number}" for name, number in sorted(counts(history).items())))
    for each in found:
        print(each)
    print(f"{len(found)} problems" if found else "linearizable")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
