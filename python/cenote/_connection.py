"""One connection for several statements, and transactions on it, for blocking code and for coroutines."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from types import TracebackType

from . import _cenote
from ._errors import DbPoolError, InterfaceError
from ._frame import Frame
from ._loop import call, stoppable
from ._options import PLAIN, IsolationName, Mode, Parameters, isolation_of, mode_of, options
from ._stream import AsyncStream, Stream

_CLOSED = "it is not open: use it inside its `with`, and not after commit() or rollback()"


def _refuse_level(isolation: _cenote.Isolation, read_only: bool, given: _cenote.CallOptions) -> None:
    if isolation is not _cenote.Isolation.DEFAULT or read_only or given is not PLAIN:
        raise InterfaceError(
            "a nested transaction is a savepoint: isolation, read_only and timeout belong to the outermost one"
        )


class _Statements:
    """What a connection and a transaction both do."""

    _pool_id: str

    def _live(self) -> _cenote.Connection:
        raise NotImplementedError

    def query(self, sql: str, params: Parameters = None, *, timeout: float | None = None) -> Frame:
        """The whole result. `timeout` is in seconds."""
        return Frame(self._live().query(sql, params, options(timeout)), self._pool_id)

    def execute(self, sql: str, params: Parameters = None, *, timeout: float | None = None) -> int:
        """Affected rows; -1 where the database does not say."""
        return self._live().execute(sql, params, options(timeout))

    def stream(
        self, sql: str, params: Parameters = None, *, chunk_size: int = 0, timeout: float | None = None
    ) -> Stream:
        """The result in frames of at most `chunk_size` rows. Read or close it before the next statement."""
        return Stream(self._live().stream(sql, params, options(timeout, batch_rows=chunk_size)), self._pool_id)

    def ingest(self, table: str, frame: object, *, mode: Mode = "append", timeout: float | None = None) -> int:
        """Inserts all rows of anything with `__arrow_c_stream__`; all or nothing. Gives their number."""
        return self._live().ingest(table, mode_of(mode), frame, options(timeout))

    bulk_insert = ingest

    def savepoint(self, name: str) -> None:
        self._live().step("savepoint", name, False)

    def release(self, name: str) -> None:
        self._live().step("release", name, False)

    def rollback_to(self, name: str) -> None:
        self._live().step("rollback_to", name, False)


class Connection(_Statements):
    """One connection of a pool for the time of a `with`: temporary tables and SET live that long.

    It goes back at the end of the `with`; what a transaction left open is rolled back. For one thread at a time.
    """

    def __init__(self, take: Callable[[], _cenote.Connection], pool_id: str) -> None:
        self._take = take
        self._pool_id = pool_id
        self._core: _cenote.Connection | None = None
        self._depth = 0

    def _live(self) -> _cenote.Connection:
        if self._core is None:
            raise InterfaceError("the connection cannot be used: " + _CLOSED)
        return self._core

    def transaction(
        self, *, isolation: IsolationName | None = None, read_only: bool = False, timeout: float | None = None
    ) -> Transaction:
        """A transaction; inside another one, a savepoint. `timeout` is of its begin, and again of its commit."""
        return Transaction(self, isolation_of(isolation), read_only, False, options(timeout))

    def close(self) -> None:
        """Rolls back what is open and returns the connection."""
        core, self._core = self._core, None
        if core is not None:
            core.step("close", "", True)

    def __enter__(self) -> Connection:
        if self._core is not None:
            raise InterfaceError("the connection is open already")
        self._core = self._take()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.close()


class Transaction(_Statements):
    """Commits at the end of its `with`, rolls back on an exception. Nested in another one it is a savepoint."""

    def __init__(
        self,
        connection: Connection,
        isolation: _cenote.Isolation,
        read_only: bool,
        owns_connection: bool,
        given: _cenote.CallOptions = PLAIN,
    ) -> None:
        self._connection = connection
        self._pool_id = connection._pool_id
        self._level = (isolation, read_only, given)
        self._owns = owns_connection
        self._savepoint = ""
        self._open = False

    def _live(self) -> _cenote.Connection:
        if not self._open:
            raise InterfaceError("the transaction cannot be used: " + _CLOSED)
        return self._connection._live()

    def transaction(self) -> Transaction:
        """A savepoint with the manners of a transaction."""
        return Transaction(self._connection, _cenote.Isolation.DEFAULT, False, False)

    def commit(self) -> None:
        self._end("commit")

    def rollback(self) -> None:
        self._end("rollback")

    def _end(self, verb: str) -> None:
        core = self._live()
        self._open = False
        if self._savepoint:
            self._connection._depth -= 1
            if verb == "rollback":
                core.step("rollback_to", self._savepoint, False)
            core.step("release", self._savepoint, False)
            return
        if self._owns:
            self._connection._core = None
        try:
            core.step(verb, "", self._owns)
        except DbPoolError:
            # What did not commit must not stay open on the connection.
            if core.in_transaction():
                with contextlib.suppress(DbPoolError):
                    core.step("rollback", "", False)
            raise

    def __enter__(self) -> Transaction:
        if self._open:
            raise InterfaceError("the transaction is open already")
        if self._owns:
            self._connection.__enter__()  # which begins it too
        else:
            core = self._connection._live()
            if core.in_transaction():
                _refuse_level(*self._level)
                self._savepoint = f"cenote_{self._connection._depth + 1}"
                core.step("savepoint", self._savepoint, False)
                self._connection._depth += 1
            else:
                core.begin(*self._level)
        self._open = True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if not self._open:
            return  # ended by hand
        if kind is None:
            self.commit()
            return
        # The first error is the one to tell; what cannot be rolled back is closed.
        with contextlib.suppress(DbPoolError):
            self.rollback()


class _AsyncStatements:
    """What a connection and a transaction of coroutines both do."""

    _pool_id: str

    def _live(self) -> _cenote.Connection:
        raise NotImplementedError

    async def query(self, sql: str, params: Parameters = None, *, timeout: float | None = None) -> Frame:
        """The whole result. `timeout` is in seconds."""
        core = await stoppable(self._live().async_query, sql, params, options(timeout))
        return Frame(core, self._pool_id)

    async def execute(self, sql: str, params: Parameters = None, *, timeout: float | None = None) -> int:
        """Affected rows; -1 where the database does not say."""
        count: int = await stoppable(self._live().async_execute, sql, params, options(timeout))
        return count

    def stream(
        self, sql: str, params: Parameters = None, *, chunk_size: int = 0, timeout: float | None = None
    ) -> AsyncStream:
        """The result in frames of at most `chunk_size` rows. Read or close it before the next statement."""
        core, given = self._live(), options(timeout, batch_rows=chunk_size)
        return AsyncStream(lambda stop: stoppable(core.async_stream, sql, params, given, stop=stop), self._pool_id)

    async def ingest(self, table: str, frame: object, *, mode: Mode = "append", timeout: float | None = None) -> int:
        """Inserts all rows of anything with `__arrow_c_stream__`; all or nothing. Gives their number."""
        count: int = await stoppable(self._live().async_ingest, table, mode_of(mode), frame, options(timeout))
        return count

    bulk_insert = ingest

    async def savepoint(self, name: str) -> None:
        await call(self._live().async_step, "savepoint", name, False)

    async def release(self, name: str) -> None:
        await call(self._live().async_step, "release", name, False)

    async def rollback_to(self, name: str) -> None:
        await call(self._live().async_step, "rollback_to", name, False)


class AsyncConnection(_AsyncStatements):
    """`Connection` for coroutines, by `async with`."""

    def __init__(self, take: Callable[[], Awaitable[_cenote.Connection]], pool_id: str) -> None:
        self._take = take
        self._pool_id = pool_id
        self._core: _cenote.Connection | None = None
        self._depth = 0

    def _live(self) -> _cenote.Connection:
        if self._core is None:
            raise InterfaceError("the connection cannot be used: " + _CLOSED)
        return self._core

    def transaction(
        self, *, isolation: IsolationName | None = None, read_only: bool = False, timeout: float | None = None
    ) -> AsyncTransaction:
        """A transaction; inside another one, a savepoint. `timeout` is of its begin, and again of its commit."""
        return AsyncTransaction(self, isolation_of(isolation), read_only, False, options(timeout))

    async def aclose(self) -> None:
        """Rolls back what is open and returns the connection."""
        core, self._core = self._core, None
        if core is not None:
            await call(core.async_step, "close", "", True)

    async def __aenter__(self) -> AsyncConnection:
        if self._core is not None:
            raise InterfaceError("the connection is open already")
        self._core = await self._take()
        return self

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        await self.aclose()


class AsyncTransaction(_AsyncStatements):
    """`Transaction` for coroutines, by `async with`."""

    def __init__(
        self,
        connection: AsyncConnection,
        isolation: _cenote.Isolation,
        read_only: bool,
        owns_connection: bool,
        given: _cenote.CallOptions = PLAIN,
    ) -> None:
        self._connection = connection
        self._pool_id = connection._pool_id
        self._level = (isolation, read_only, given)
        self._owns = owns_connection
        self._savepoint = ""
        self._open = False

    def _live(self) -> _cenote.Connection:
        if not self._open:
            raise InterfaceError("the transaction cannot be used: " + _CLOSED)
        return self._connection._live()

    def transaction(self) -> AsyncTransaction:
        """A savepoint with the manners of a transaction."""
        return AsyncTransaction(self._connection, _cenote.Isolation.DEFAULT, False, False)

    async def commit(self) -> None:
        await self._end("commit")

    async def rollback(self) -> None:
        await self._end("rollback")

    async def _end(self, verb: str) -> None:
        core = self._live()
        self._open = False
        if self._savepoint:
            self._connection._depth -= 1
            if verb == "rollback":
                await call(core.async_step, "rollback_to", self._savepoint, False)
            await call(core.async_step, "release", self._savepoint, False)
            return
        if self._owns:
            self._connection._core = None
        try:
            await call(core.async_step, verb, "", self._owns)
        except DbPoolError:
            # What did not commit must not stay open on the connection.
            if core.in_transaction():
                with contextlib.suppress(DbPoolError):
                    await call(core.async_step, "rollback", "", False)
            raise

    async def __aenter__(self) -> AsyncTransaction:
        if self._open:
            raise InterfaceError("the transaction is open already")
        if self._owns:
            await self._connection.__aenter__()  # which begins it too
        else:
            core = self._connection._live()
            if core.in_transaction():
                _refuse_level(*self._level)
                self._savepoint = f"cenote_{self._connection._depth + 1}"
                await call(core.async_step, "savepoint", self._savepoint, False)
                self._connection._depth += 1
            else:
                await stoppable(core.async_begin, *self._level)
        self._open = True
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if not self._open:
            return  # ended by hand
        if kind is None:
            await self.commit()
            return
        # The first error is the one to tell; what cannot be rolled back is closed.
        with contextlib.suppress(DbPoolError):
            await self.rollback()


def sync_connection(
    pool: _cenote.Pool,
    pool_id: str,
    begin: _cenote.Isolation | None,
    read_only: bool,
    given: _cenote.CallOptions = PLAIN,
) -> Connection:
    return Connection(lambda: pool.connect(begin, read_only, given), pool_id)


def async_connection(
    pool: _cenote.Pool,
    pool_id: str,
    begin: _cenote.Isolation | None,
    read_only: bool,
    given: _cenote.CallOptions = PLAIN,
) -> AsyncConnection:
    return AsyncConnection(lambda: stoppable(pool.async_connect, begin, read_only, given), pool_id)
