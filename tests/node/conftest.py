"""A node for clients that know nothing of cenote."""

from __future__ import annotations

import pathlib
import socket
from collections.abc import Iterator

import pytest
from nodes import USERS, Node, config_of, make_shop, running


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
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
