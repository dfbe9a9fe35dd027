"""Results in frames, each read when it is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

from . import _cenote
from ._frame import Frame
from ._loop import call


class Stream:
    """Frames of one result, in bounded memory: iterate it once, or hand it on by `__arrow_c_stream__`.

    Its connection goes back to the pool at the end, on an error, by `close()`, at the end of a `with`, and when the
    stream is forgotten.
    """

    def __init__(self, core: _cenote.Stream, pool_id: str = "") -> None:
        self._core = core
        self._pool_id = pool_id

    @property
    def columns(self) -> list[str]:
        """The names of the columns, known before the first frame."""
        return self._core.columns()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """What was not read yet, as an Arrow stream that owns the connection. Once: then InterfaceError."""
        return self._core.stream()

    def __arrow_c_schema__(self) -> object:
        return self._core.schema()

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        core = self._core.next()
        if core is None:
            raise StopIteration
        return Frame(core, self._pool_id)

    def close(self) -> None:
        """Cancels what is left and returns the connection."""
        self._core.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.close()


class AsyncStream:
    """The same for coroutines. The query starts with the first frame, or at `async with`."""

    def __init__(self, begin: Callable[[_cenote.Stop], Awaitable[_cenote.Stream]], pool_id: str) -> None:
        self._begin = begin
        self._pool_id = pool_id
        self._stop = _cenote.Stop()
        self._core: _cenote.Stream | None = None
        self._closed = False

    async def _open(self) -> _cenote.Stream:
        if self._core is None:
            self._core = await self._begin(self._stop)
        return self._core

    @property
    def columns(self) -> list[str] | None:
        """The names of the columns; None before the query has started."""
        return None if self._core is None else self._core.columns()

    def __aiter__(self) -> AsyncIterator[Frame]:
        return self

    async def __anext__(self) -> Frame:
        if self._closed:
            raise StopAsyncIteration
        core = await self._open()
        try:
            frame = await call(core.async_next)
        except asyncio.CancelledError:
            self._closed = True
            self._stop.request()
            raise
        if frame is None:
            self._closed = True
            raise StopAsyncIteration
        return Frame(frame, self._pool_id)

    async def aclose(self) -> None:
        """Cancels what is left and returns the connection."""
        self._closed = True
        if self._core is not None:
            await call(self._core.async_close)

    async def __aenter__(self) -> AsyncStream:
        await self._open()
        return self

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        await self.aclose()
