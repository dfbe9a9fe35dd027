"""Runs a file of examples/ in a network of its own: `design_files.py MODE FOLDER`. Prints what its query answers."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator

from processes import PROGRAM, ROOT, Process


def query(file: pathlib.Path) -> subprocess.CompletedProcess[str]:
    command = [PROGRAM, "query", "-c", str(file), "-p", "main_db", "-o", "csv", "select 7 as seven"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@contextlib.contextmanager
def sql_server(folder: pathlib.Path) -> Iterator[None]:
    """On the port that SQL Server has."""
    command = [sys.executable, "-m", "tds", str(folder / "db1"), "cenote", os.environ["DB_PASSWORD"], "1433"]
    place = ROOT / "tests" / "servers"
    with subprocess.Popen(command, cwd=place, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None and server.stdout.readline()
            yield
        finally:
            server.kill()


def main(mode: str, folder: pathlib.Path) -> None:
    file = ROOT / "examples" / f"{mode}.yaml"
    with contextlib.ExitStack() as stack:
        if mode == "coordinated":
            given = ["--listen", "127.0.0.1:8080", "--state", str(folder / "coordinator.db")]
            stack.callback(Process(folder, "coordinator", "coordinator", *given).end)
        stack.enter_context(sql_server(folder))
        done = query(file)
    if done.returncode != 0:
        sys.exit(done.stderr)
    print(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
