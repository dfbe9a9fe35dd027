"""What etcd's and Consul's servers in tests share: a member's process, ports, certificates, calls by HTTP."""

from __future__ import annotations

import contextlib
import json
import pathlib
import random
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any

START = 60  # seconds that a member may take


def addresses(count: int) -> list[str]:
    """One of its own for each member, as in a real cluster: limits per address stay apart."""
    return [f"127.0.0.{number}" for number in range(1, count + 1)]


def free_port(hosts: Sequence[str], *, datagrams: bool = False) -> int:
    """A port that is free at all addresses, below those that connections and other servers are given meanwhile.

    It is given once as long as this process lives, whoever else asks on this machine: of two who bind it, one is late.
    """
    while True:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            port = random.randrange(20_000, 32_000)
            claim = stack.enter_context(socket.socket(socket.AF_UNIX))
            claim.bind(f"\0cenote-test-port-{port}")
            for host in hosts:
                kinds = [socket.SOCK_STREAM, socket.SOCK_DGRAM] if datagrams else [socket.SOCK_STREAM]
                for kind in kinds:
                    probe = stack.enter_context(socket.socket(socket.AF_INET, kind))
                    probe.bind((host, port))
            claim.detach()  # open until the process ends
            return port


def call(url: str, method: str, path: str, body: Any = None, *, ca: pathlib.Path | None = None, **headers: str) -> Any:
    """The JSON that the server answers; raises urllib.error.URLError and OSError."""
    data = None if body is None else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url + path, data=data, method=method, headers=names)
    context = None
    if ca is not None:
        context = ssl.create_default_context(cafile=ca)
        context.load_cert_chain(ca.with_name("server.crt"), ca.with_name("server.key"))
    with urllib.request.urlopen(request, timeout=10, context=context) as answer:
        text = answer.read()
        return json.loads(text) if text.strip() else None


def eventually(condition: Callable[[], Any], what: str, seconds: float = START) -> Any:
    """The first true value; a server that does not answer yet is asked again."""
    end = time.monotonic() + seconds
    why: object = None
    while time.monotonic() < end:
        try:
            if value := condition():
                return value
        except (OSError, urllib.error.URLError, ValueError) as error:
            why = error
        time.sleep(0.05)
    raise RuntimeError(f"{what}: {why}")


def certificates(home: pathlib.Path) -> None:
    """ca.crt, and server.crt with server.key for 127.0.0.1, good for clients too.

    etcd's gateway is a client of its own server, with the same file; and it wants no user's name (CN) in it.
    """

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, cwd=home, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-days", "2", "-subj", "/CN=cenote test", "-keyout", "ca.key", "-out", "ca.crt")
    openssl("req", *key, "-subj", "/O=cenote", "-keyout", "server.key", "-out", "server.csr")
    (home / "extensions").write_text(
        "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n"
    )
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-extfile", "extensions", "-out", "server.crt")  # fmt: skip


class Member:
    """One process of a store, which keeps its data in `home`/data."""

    def __init__(self, home: pathlib.Path, url: str, command: Sequence[str]) -> None:
        self.home, self.url, self.command = home, url, list(command)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        (self.home / "data").mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, cwd=self.home)

    def kill(self) -> None:
        """As a power failure: nobody says goodbye."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def pause(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def wipe(self) -> None:
        """Ends it and forgets all that it knew."""
        self.kill()
        shutil.rmtree(self.home / "data", ignore_errors=True)


class Ensemble:
    """The members of one store."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = list(members)

    @property
    def urls(self) -> list[str]:
        return [member.url for member in self.members]

    @property
    def endpoint(self) -> str:
        """As a configuration names them."""
        return ",".join(self.urls)

    def ready(self) -> bool:
        """Whether it takes writes."""
        raise NotImplementedError

    def leader(self) -> Member:
        """Waits until there is one."""
        found: Member = eventually(self.leading, "no member says that it leads")
        return found

    def leading(self) -> Member | None:
        """The one that leads, if any says so now."""
        raise NotImplementedError

    def start(self) -> None:
        for member in self.members:
            if member.process is None:
                member.start()
        try:
            eventually(self.ready, f"{type(self).__name__} takes no writes")
        except RuntimeError as error:
            tail = "".join((member.home / "log").read_text(errors="replace")[-1500:] for member in self.members)
            raise RuntimeError(f"{error}\n{tail}") from error

    def wipe(self) -> None:
        for member in self.members:
            member.wipe()
        self.start()

    def end(self) -> None:
        for member in self.members:
            with contextlib.suppress(AssertionError):
                member.resume()
            member.kill()

    def __enter__(self) -> Ensemble:
        try:
            self.start()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
