"""pgbouncer in transaction mode before a PostgreSQL of its own: two server sessions, handed around between clients."""

import contextlib
import importlib.util
import os
import pathlib
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

_SPEC = importlib.util.spec_from_file_location("servers", pathlib.Path(__file__).parent / "postgresql.py")
assert _SPEC is not None and _SPEC.loader is not None
_servers = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_servers)

_SETTINGS = """
[databases]
postgres = host=127.0.0.1 port={server_port} dbname=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {home}/users
pool_mode = transaction
default_pool_size = 2
max_client_conn = 50
logfile = {home}/log
pidfile = {home}/pid
"""


def _wait_until_open(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise RuntimeError("pgbouncer does not listen")


@contextlib.contextmanager
def serve(directory: pathlib.Path) -> Iterator[dict[str, str]]:
    server = _servers.Cluster(directory / "server", secrets.token_hex(8))
    server.create()
    home = directory / "pgbouncer"
    _servers.own_directory(home)
    port = _servers.free_port()
    (home / "users").write_text(f'"cenote" "{server.password}"\n')
    (home / "settings").write_text(_SETTINGS.format(server_port=server.port, port=port, home=home))
    if os.geteuid() == 0:
        for name in ("users", "settings"):
            shutil.chown(home / name, "postgres")
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise RuntimeError("pgbouncer is not installed: apt-get install pgbouncer")
    with server.running():
        user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        bouncer = subprocess.Popen([program, "-q", str(home / "settings")], cwd="/", stderr=subprocess.DEVNULL, **user)
        try:
            _wait_until_open(port, bouncer)
            yield {
                "CENOTE_TEST_PGBOUNCER": f"postgresql://cenote:{server.password}@127.0.0.1:{port}/postgres",
                "CENOTE_TEST_PGBOUNCER_SERVER": server.url(),
            }
        finally:
            bouncer.terminate()
            bouncer.wait()
