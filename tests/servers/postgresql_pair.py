"""Two real PostgreSQL servers in streaming replication, for tests that kill, pause, promote and rejoin them.

As a program: `postgresql_pair.py HOME reset`, or `… HOME kill|pause|resume|start|stop|promote|demote|rejoin NAME`;
NAME is `a` (the primary after a reset) or `b` (its standby).
"""

import contextlib
import importlib.util
import json
import os
import pathlib
import secrets
import shlex
import shutil
import signal
import sys
import time
import types
from collections.abc import Iterator


def _neighbour(name: str) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(f"pair_{name}", pathlib.Path(__file__).parent / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


servers = _neighbour("postgresql")
# Few connections, so that a test can use them up; a standby that hears nothing asks anew soon.
SETTINGS = ("max_connections=12", "wal_receiver_timeout=2s", "wal_retrieve_retry_interval=200ms")


class Pair:
    def __init__(self, home: pathlib.Path) -> None:
        self.home = home
        known = json.loads((home / "pair.json").read_text())
        self.servers = {}
        for name, port in known["ports"].items():
            server = servers.Cluster(home / name, known["password"])
            server.port = port
            self.servers[name] = server

    def family(self, name: str) -> list[int]:
        file = self.servers[name].data / "postmaster.pid"
        with contextlib.suppress(OSError, ValueError, IndexError):
            postmaster = int(file.read_text().split()[0])
            if pathlib.Path(f"/proc/{postmaster}").exists():
                return [postmaster, *servers.children(postmaster)]
        return []

    def send(self, name: str, number: int) -> list[int]:
        family = self.family(name)
        for process in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)
        return family

    def kill(self, name: str) -> None:
        """What a crash of the machine does: no process of the server says goodbye."""
        family = self.send(name, signal.SIGKILL)
        while any(pathlib.Path(f"/proc/{process}").exists() for process in family):
            time.sleep(0.01)
        (self.servers[name].data / "postmaster.pid").unlink(missing_ok=True)

    def start(self, name: str) -> None:
        servers.as_postgres(*self.servers[name].start_command(*SETTINGS))

    def control(self, name: str, *action: str) -> None:
        data = str(self.servers[name].data)
        servers.as_postgres(str(servers.BIN / "pg_ctl"), "-D", data, "-w", "-t", "60", *action)

    def promote(self, name: str) -> None:
        self.control(name, "promote")

    def demote(self, name: str) -> None:
        """A clean stop, then a start as a standby; of nobody, until the other was promoted and it is joined anew."""
        self.control(name, "-m", "fast", "stop")
        servers.as_postgres("touch", str(self.servers[name].data / "standby.signal"))
        self.start(name)

    def rejoin(self, name: str) -> None:
        """From a fresh copy of the other server, as its standby."""
        self.kill(name)
        server = self.servers[name]
        other = self.servers["b" if name == "a" else "a"]
        shutil.rmtree(server.data, ignore_errors=True)
        servers.as_postgres(
            str(servers.BIN / "pg_basebackup"), "-D", str(server.data), "-R", "-X", "stream", "-c", "fast", "-N",
            "-d", other.url(sslmode="disable"),
        )  # fmt: skip
        self.start(name)

    def reset(self) -> None:
        for name in self.servers:
            self.kill(name)
            shutil.rmtree(self.servers[name].data, ignore_errors=True)
        servers.as_postgres("cp", "-r", str(self.home / "seed" / "data"), str(self.servers["a"].data))
        self.start("a")
        self.rejoin("b")


@contextlib.contextmanager
def serve(directory: pathlib.Path) -> Iterator[dict[str, str]]:
    password = secrets.token_hex(8)
    seed = servers.Cluster(directory / "seed", password)
    seed.create()
    ports: dict[str, int] = {}
    while len(ports) < 2:
        port = servers.free_port()
        if port not in ports.values():
            ports["ab"[len(ports)]] = port
    for name in ports:
        servers.own_directory(directory / name)
    (directory / "pair.json").write_text(json.dumps({"password": password, "ports": ports}))
    pair = Pair(directory)
    try:
        yield {
            "CENOTE_TEST_POSTGRESQL_PAIR_A": pair.servers["a"].url(),
            "CENOTE_TEST_POSTGRESQL_PAIR_B": pair.servers["b"].url(),
            # Followed by an action; `reset` comes first.
            "CENOTE_TEST_POSTGRESQL_PAIR_CONTROL": shlex.join([sys.executable, __file__, str(directory)]),
        }
    finally:
        for name in ports:
            pair.kill(name)


def main() -> None:
    home, action, names = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    pair = Pair(home)
    if action == "pause":
        pair.send(names[0], signal.SIGSTOP)
    elif action == "resume":
        pair.send(names[0], signal.SIGCONT)
    elif action == "stop":
        pair.control(names[0], "-m", "fast", "stop")
    else:
        getattr(pair, action)(*names)


if __name__ == "__main__":
    main()
