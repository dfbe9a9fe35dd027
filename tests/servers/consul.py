"""Real Consul servers on free loopback ports: three members that trust everybody, and one with TLS and tokens.

Debian 12 has no package of Consul; Debian 11's is unpacked into build/, beside the system, by the machine's own apt.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import importlib.util
import json
import pathlib
import re
import secrets
import shutil
import subprocess
import urllib.parse
from collections.abc import Iterator
from typing import Any

_SPEC = importlib.util.spec_from_file_location("members", pathlib.Path(__file__).parent / "members.py")
assert _SPEC is not None and _SPEC.loader is not None
members = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(members)

PLACE = pathlib.Path(__file__).resolve().parents[2] / "build" / "consul"
DEBIAN = "http://deb.debian.org/debian"
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"


def mirror() -> str:
    """Where this machine gets Debian from."""
    files = [pathlib.Path("/etc/apt/sources.list"), *sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*"))]
    for file in files:
        if file.suffix not in (".list", ".sources") or not file.exists():
            continue
        for line in file.read_text().splitlines():
            found = re.match(r"(?:deb .*?|URIs:\s*)(https?://\S+/debian)/?(?:\s|$)", line)
            if found:
                return found.group(1)
    return DEBIAN


def unpack(place: pathlib.Path) -> None:
    """Downloads the package with an apt state of its own and unpacks it; the system stays as it is."""
    work = place.with_name(place.name + ".part")
    shutil.rmtree(work, ignore_errors=True)
    for folder in ("lists/partial", "cache/archives/partial", "root"):
        (work / folder).mkdir(parents=True)
    (work / "sources.list").write_text(f"deb [signed-by={KEYS}] {mirror()} bullseye main\n")
    options = [
        f"Dir::Etc::sourcelist={work}/sources.list", "Dir::Etc::sourceparts=/dev/null",
        f"Dir::State::lists={work}/lists", f"Dir::Cache={work}/cache", "APT::Sandbox::User=root",
        "Acquire::Languages=none", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
    ]  # fmt: skip
    apt = ["apt-get", "-q", *[word for option in options for word in ("-o", option)]]
    for arguments in (["update"], ["download", "consul"]):
        ran = subprocess.run([*apt, *arguments], cwd=work, capture_output=True, text=True, check=False)
        if ran.returncode != 0:
            raise RuntimeError(f"apt-get {' '.join(arguments)} from {mirror()} failed:\n{ran.stdout}{ran.stderr}")
    subprocess.run(["dpkg", "-x", *map(str, work.glob("consul_*.deb")), str(work / "root")], check=True)
    (work / "root").rename(place)
    shutil.rmtree(work)


def program() -> str:
    """The program: the one in PATH, or the unpacked one."""
    if found := shutil.which("consul"):
        return found
    PLACE.parent.mkdir(exist_ok=True)
    with PLACE.with_name("consul.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not PLACE.exists():
            unpack(PLACE)
    return str(PLACE / "usr" / "bin" / "consul")


class Consul(members.Ensemble):
    """`count` servers, each its own agent; with `secure` it speaks TLS only and lets nobody in without a token.

    `http` is the port, 0 for one that is free.
    """

    def __init__(self, folder: pathlib.Path, count: int = 1, *, secure: bool = False, http: int = 0) -> None:
        hosts = members.addresses(count)
        http, rpc = http or members.free_port(hosts), members.free_port(hosts)
        gossip = members.free_port(hosts, datagrams=True)
        folder.mkdir(parents=True, exist_ok=True)
        self.master = secrets.token_hex(16) if secure else ""
        self.ca = folder / "ca.crt" if secure else None
        settings: dict[str, Any] = {
            "server": True, "bootstrap_expect": count, "datacenter": "test", "disable_update_check": True,
            "performance": {"raft_multiplier": 1}, "log_level": "warn", "leave_on_terminate": False,
            "ports": {"dns": -1, "grpc": -1, "serf_wan": -1, "serf_lan": gossip, "server": rpc,
                      "http": -1 if secure else http, "https": http if secure else -1},
            "retry_join": [f"{host}:{gossip}" for host in hosts], "retry_interval": "1s",
        }  # fmt: skip
        if secure:
            members.certificates(folder)
            settings |= {"cert_file": f"{folder}/server.crt", "key_file": f"{folder}/server.key"}
            tokens = {"master": self.master}
            settings["acl"] = {"enabled": True, "default_policy": "deny", "tokens": tokens}
        scheme = "https" if secure else "http"
        made = []
        for number, host in enumerate(hosts, 1):
            home = folder / f"m{number}"
            home.mkdir(parents=True, exist_ok=True)
            own = {"node_name": f"m{number}", "bind_addr": host, "client_addr": host, "data_dir": f"{home}/data"}
            (home / "settings.json").write_text(json.dumps(settings | own))
            command = [program(), "agent", f"-config-file={home}/settings.json"]
            made.append(members.Member(home, f"{scheme}://{host}:{http}", command))
        super().__init__(made)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        token = {"X-Consul-Token": self.master} if self.master else {}
        return members.call(self.urls[0], method, f"/v1/{path}", body, ca=self.ca, **token)

    def ready(self) -> bool:
        token = {"X-Consul-Token": self.master} if self.master else {}
        for member in self.members:
            members.call(member.url, "PUT", "/v1/kv/test/ready", "", ca=self.ca, **token)
        return len(self.call("GET", "status/peers")) == len(self.members)

    def leading(self) -> Any:
        for member in self.members:
            with contextlib.suppress(OSError):
                said = members.call(member.url, "GET", "/v1/status/leader", ca=self.ca)
                for other in self.members:
                    if said.split(":")[0] == urllib.parse.urlsplit(other.url).hostname:
                        return other
        return None

    def keys(self, prefix: str = "") -> dict[str, str]:
        """What is stored below a prefix."""
        try:
            found = self.call("GET", f"kv/{urllib.parse.quote(prefix)}?recurse") or []
        except members.urllib.error.HTTPError:
            return {}
        return {item["Key"]: base64.b64decode(item["Value"] or "").decode() for item in found}

    def token(self, rules: str) -> str:
        """A new token with these rights alone."""
        name = secrets.token_hex(4)
        self.call("PUT", "acl/policy", {"Name": name, "Rules": rules})
        return str(self.call("PUT", "acl/token", {"Policies": [{"Name": name}]})["SecretID"])


# What a node needs and no more: its service and health, the cluster's keys, sessions for coordinators.
RULES = (
    'service_prefix "cenote-" {policy="write"} node_prefix "" {policy="read"} key_prefix "cenote/" {policy="write"} \
session_prefix "" {policy="write"} agent_prefix "" {policy="read"}'
)


@contextlib.contextmanager
def serve(directory: pathlib.Path) -> Iterator[dict[str, str]]:
    three, secure = Consul(directory / "three", 3), Consul(directory / "secure", secure=True)
    with three, secure:
        token = members.eventually(lambda: secure.token(RULES), "Consul gives no token")
        blind = secure.token('key_prefix "cenote/" {policy="write"} service_prefix "cenote-" {policy="write"}')
        yield {
            "CENOTE_TEST_CONSUL": three.endpoint,
            "CENOTE_TEST_CONSUL_PIDS": ",".join(str(member.pid) for member in three.members),
            "CENOTE_TEST_CONSUL_SECURE": secure.endpoint,
            "CENOTE_TEST_CONSUL_TLS": str(directory / "secure"),  # ca.crt
            "CENOTE_TEST_CONSUL_TOKEN": token,
            "CENOTE_TEST_CONSUL_BLIND_TOKEN": blind,  # may write and sees no node
        }
