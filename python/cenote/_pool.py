"""One database, blocking: for notebooks and scripts. And the streams and transactions of both worlds."""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal

from . import _cenote
from ._errors import ConfigError, DbPoolError, InterfaceError
from ._frame import Frame
from ._loop import call

Parameters = Mapping[str, Any] | Sequence[Any] | None
Mode = Literal["append", "create", "replace", "create_append"]
IsolationName = Literal["read committed", "repeatable read", "serializable"]
Credentials = Callable[[], tuple[str, str]]

# Closed at exit, before the interpreter is gone.
open_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


def options(
    timeout: float | None = None, read_only: bool | None = None, tag: str = "", batch_rows: int = 0
) -> _cenote.CallOptions:
    return _cenote.CallOptions(timeout, read_only, tag, batch_rows)


PLAIN = options()


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


class Stream:
    """Frames of one result, each read when it is asked for. Iterate it once, or hand it on by `__arrow_c_stream__`."""

    def __init__(self, core: _cenote.Stream, pool_id: str = "") -> None:
        self._core = core
        self._pool_id = pool_id

    @property
    def columns(self) -> list[str]:
        return self._core.columns()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
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

    def __init__(self, pool: _cenote.Pool, sql: str, params: Parameters, call_options: _cenote.CallOptions) -> None:
        self._pool = pool
        self._query = (sql, params, call_options)
        self._stop = _cenote.Stop()
        self._core: _cenote.Stream | None = None
        self._closed = False

    async def _open(self) -> _cenote.Stream:
        if self._core is None:
            self._core = await call(self._pool.async_stream, *self._query, stop=self._stop)
        return self._core

    def __aiter__(self) -> AsyncIterator[Frame]:
        return self

    async def __anext__(self) -> Frame:
        if self._closed:
            raise StopAsyncIteration
        core = await self._open()
        try:
            frame = await call(core.async_next)
        except BaseException:
            self._stop.request()
            raise
        if frame is None:
            self._closed = True
            raise StopAsyncIteration
        return Frame(frame, self._pool.id())

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


class Transaction:
    """Commits at the end of its `with`, rolls back on an exception."""

    def __init__(self, begin: Callable[[], _cenote.Transaction], pool_id: str) -> None:
        self._begin = begin
        self._pool_id = pool_id
        self._core: _cenote.Transaction | None = None

    def _open(self) -> _cenote.Transaction:
        if self._core is None:
            raise InterfaceError("the transaction is not open: use it inside its `with`")
        return self._core

    def query(self, sql: str, params: Parameters = None, *, timeout: float | None = None) -> Frame:
        return Frame(self._open().query(sql, params, options(timeout)), self._pool_id)

    def execute(self, sql: str, params: Parameters = None, *, timeout: float | None = None) -> int:
        return self._open().execute(sql, params, options(timeout))

    def stream(self, sql: str, params: Parameters = None, *, chunk_size: int = 0) -> Stream:
        return Stream(self._open().stream(sql, params, options(batch_rows=chunk_size)), self._pool_id)

    def ingest(self, table: str, frame: object, *, mode: Mode = "append") -> int:
        return self._open().ingest(table, mode_of(mode), frame, PLAIN)

    def savepoint(self, name: str) -> None:
        self._open().step("savepoint", name)

    def release(self, name: str) -> None:
        self._open().step("release", name)

    def rollback_to(self, name: str) -> None:
        self._open().step("rollback_to", name)

    def commit(self) -> None:
        self._open().step("commit", "")

    def rollback(self) -> None:
        self._open().step("rollback", "")

    def __enter__(self) -> Transaction:
        self._core = self._begin()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        core, self._core = self._open(), None
        if not core.is_open():
            return
        if kind is None:
            core.step("commit", "")
            return
        # the first error is the one to tell; the connection is closed
        with contextlib.suppress(DbPoolError):
            core.step("rollback", "")


