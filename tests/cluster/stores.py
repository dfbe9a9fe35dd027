"""Real stores of tests/servers for one test's own use, and nodes that meet there."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any

import cenote
from processes import Process, prepare_node, servers, start_node

__all__ = ["Fleet", "fleet", "servers", "store"]


def store(kind: str, folder: pathlib.Path, count: int) -> Any:
    """An Ensemble that has not been started."""
    module = servers(kind)
    return (module.Etcd if kind == "etcd" else module.Consul)(folder / kind, count)


class Fleet:
    """Nodes that each serve `main_db`, a database whose table `who` says the node's name."""

    def __init__(self, folder: pathlib.Path, discovery: dict[str, str]) -> None:
        self.folder, self.discovery = folder, discovery
        self.nodes: dict[str, Process] = {}

    def add(self, name: str) -> Process:
        prepare_node(self.folder, name, {"mode": "distributed", "discovery": self.discovery})
        self.nodes[name] = start_node(self.folder, name)
        return self.nodes[name]

    def connect(self, **settings: Any) -> cenote.DistributedDatabasePool:
        return cenote.DistributedDatabasePool(
            mode=cenote.DeploymentMode.FULL_DISTRIBUTED,
            discovery=self.discovery,
            load_balancer="round_robin",
            **settings,
        )

    def end(self) -> None:
        for process in self.nodes.values():
            process.end()


@contextlib.contextmanager
def fleet(folder: pathlib.Path, discovery: dict[str, str], *names: str) -> Iterator[Fleet]:
    made = Fleet(folder, discovery)
    try:
        for name in names:
            made.add(name)
        yield made
    finally:
        made.end()
