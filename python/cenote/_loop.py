"""Completions of C++ as futures of an event loop: one file descriptor for each loop, no thread."""

from __future__ import annotations

import asyncio
import itertools
import weakref
from collections.abc import Callable
from typing import Any

from . import _cenote

_loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopCalls] = weakref.WeakKeyDictionary()


class LoopCalls:
    """The calls of one event loop that wait for C++."""

    def __init__(self) -> None:
        self.core = _cenote.Completions()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._tokens = itertools.count()

    def ended(self) -> None:
        for token, value, error in self.core.take():
            future = self._waiting.pop(token)
            if future.done():
                continue  # cancelled; what it made is undone by being dropped
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(value)

    def start(self, loop: asyncio.AbstractEventLoop, begin: Callable[[_cenote.Completions, int], None]) -> Any:
        token = next(self._tokens)
        future = self._waiting[token] = loop.create_future()
        try:
            begin(self.core, token)
        except BaseException:
            del self._waiting[token]
            raise
        return future


def _calls() -> tuple[asyncio.AbstractEventLoop, LoopCalls]:
    loop = asyncio.get_running_loop()
    calls = _loops.get(loop)
    if calls is None:
        calls = _loops[loop] = LoopCalls()
        loop.add_reader(calls.core.fileno(), calls.ended)
    return loop, calls


async def call(function: Callable[..., None], *arguments: Any, stop: _cenote.Stop | None = None) -> Any:
    """Awaits `function(completions, token, [stop,] *arguments)`. Cancelling the task requests `stop`."""
    loop, calls = _calls()
    given = arguments if stop is None else (stop, *arguments)
    future = calls.start(loop, lambda core, token: function(core, token, *given))
    try:
        return await future
    except asyncio.CancelledError:
        if stop is not None:
            stop.request()
        raise
