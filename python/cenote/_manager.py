"""DatabasePool: named pools for coroutines, and its blocking view `.sync`."""

from __future__ import annotations

import asyncio
import logging
import os
import time
import weakref
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from . import _cenote
from ._errors import DbPoolError
from ._frame import Frame
from ._loop import call
from ._pool import (
    PLAIN,
    AsyncStream,
    AsyncTransaction,
    Credentials,
    IsolationName,
    Mode,
    Parameters,
    Pool,
    Transaction,
    isolation_of,
    keys_of,
    mode_of,
    options,
)
from ._pool import (
    Stream as SyncStream,
)

DeploymentMode = _cenote.DeploymentMode
Operation = str | Mapping[str, Any]
T = TypeVar("T")

open_managers: weakref.WeakSet[DatabasePool] = weakref.WeakSet()
_log = logging.getLogger("cenote")


@dataclass(frozen=True)
class _Extras:
    """What create_pool promises and the package itself does."""

    retry_attempts: int = 0
    slow_ms: float | None = None


_NO_EXTRAS = _Extras()


def _creation(
    db_type: str,
    host: str = "localhost",
    port: int | None = None,
    database: str | os.PathLike[str] | None = None,
    username: str = "",
    password: str = "",
    *,
    min_connections: int = 5,
    max_connections: int = 50,
    acquire_timeout: float = 30,
    idle_timeout: float = 600,
    max_lifetime: float = 3600,
    auto_scaling: bool = True,
    health_check_interval: float = 60,
    application_name: str | None = None,
    ssl_mode: str | None = None,
    trust_server_certificate: bool = False,
    retry_attempts: int = 3,
    log_slow_queries: bool = False,
    log_threshold_ms: float = 1000,
    **others: Any,
) -> tuple[dict[str, str], _Extras]:
    least = min(min_connections, max_connections)
    keys: dict[str, Any] = {
        "min_connections": least if auto_scaling else max_connections,
        "max_connections": max_connections,
        "acquire_timeout": f"{acquire_timeout}s",
        "idle_timeout": f"{idle_timeout}s",
        "max_lifetime": f"{max_lifetime}s",
        "health_check_interval": f"{health_check_interval}s",
        "database": None if database is None else os.fspath(database),
        "port": port,
        "username": username or None,
        "password": password or None,
        "application_name": application_name,
        "ssl_mode": ssl_mode,
        "trust_server_certificate": trust_server_certificate or None,
    }
    if db_type.lower() != "sqlite":
        keys["host"] = host
    extras = _Extras(max(retry_attempts, 0), log_threshold_ms if log_slow_queries else None)
    return keys_of({**keys, **others}), extras


def _parts(operation: Operation) -> tuple[str, Parameters]:
    if isinstance(operation, str):
        return operation, None
    return operation["sql"], operation.get("params")


def _outcome(started: float, affected: int, error: DbPoolError | None) -> dict[str, Any]:
    return {
        "affected_rows": affected,
        "execution_time_ms": (time.perf_counter() - started) * 1e3,
        "error": None if error is None else str(error),
    }


def _pause(attempt: int) -> float:
    return float(min(0.05 * 2**attempt, 1.0))


