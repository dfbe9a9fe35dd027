"""Arguments of the calls, as users write them and as the extension takes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from . import _cenote
from ._errors import InterfaceError

Parameters = Mapping[str, Any] | Sequence[Any] | None
Mode = Literal["append", "create", "replace", "create_append"]
IsolationName = Literal["read committed", "repeatable read", "serializable"]
Credentials = Callable[[], tuple[str, str]]

PLAIN = _cenote.CallOptions(None, None, "", 0)


def options(
    timeout: float | None = None, read_only: bool | None = None, tag: str = "", batch_rows: int = 0
) -> _cenote.CallOptions:
    if timeout is None and read_only is None and not tag and not batch_rows:
        return PLAIN
    if batch_rows < 0:
        raise InterfaceError(f"chunk_size is {batch_rows}; it is a number of rows, at least 1")
    if timeout is not None and math.isnan(timeout):
        raise InterfaceError("timeout is not a number; it is in seconds, None for no limit")
    return _cenote.CallOptions(timeout, read_only, tag, batch_rows)


def mode_of(mode: str) -> _cenote.IngestMode:
    try:
        return _cenote.IngestMode[mode]
    except KeyError:
        raise InterfaceError(f"mode {mode!r} is none of append, create, replace, create_append") from None


def isolation_of(name: str | None) -> _cenote.Isolation:
    try:
        return _cenote.Isolation[(name or "default").upper().replace(" ", "_")]
    except KeyError:
        raise InterfaceError(f"isolation {name!r} is none of read committed, repeatable read, serializable") from None
