"""Real etcd servers on free loopback ports: three members without a password, and one with TLS and users."""

from __future__ import annotations

import base64
import contextlib
import importlib.util
import pathlib
import secrets
import shutil
from collections.abc import Iterator
from typing import Any

_SPEC = importlib.util.spec_from_file_location("members", pathlib.Path(__file__).parent / "members.py")
assert _SPEC is not None and _SPEC.loader is not None
members = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(members)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Etcd(members.Ensemble):
    """`count` members; with `secure` it speaks TLS only, to those who have a certificate."""

    def __init__(self, folder: pathlib.Path, count: int = 1, *, secure: bool = False) -> None:
        program = shutil.which("etcd")
        if program is None:
            raise RuntimeError("etcd is not installed: apt-get install etcd-server")
        hosts = members.addresses(count)
        client, peer = members.free_port(hosts), members.free_port(hosts)
        scheme = "https" if secure else "http"
        self.ca = folder / "ca.crt" if secure else None
        folder.mkdir(parents=True, exist_ok=True)
        tls = []
        if secure:
            members.certificates(folder)
            tls = [f"--cert-file={folder}/server.crt", f"--key-file={folder}/server.key"]
            tls += [f"--trusted-ca-file={folder}/ca.crt", "--client-cert-auth"]
        peers = ",".join(f"m{number}=http://{host}:{peer}" for number, host in enumerate(hosts, 1))
        made = []
        for number, host in enumerate(hosts, 1):
            home = folder / f"m{number}"
            url = f"{scheme}://{host}:{client}"
            made.append(
                members.Member(
                    home, url,
                    [
                        program, f"--name=m{number}", f"--data-dir={home}/data", f"--listen-client-urls={url}",
                        f"--advertise-client-urls={url}", f"--listen-peer-urls=http://{host}:{peer}",
                        f"--initial-advertise-peer-urls=http://{host}:{peer}", f"--initial-cluster={peers}",
                        "--initial-cluster-state=new", f"--initial-cluster-token={folder.name}", "--logger=zap",
                        "--log-level=warn", *tls,
                    ],
                )
            )  # fmt: skip
        super().__init__(made)

    def call(self, path: str, body: dict[str, Any], **headers: str) -> Any:
        return members.call(self.urls[0], "POST", f"/v3/{path}", body, ca=self.ca, **headers)

    def ready(self) -> bool:
        for member in self.members:
            key = {"key": encoded("test/ready"), "value": encoded("")}
            members.call(member.url, "POST", "/v3/kv/put", key, ca=self.ca)
        return True

    def leading(self) -> Any:
        for member in self.members:
            with contextlib.suppress(OSError):
                status = members.call(member.url, "POST", "/v3/maintenance/status", {}, ca=self.ca)
                if status.get("leader") == status["header"]["member_id"]:
                    return member
        return None

    def keys(self, prefix: str = "") -> dict[str, str]:
        """What is stored below a prefix."""
        end = (prefix[:-1] + chr(ord(prefix[-1]) + 1)) if prefix else "\0"
        found = self.call("kv/range", {"key": encoded(prefix or "\0"), "range_end": encoded(end)}).get("kvs", [])
        return {
            base64.b64decode(item["key"]).decode(): base64.b64decode(item.get("value", "")).decode() for item in found
        }

    def add_users(self) -> tuple[str, str]:
        """Switches users on; the name and password of one that may use /cenote/ alone."""
        password = secrets.token_hex(8)
        self.call("auth/role/add", {"name": "cenote"})
        permission = {"permType": "READWRITE", "key": encoded("/cenote/"), "range_end": encoded("/cenote0")}
        self.call("auth/role/grant", {"name": "cenote", "perm": permission})
        self.call("auth/role/add", {"name": "root"})
        for user, role in (("root", "root"), ("app", "cenote")):
            self.call("auth/user/add", {"name": user, "password": password})
            self.call("auth/user/grant", {"user": user, "role": role})
        self.call("auth/enable", {})
        return "app", password


@contextlib.contextmanager
def serve(directory: pathlib.Path) -> Iterator[dict[str, str]]:
    three, secure = Etcd(directory / "three", 3), Etcd(directory / "secure", secure=True)
    with three, secure:
        user, password = secure.add_users()
        yield {
            "CENOTE_TEST_ETCD": three.endpoint,
            "CENOTE_TEST_ETCD_PIDS": ",".join(str(member.pid) for member in three.members),
            "CENOTE_TEST_ETCD_SECURE": secure.endpoint,
            "CENOTE_TEST_ETCD_TLS": str(directory / "secure"),  # ca.crt, server.crt, server.key
            "CENOTE_TEST_ETCD_USER": user,
            "CENOTE_TEST_ETCD_PASSWORD": password,
        }