class AsyncTransaction:
    """The same for coroutines."""

    def __init__(self, pool: _cenote.Pool, isolation: _cenote.Isolation, read_only: bool) -> None:
        self._pool = pool
        self._options = (isolation, read_only, PLAIN)
        self._core: _cenote.Transaction | None = None

    def _open(self) -> _cenote.Transaction:
        if self._core is None:
            raise InterfaceError("the transaction is not open: use it inside its `async with`")
        return self._core

    async def query(self, sql: str, params: Parameters = None, *, timeout: float | None = None) -> Frame:
        core = await call(self._open().async_query, sql, params, options(timeout), stop=_cenote.Stop())
        return Frame(core, self._pool.id())

    async def execute(self, sql: str, params: Parameters = None, *, timeout: float | None = None) -> int:
        count: int = await call(self._open().async_execute, sql, params, options(timeout), stop=_cenote.Stop())
        return count

    async def bulk_insert(self, table: str, frame: object, *, mode: Mode = "append") -> int:
        count: int = await call(self._open().async_ingest, table, mode_of(mode), frame, PLAIN, stop=_cenote.Stop())
        return count

    async def savepoint(self, name: str) -> None:
        await call(self._open().async_step, "savepoint", name)

    async def release(self, name: str) -> None:
        await call(self._open().async_step, "release", name)

    async def rollback_to(self, name: str) -> None:
        await call(self._open().async_step, "rollback_to", name)

    async def commit(self) -> None:
        core, self._core = self._open(), None
        await call(core.async_step, "commit", "")

    async def rollback(self) -> None:
        core, self._core = self._open(), None
        await call(core.async_step, "rollback", "")

    async def __aenter__(self) -> AsyncTransaction:
        self._core = await call(self._pool.async_begin, *self._options, stop=_cenote.Stop())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if self._core is None:
            return  # ended by hand
        if kind is None:
            await self.commit()
            return
        # the first error is the one to tell; the connection is closed
        with contextlib.suppress(DbPoolError):
            await self.rollback()


class Pool:
    """Connections to one database; every call blocks. Thread-safe. Ctrl-C cancels on the server."""

    def __init__(self, core: _cenote.Pool) -> None:
        self._core = core
        self._id = core.id()
        open_pools.add(self)

    @property
    def id(self) -> str:
        return self._id

    def query(
        self,
        sql: str,
        params: Parameters = None,
        *,
        timeout: float | None = None,
        read_only: bool | None = None,
        tag: str = "",
    ) -> Frame:
        """The whole result."""
        return Frame(self._core.query(sql, params, options(timeout, read_only, tag)), self._id)

    def execute(self, sql: str, params: Parameters = None, *, timeout: float | None = None, tag: str = "") -> int:
        """Affected rows; -1 where the database does not say."""
        return self._core.execute(sql, params, options(timeout, None, tag))

    def stream(
        self, sql: str, params: Parameters = None, *, chunk_size: int = 0, timeout: float | None = None, tag: str = ""
    ) -> Stream:
        """The result in frames of at most `chunk_size` rows, in bounded memory."""
        return Stream(self._core.stream(sql, params, options(timeout, None, tag, chunk_size)), self._id)

    def ingest(self, table: str, frame: object, *, mode: Mode = "append", timeout: float | None = None) -> int:
        """Inserts all rows of anything with `__arrow_c_stream__`; all or nothing."""
        return self._core.ingest(table, mode_of(mode), frame, options(timeout))

    bulk_insert = ingest

    def transaction(self, *, isolation: IsolationName | None = None, read_only: bool = False) -> Transaction:
        level = isolation_of(isolation)
        return Transaction(lambda: self._core.begin(level, read_only, PLAIN), self._id)

    def status(self) -> dict[str, Any]:
        return self._core.status()

    def metrics(self) -> dict[str, Any]:
        return self._core.metrics()

    def health_check(self, *, timeout: float = 5.0) -> bool:
        try:
            self._core.health_check(timeout)
        except DbPoolError:
            return False
        return True

    def resize(self, max_connections: int, min_connections: int = 0) -> None:
        self._core.resize(max_connections, min_connections)

    def close(self, timeout: float = 30.0) -> None:
        """Waits for calls that run, cancels what is left at the end of `timeout`, closes all connections."""
        self._core.drain(timeout)

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.close()

    def __repr__(self) -> str:
        status = self._core.status()
        return f"<cenote.Pool {self._id!r} {status['db_type']} {status['endpoint']}>"


def keys_of(config: Mapping[str, Any]) -> dict[str, str]:
    """A pool's keys as text; the nested `config` and `pool` of the YAML are accepted too."""
    flat: dict[str, str] = {}
    for key, value in config.items():
        if key in ("config", "pool") and isinstance(value, Mapping):
            flat.update(keys_of(value))
        elif isinstance(value, bool):
            flat[key] = "true" if value else "false"
        elif value is not None:
            flat[key] = str(value)
    return flat


def connect(
    target: str | os.PathLike[str] | Mapping[str, Any], *, id: str = "main", credentials: Credentials | None = None
) -> Pool:
    """A pool for a file of SQLite, a URL, or the keys of a pool: `{"type": "postgresql", "host": …}`."""
    if not isinstance(target, Mapping):
        return Pool(_cenote.open_url(os.fspath(target), id, credentials))
    keys = keys_of(target)
    kind = keys.pop("type", keys.pop("db_type", None))
    if kind is None:
        raise ConfigError(
            "the pool's config has no 'type'; write for example {'type': 'sqlite', 'database': 'shop.db'}"
        )
    return Pool(_cenote.open_keys(keys.pop("id", id), kind, keys, credentials))