class DatabasePool:
    """Named pools. What touches a database is a coroutine; `.sync` has the same methods, blocking."""

    def __init__(self, deployment_mode: DeploymentMode = DeploymentMode.STANDALONE) -> None:
        self._attach(_cenote.open_manager(deployment_mode))

    @classmethod
    def from_yaml(cls, path: str | os.PathLike[str]) -> DatabasePool:
        """The pools of a configuration file."""
        self = cls.__new__(cls)
        self._attach(_cenote.manager_from_yaml(os.fspath(path)))
        return self

    def _attach(self, core: _cenote.Manager) -> None:
        self._core = core
        self._extras: dict[str, _Extras] = {}
        self.sync = SyncView(self)
        open_managers.add(self)

    @staticmethod
    def version() -> str:
        return _cenote.__version__

    @staticmethod
    def supported_databases() -> list[str]:
        return _cenote.supported_databases()

    def list_pools(self) -> list[str]:
        return self._core.list_pools()

    def pool(self, pool_id: str) -> Pool:
        """A blocking view of one pool."""
        return Pool(self._core.pool(pool_id))

    async def create_pool(
        self, pool_id: str, db_type: str, *address: Any, credentials: Credentials | None = None, **settings: Any
    ) -> None:
        """Makes a pool: host, port, database, username, password, then sizes and times in seconds by keyword."""
        self.sync.create_pool(pool_id, db_type, *address, credentials=credentials, **settings)

    async def _retried(self, pool_id: str, sql: str, step: Callable[[], Awaitable[T]]) -> T:
        extras = self._extras.get(pool_id, _NO_EXTRAS)
        started = time.perf_counter()
        attempt = 0
        while True:
            try:
                result = await step()
                break
            except DbPoolError as error:
                if not error.retryable or attempt >= extras.retry_attempts:
                    raise
            await asyncio.sleep(_pause(attempt))
            attempt += 1
        _tell_slow(extras, pool_id, sql, started)
        return result

    async def query(
        self,
        pool_id: str,
        sql: str,
        params: Parameters = None,
        *,
        timeout: float | None = None,
        read_only: bool | None = None,
        tag: str = "",
    ) -> Frame:
        """The whole result."""
        core = self._core.pool(pool_id)
        given = PLAIN if timeout is None and read_only is None and not tag else options(timeout, read_only, tag)
        frame = await self._retried(
            pool_id, sql, lambda: call(core.async_query, sql, params, given, stop=_cenote.Stop())
        )
        return Frame(frame, pool_id)

    async def execute(
        self, pool_id: str, sql: str, params: Parameters = None, *, timeout: float | None = None, tag: str = ""
    ) -> int:
        """Affected rows; -1 where the database does not say."""
        core = self._core.pool(pool_id)
        given = options(timeout, None, tag)
        count: int = await self._retried(
            pool_id, sql, lambda: call(core.async_execute, sql, params, given, stop=_cenote.Stop())
        )
        return count

    async def execute_batch(self, pool_id: str, operations: Sequence[Operation]) -> list[dict[str, Any]]:
        """Each operation by itself; one that fails does not hide the others."""
        self._core.pool(pool_id)  # an unknown pool is not an operation's error
        results = []
        for operation in operations:
            sql, params = _parts(operation)
            started = time.perf_counter()
            try:
                results.append(_outcome(started, await self.execute(pool_id, sql, params), None))
            except DbPoolError as error:
                results.append(_outcome(started, 0, error))
        return results

    def transaction(
        self, pool_id: str, *, isolation: IsolationName | None = None, read_only: bool = False
    ) -> AsyncTransaction:
        return AsyncTransaction(self._core.pool(pool_id), isolation_of(isolation), read_only)

    def query_stream(self, pool_id: str, sql: str, params: Parameters = None, chunk_size: int = 1000) -> AsyncStream:
        """The result in frames of at most `chunk_size` rows, in bounded memory."""
        if isinstance(params, int):  # the original's third parameter was chunk_size
            params, chunk_size = None, params
        return AsyncStream(self._core.pool(pool_id), sql, params, options(batch_rows=chunk_size))

    async def bulk_insert(self, pool_id: str, table: str, frame: object, *, mode: Mode = "append") -> int:
        """Inserts all rows of anything with `__arrow_c_stream__`; all or nothing."""
        core = self._core.pool(pool_id)
        count: int = await call(core.async_ingest, table, mode_of(mode), frame, PLAIN, stop=_cenote.Stop())
        return count

    async def get_pool_status(self, pool_id: str) -> dict[str, Any]:
        return self._core.pool(pool_id).status()

    async def get_pool_metrics(self, pool_id: str) -> dict[str, Any]:
        return self._core.pool(pool_id).metrics()

    async def health_check(self, pool_id: str, *, timeout: float = 5.0) -> bool:
        core = self._core.pool(pool_id)
        try:
            await call(core.async_health_check, timeout, stop=_cenote.Stop())
        except DbPoolError:
            return False
        return True

    async def remove_pool(self, pool_id: str, *, timeout: float = 30.0) -> None:
        """Refuses new work, waits for what runs, closes the connections, forgets the pool."""
        await call(self._core.async_remove_pool, pool_id, timeout)
        self._extras.pop(pool_id, None)

    async def aclose(self, timeout: float = 30.0) -> None:
        await asyncio.gather(*(self.remove_pool(pool_id, timeout=timeout) for pool_id in self.list_pools()))

    async def __aenter__(self) -> DatabasePool:
        return self

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<cenote.DatabasePool {self.list_pools()}>"


