"""Real PostgreSQL 15 servers on free loopback ports: a primary with TLS, its replica, and one for tests to kill."""

import contextlib
import importlib.util
import os
import pathlib
import secrets
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator

_SPEC = importlib.util.spec_from_file_location("members", pathlib.Path(__file__).parent / "members.py")
assert _SPEC is not None and _SPEC.loader is not None
_members = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_members)

BIN = pathlib.Path("/usr/lib/postgresql/15/bin")


def as_postgres(*command: str, check: bool = True, **environment: str) -> None:
    """Runs a command as a user that PostgreSQL agrees to run as: it refuses root."""
    prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    subprocess.run([*prefix, *command], check=check, stdout=subprocess.DEVNULL, cwd="/", env=os.environ | environment)


def free_port() -> int:
    """One that is free again when its server, which tests stop and start, comes back."""
    return int(_members.free_port(["127.0.0.1"]))


def own_directory(home: pathlib.Path) -> None:
    """Makes `home` a directory that the server's user owns and can reach."""
    home.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        return
    for folder in home.parents:
        if folder.stat().st_mode & 0o001 == 0 and folder.is_relative_to("/tmp"):
            folder.chmod(0o711)
    shutil.chown(home, "postgres")


def children(parent: int) -> list[int]:
    """The processes of a server, by their postmaster."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rsplit(")", 1)[1].split()
            if int(fields[1]) == parent:
                found.append(int(stat.parent.name))
    return found


class Cluster:
    """One server: its directory, its port, its one user `cenote`."""

    def __init__(self, home: pathlib.Path, password: str) -> None:
        self.home, self.password, self.port = home, password, free_port()
        self.data = home / "data"
        own_directory(home)

    def create(self) -> None:
        secret = self.home / "password"
        secret.write_text(self.password)
        if os.geteuid() == 0:
            shutil.chown(secret, "postgres")
        as_postgres(
            str(BIN / "initdb"), "-D", str(self.data), "-U", "cenote", "-A", "scram-sha-256",
            f"--pwfile={secret}", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync",
        )  # fmt: skip

    def start_command(self, *options: str) -> list[str]:
        settings = [
            "listen_addresses=127.0.0.1",
            f"port={self.port}",
            f"unix_socket_directories={self.home}",
            "fsync=off",
            *options,
        ]
        flags = " ".join(f"-c {setting}" for setting in settings)
        control = [str(BIN / "pg_ctl"), "-D", str(self.data), "-w", "-t", "60"]
        return [*control, "-l", str(self.home / "log"), "-o", flags, "start"]

    @contextlib.contextmanager
    def running(self, *options: str) -> Iterator[None]:
        as_postgres(*self.start_command(*options))
        try:
            yield
        finally:
            as_postgres(str(BIN / "pg_ctl"), "-D", str(self.data), "-w", "-m", "immediate", "stop", check=False)

    def url(self, host: str = "127.0.0.1", **parameters: str) -> str:
        query = "&".join(f"{key}={value}" for key, value in parameters.items())
        return f"postgresql://cenote:{self.password}@{host}:{self.port}/postgres" + (f"?{query}" if query else "")


def certificates(home: pathlib.Path) -> list[str]:
    """An authority, a certificate of it for `localhost` (not for 127.0.0.1), and another authority."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, cwd=home, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for name in ("ca", "other"):
        subject = f"/CN=cenote test {name}"
        openssl("req", "-x509", *key, "-days", "2", "-subj", subject, "-keyout", f"{name}.key", "-out", f"{name}.crt")
    openssl("req", *key, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr")
    (home / "san").write_text("subjectAltName=DNS:localhost")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-extfile", "san", "-out", "server.crt")  # fmt: skip
    secret = home / "server.key"
    secret.chmod(0o600)
    if os.geteuid() == 0:
        shutil.chown(secret, "postgres")
    return ["ssl=on", f"ssl_cert_file={home}/server.crt", f"ssl_key_file={secret}"]


@contextlib.contextmanager
def serve(directory: pathlib.Path) -> Iterator[dict[str, str]]:
    password = secrets.token_hex(8)
    primary = Cluster(directory / "primary", password)
    primary.create()
    victim = Cluster(directory / "victim", password)
    as_postgres("cp", "-r", str(primary.data), str(victim.data))
    replica = Cluster(directory / "replica", password)
    with contextlib.ExitStack() as stack:
        stack.enter_context(primary.running(*certificates(primary.home)))
        as_postgres(
            str(BIN / "pg_basebackup"), "-D", str(replica.data), "-R", "-X", "stream", "-c", "fast", "-N",
            "-d", primary.url(sslmode="disable"),
        )  # fmt: skip
        stack.enter_context(replica.running("ssl=off"))
        stack.enter_context(victim.running())
        control = pathlib.Path(__file__).parent / "postgresql_control.py"
        yield {
            "CENOTE_TEST_POSTGRESQL": primary.url(sslmode="disable"),
            "CENOTE_TEST_POSTGRESQL_CA": str(primary.home / "ca.crt"),
            "CENOTE_TEST_POSTGRESQL_OTHER_CA": str(primary.home / "other.crt"),
            "CENOTE_TEST_POSTGRESQL_REPLICA": replica.url(),
            "CENOTE_TEST_POSTGRESQL_VICTIM": victim.url(),
            # Followed by `kill`, `restart` or `start`.
            "CENOTE_TEST_POSTGRESQL_VICTIM_CONTROL": shlex.join(
                [sys.executable, str(control), str(victim.data), *victim.start_command()]
            ),
        }
