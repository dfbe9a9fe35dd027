"""A coordinator in a process of its own, and nodes that are only their HTTP calls."""

from __future__ import annotations

import contextlib
import http.client
import json
import pathlib
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "cluster"))

from processes import free_port

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "build" / "bin" / "cenote"
BEAT = 0.5  # seconds; a node is dead after five of silence


def pool(name: str = "main_db", **more: Any) -> dict[str, Any]:
    return {"pool_id": name, "type": "sqlite", "max": 10, **more}


class Coordinator:
    """Also the operator: `call` has every right."""

    tokens = {role: f"{role}-{'x' * 32}" for role in ("operator", "viewer", "node")}

    def __init__(self, folder: pathlib.Path, tokens: bool = False, **settings: str) -> None:
        self.folder, self.guarded, self.settings = folder, tokens, settings
        # The same after a stop and a start, which other servers must not be given meanwhile.
        self.listen = f"127.0.0.1:{free_port()}"
        self.nodes: dict[str, Node] = {}

    def __enter__(self) -> Coordinator:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        for node in list(self.nodes.values()):
            node.die()
        self.stop()

    def start(self) -> None:
        """Once more at the same address, if it ran before."""
        settings: dict[str, Any] = {
            "cluster": "test",
            "listen": self.listen,
            "state": str(self.folder / "state.db"),
            "registrations_per_second": 10_000,
            "stage_hold": "10ms",
            **self.settings,
        }
        if self.guarded:
            settings["tokens"] = [{"name": r, "role": r, "token": t} for r, t in self.tokens.items()]
        file = self.folder / "coordinator.yaml"
        file.write_text(json.dumps({"coordinator": settings}))
        with (self.folder / "coordinator.log").open("a") as log:
            self.process = subprocess.Popen(
                [str(PROGRAM), "coordinator", "-c", str(file)], stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url, (self.folder / "coordinator.log").read_text()

    def stop(self) -> None:
        self.process.terminate()
        try:
            assert self.process.wait(60) == 0
        finally:
            self.process.kill()
            self.process.wait()
            if self.process.stdout is not None:
                self.process.stdout.close()

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The answer's JSON; an HTTPError for anything but 2xx."""
        request = urllib.request.Request(self.url + path, method=method)
        if self.guarded:
            role = "node" if method != "GET" and path.startswith("/v1/nodes") and "drain" not in path else "operator"
            request.add_header("Authorization", f"Bearer {self.tokens[role]}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or "null")

    def node(self, name: str, *pools: dict[str, Any], **about: Any) -> Node:
        self.nodes[name] = Node(self, name, list(pools) or [pool()], about)
        return self.nodes[name]

    def write_config(self, connections: int, scope: str = "default") -> None:
        try:
            seen = self.call("GET", f"/v1/config/{scope}")["version"]
        except urllib.error.HTTPError as error:
            error.close()
            seen = 0
        content = (
            "deployment:\n  pools:\n    - id: main_db\n      type: sqlite\n      config: {database: shop.db}\n"
            f"      pool: {{max_connections: {connections}}}\n"
        )
        self.call("PUT", f"/v1/config/{scope}", {"content": content}, If_Match=f'"{seen}"')


class Node:
    """Registers, then sends heartbeats until it dies; registers again where it is not known."""

    def __init__(self, coordinator: Coordinator, name: str, pools: list[dict[str, Any]], about: dict[str, Any]) -> None:
        self.coordinator, self.name, self.pools, self.about = coordinator, name, pools, about
        self.seq = 0
        self.lease = 0
        self.stopped = threading.Event()
        self.register()
        self.thread = threading.Thread(target=self.beat)
        self.thread.start()

    def register(self) -> None:
        about = {"node_id": self.name, "incarnation": 1, "location": "grpc://127.0.0.1:1", "pools": self.pools}
        self.lease = self.coordinator.call("POST", "/v1/nodes", {**about, **self.about})["lease"]

    def beat(self) -> None:
        while not self.stopped.wait(BEAT):
            self.seq += 1
            body = {"node_id": self.name, "incarnation": 1, "lease": self.lease, "seq": self.seq, "pools": self.pools}
            with contextlib.suppress(OSError, http.client.HTTPException):  # nobody listens; a node goes on
                try:
                    self.coordinator.call("PUT", f"/v1/nodes/{self.name}/heartbeat", body)
                except urllib.error.HTTPError as error:
                    error.close()
                    self.register()

    def report(self, *samples: dict[str, Any]) -> None:
        """Its metrics, in totals since it started."""
        self.coordinator.call("PUT", f"/v1/nodes/{self.name}/metrics", {"incarnation": 1, "samples": list(samples)})

    def die(self) -> None:
        """Is silent from now on."""
        self.stopped.set()
        self.thread.join()

    def leave(self) -> None:
        self.die()
        self.coordinator.call("DELETE", f"/v1/nodes/{self.name}?incarnation=1")