class SyncView:
    """DatabasePool's methods, blocking, on the caller's thread; no event loop."""

    def __init__(self, manager: DatabasePool) -> None:
        self._manager = weakref.proxy(manager)
        self._core = manager._core

    def list_pools(self) -> list[str]:
        return self._core.list_pools()

    def create_pool(
        self, pool_id: str, db_type: str, *address: Any, credentials: Credentials | None = None, **settings: Any
    ) -> None:
        keys, extras = _creation(db_type, *address, **settings)
        self._core.create_pool(pool_id, db_type, keys, credentials)
        self._manager._extras[pool_id] = extras

    def _retried(self, pool_id: str, sql: str, step: Callable[[], T]) -> T:
        extras = self._manager._extras.get(pool_id, _NO_EXTRAS)
        started = time.perf_counter()
        attempt = 0
        while True:
            try:
                result = step()
                break
            except DbPoolError as error:
                if not error.retryable or attempt >= extras.retry_attempts:
                    raise
            time.sleep(_pause(attempt))
            attempt += 1
        _tell_slow(extras, pool_id, sql, started)
        return result

    def query(
        self,
        pool_id: str,
        sql: str,
        params: Parameters = None,
        *,
        timeout: float | None = None,
        read_only: bool | None = None,
        tag: str = "",
    ) -> Frame:
        core = self._core.pool(pool_id)
        given = options(timeout, read_only, tag)
        return Frame(self._retried(pool_id, sql, lambda: core.query(sql, params, given)), pool_id)

    def execute(
        self, pool_id: str, sql: str, params: Parameters = None, *, timeout: float | None = None, tag: str = ""
    ) -> int:
        core = self._core.pool(pool_id)
        given = options(timeout, None, tag)
        return self._retried(pool_id, sql, lambda: core.execute(sql, params, given))

    def execute_batch(self, pool_id: str, operations: Sequence[Operation]) -> list[dict[str, Any]]:
        self._core.pool(pool_id)
        results = []
        for operation in operations:
            sql, params = _parts(operation)
            started = time.perf_counter()
            try:
                results.append(_outcome(started, self.execute(pool_id, sql, params), None))
            except DbPoolError as error:
                results.append(_outcome(started, 0, error))
        return results

    def transaction(
        self, pool_id: str, *, isolation: IsolationName | None = None, read_only: bool = False
    ) -> Transaction:
        core, level = self._core.pool(pool_id), isolation_of(isolation)
        return Transaction(lambda: core.begin(level, read_only, PLAIN), pool_id)

    def query_stream(self, pool_id: str, sql: str, params: Parameters = None, chunk_size: int = 1000) -> SyncStream:
        core = self._core.pool(pool_id)
        return SyncStream(core.stream(sql, params, options(batch_rows=chunk_size)), pool_id)

    def bulk_insert(self, pool_id: str, table: str, frame: object, *, mode: Mode = "append") -> int:
        return self._core.pool(pool_id).ingest(table, mode_of(mode), frame, PLAIN)

    def get_pool_status(self, pool_id: str) -> dict[str, Any]:
        return self._core.pool(pool_id).status()

    def get_pool_metrics(self, pool_id: str) -> dict[str, Any]:
        return self._core.pool(pool_id).metrics()

    def health_check(self, pool_id: str, *, timeout: float = 5.0) -> bool:
        core = self._core.pool(pool_id)
        try:
            core.health_check(timeout)
        except DbPoolError:
            return False
        return True

    def remove_pool(self, pool_id: str, *, timeout: float = 30.0) -> None:
        self._core.remove_pool(pool_id, timeout)
        self._manager._extras.pop(pool_id, None)

    def close(self, timeout: float = 30.0) -> None:
        self._core.drain(timeout)


def _tell_slow(extras: _Extras, pool_id: str, sql: str, started: float) -> None:
    if extras.slow_ms is None:
        return
    took = (time.perf_counter() - started) * 1e3
    if took >= extras.slow_ms:
        _log.warning("slow statement in pool %s: %.1f ms: %.500s", pool_id, took, sql)


async def create_pool(pool_id: str, db_type: str, *address: Any, **settings: Any) -> DatabasePool:
    """A DatabasePool with its first pool."""
    pool = DatabasePool()
    await pool.create_pool(pool_id, db_type, *address, **settings)
    return pool


__all__ = ["DatabasePool", "DeploymentMode", "SyncView", "create_pool"]
