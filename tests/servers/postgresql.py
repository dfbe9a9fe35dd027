"""A real PostgreSQL 15 with password logins, in a directory of its own on a free loopback port."""

import contextlib
import os
import pathlib
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator

BIN = pathlib.Path("/usr/lib/postgresql/15/bin")


def _as_postgres(*command: str) -> None:
    prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    subprocess.run([*prefix, *command], check=True, stdout=subprocess.DEVNULL, cwd="/")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def serve(directory: pathlib.Path) -> Iterator[dict[str, str]]:
    password = secrets.token_hex(8)
    home = directory / "postgresql"
    home.mkdir(parents=True, exist_ok=True)
    secret = home / "password"
    secret.write_text(password)
    if os.geteuid() == 0:
        for folder in (directory, *directory.parents):
            if folder.stat().st_mode & 0o001 == 0 and folder.is_relative_to("/tmp"):
                folder.chmod(0o711)
        shutil.chown(home, "postgres")
        shutil.chown(secret, "postgres")
    data = home / "data"
    _as_postgres(
        str(BIN / "initdb"), "-D", str(data), "-U", "cenote", "-A", "scram-sha-256",
        f"--pwfile={secret}", "-E", "UTF8", "--no-sync",
    )  # fmt: skip
    port = _free_port()
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={home} -c fsync=off"
    control = [str(BIN / "pg_ctl"), "-D", str(data), "-w"]
    _as_postgres(*control, "-l", str(home / "log"), "-o", options, "start")
    try:
        url = f"postgresql://cenote:{password}@127.0.0.1:{port}/postgres"
        yield {"CENOTE_TEST_POSTGRESQL": url}
    finally:
        _as_postgres(*control, "-m", "immediate", "stop")
