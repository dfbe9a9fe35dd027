"""Real stores of tests/servers for one test's own use, and nodes that meet there."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import pathlib
import sqlite3
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from processes import ROOT, Process


def servers(name: str) -> ModuleType:
    """The module tests/servers/NAME.py."""
    spec = importlib.util.spec_from_file_location(f"cenote_{name}", ROOT / "tests" / "servers" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
        database = self.folder / f"{name}.db"
        with contextlib.closing(sqlite3.connect(database)) as made:
            made.execute("create table if not exists who (name text)")
            if not made.execute("select * from who").fetchall():
                made.execute("insert into who values (?)", [name])
            made.commit()
        config = {
            "deployment": {
                "mode": "distributed",
                "discovery": self.discovery,
                "node": {"id": name, "state_dir": str(self.folder)},
                "pools": [{"id": "main_db", "type": "sqlite", "config": {"database": str(database)}}],
            },
            "server": {"flight": {"listen": "127.0.0.1:0"}},
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps(config))
        self.nodes[name] = Process(self.folder, name, "node", "-c", str(path))
        return self.nodes[name]

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
