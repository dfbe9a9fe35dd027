"""Runs a file of examples/ in a network of its own: `design_files.py MODE FOLDER`. Prints what its query answers."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator

from processes import PROGRAM, ROOT, Process, eventually, prepare_node, start_node
from stores import servers

NODE = "db-node-1:8815"  # where others reach it, as docs/modes/distributed.md has it


def query(file: pathlib.Path) -> subprocess.CompletedProcess[str]:
    command = [PROGRAM, "query", "-c", str(file), "-p", "main_db", "-o", "csv", "select 7 as seven"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


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


def standalone(folder: pathlib.Path, stack: contextlib.ExitStack) -> None:
    stack.enter_context(sql_server(folder))


def coordinated(folder: pathlib.Path, stack: contextlib.ExitStack) -> None:
    given = ["--listen", "127.0.0.1:8080", "--state", str(folder / "coordinator.db")]
    stack.callback(Process(folder, "coordinator", "coordinator", *given).end)
    stack.enter_context(sql_server(folder))


def distributed(folder: pathlib.Path, stack: contextlib.ExitStack) -> None:
    """Consul on its usual port, and a node beside it.

    The file has neither a user nor an authority, so its node speaks plainly, which it does on loopback alone. What is
    sent to its address on the network comes there: the part that a mesh of services plays in front of such a node.
    """
    stack.enter_context(servers("consul").Consul(folder / "consul", http=8500))
    forward = "add table ip mesh; add chain ip mesh out { type nat hook output priority -100; }; "
    forward += "add rule ip mesh out ip daddr 10.77.0.1 tcp dport 8815 dnat to 127.0.0.1:8815"
    subprocess.run(["nft", forward], check=True)
    deployment = {"mode": "distributed", "discovery": {"type": "consul", "endpoint": "consul:8500"}}
    prepare_node(folder, "n1", deployment, flight={"listen": "127.0.0.1:8815", "advertise": NODE})
    node = start_node(folder, "n1")
    stack.callback(node.end)
    eventually(lambda: "registered" in node.log.read_text())


def main(mode: str, folder: pathlib.Path) -> None:
    file = ROOT / "examples" / f"{mode}.yaml"
    with contextlib.ExitStack() as stack:
        {"standalone": standalone, "coordinated": coordinated, "distributed": distributed}[mode](folder, stack)
        done = query(file)
    if done.returncode != 0:
        sys.exit(done.stderr)
    print(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
