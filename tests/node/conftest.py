"""A node for clients that know nothing of cenote."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Iterator

import pytest
from nodes import ROOT, USERS, Node, config_of, make_shop, running

sys.path.insert(0, str(ROOT / "tests" / "cluster"))

import processes


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    make_shop(tmp_path / "shop.db")
    return tmp_path


@pytest.fixture
def node(folder: pathlib.Path) -> Iterator[Node]:
    """A node on loopback that admits everyone."""
    with running(folder, config_of(folder)) as started:
        yield started


@pytest.fixture
def guarded(folder: pathlib.Path) -> Iterator[Node]:
    """A node with users."""
    with running(folder, config_of(folder, users=USERS, secret="of the cluster")) as started:
        yield started


@pytest.fixture
def free_port() -> int:
    """A port of loopback that nobody listens on, nor is given meanwhile."""
    return int(processes.free_port())
