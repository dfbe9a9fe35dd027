"""Kills, restarts or starts a server of the tests: `postgresql_control.py DATA START-COMMAND… kill|restart|start`."""

import contextlib
import importlib.util
import os
import pathlib
import signal
import sys
import time
import types


def kill(servers: types.ModuleType, data: pathlib.Path) -> None:
    """What a crash of the machine does: no process of the server says goodbye."""
    postmaster = int((data / "postmaster.pid").read_text().split()[0])
    family = [postmaster, *servers.children(postmaster)]
    for process in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    while any(pathlib.Path(f"/proc/{process}").exists() for process in family):
        time.sleep(0.01)
    (data / "postmaster.pid").unlink(missing_ok=True)


def main() -> None:
    data, start, action = pathlib.Path(sys.argv[1]), sys.argv[2:-1], sys.argv[-1]
    spec = importlib.util.spec_from_file_location("servers", pathlib.Path(__file__).parent / "postgresql.py")
    assert spec is not None and spec.loader is not None
    servers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(servers)
    if action == "kill":
        kill(servers, data)
    if action == "restart":
        servers.as_postgres(*start[:3], "-w", "-m", "fast", "stop")
    if action in ("restart", "start"):
        servers.as_postgres(*start)


main()
