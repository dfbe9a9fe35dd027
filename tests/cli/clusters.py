"""A real coordinator in a process of its own, and nodes that the test plays over HTTP."""

from __future__ import annotations

import contextlib
import json
import pathlib
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from program import PROGRAM


@dataclass
class Coordinator:
    """Where a running coordinator is reached."""

    url: str
    process: subprocess.Popen[str]
    leases: dict[str, dict[str, Any]] = field(default_factory=dict)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(self.url + path, method=method)
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def register(self, node_id: str, active: int = 0, healthy: bool = True, **more: Any) -> None:
        """A node that serves the pool `shop`."""
        about = {"node_id": node_id, "incarnation": 1, "location": f"grpc://{node_id}:8815"}
        lease = self.call("POST", "/v1/nodes", {**about, "pools": [pool(active, healthy)], **more})["lease"]
        self.leases[node_id] = {"node_id": node_id, "incarnation": 1, "lease": lease, "seq": 0}

    def beat(self, node_id: str, active: int, **more: Any) -> Any:
        beat = self.leases[node_id]
        beat["seq"] += 1
        return self.call("PUT", f"/v1/nodes/{node_id}/heartbeat", {**beat, "pools": [pool(active)], **more})


def pool(active: int = 0, healthy: bool = True) -> dict[str, Any]:
    return {"pool_id": "shop", "type": "sqlite", "max": 8, "active": active, "idle": 1, "healthy": healthy}


@contextlib.contextmanager
def running(folder: pathlib.Path, **section: Any) -> Iterator[Coordinator]:
    """Nodes that the test plays are not declared dead while it thinks."""
    config = {"listen": "127.0.0.1:0", "state": str(folder / "coordinator.db")}
    config |= {"suspect_after": "50s", "dead_after": "60s", "staged": False, "stage_hold": "100ms"} | section
    path = folder / "coordinator.yaml"
    path.write_text(json.dumps({"coordinator": config}))
    process = subprocess.Popen([PROGRAM, "coordinator", "-c", path], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, "the coordinator did not start"
        yield Coordinator(url, process)
    finally:
        process.terminate()
        try:
            assert process.wait(60) == 0
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
