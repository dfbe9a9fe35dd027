"""Completions of C++ as futures of an event loop: one file descriptor for each loop, no thread."""

from __future__ import annotations

import asyncio
import itertools
import os
import weakref
from collections.abc import Callable
from typing import Any

from . import _cenote


class LoopCalls:
    """The calls of one event loop that wait for C++. Does not hold the loop."""

    __slots__ = ("__weakref__", "core", "tokens", "waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.core = _cenote.Completions()
        self.waiting: dict[int, asyncio.Future[Any]] = {}
        self.tokens = itertools.count()
        loop.add_reader(self.core.fileno(), self.core.deliver, self.waiting)


_loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopCalls] = weakref.WeakKeyDictionary()
# A forked child that goes on with a copy of the loop must not read its parent's completions.
os.register_at_fork(after_in_child=_loops.clear)


def start(function: Callable[..., None], *arguments: Any) -> asyncio.Future[Any]:
    """The future of `function(completions, token, *arguments)`."""
    loop = asyncio.get_running_loop()
    calls = _loops.get(loop)
    if calls is None:
        calls = _loops[loop] = LoopCalls(loop)
    token = next(calls.tokens)
    future = calls.waiting[token] = loop.create_future()
    try:
        function(calls.core, token, *arguments)
    except BaseException:
        del calls.waiting[token]
        raise
    return future


async def call(function: Callable[..., None], *arguments: Any) -> Any:
    """Awaits what cannot be stopped: its end comes soon, or matters to nobody."""
    return await start(function, *arguments)


async def stoppable(function: Callable[..., None], *arguments: Any, stop: _cenote.Stop | None = None) -> Any:
    """Awaits `function(completions, token, stop, *arguments)`. Cancelling the task cancels on the server."""
    stop = stop or _cenote.Stop()
    future = start(function, stop, *arguments)
    try:
        return await future
    except asyncio.CancelledError:
        stop.request()
        raise
