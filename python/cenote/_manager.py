"""DatabasePool: named pools for coroutines, and its blocking view `.sync`."""

from __future__ import annotations

import asyncio
import logging
import os
import time
import weakref
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from . import _cenote
from ._connection import AsyncConnection, AsyncTransaction, Connection, Transaction, async_connection, sync_connection
from ._creation import Creation, creation, function_like, method_like
from ._errors import ConfigError, DbPoolError, InterfaceError
from ._frame import Frame
from ._loop import call, stoppable
from ._options import PLAIN, IsolationName, Mode, Parameters, isolation_of, mode_of, options
from ._pool import Pool
from ._stream import AsyncStream, Stream

DeploymentMode = _cenote.DeploymentMode
Operation = str | Mapping[str, Any]
T = TypeVar("T")
P = TypeVar("P", bound="DatabasePool")

open_managers: weakref.WeakSet[DatabasePool] = weakref.WeakSet()
_log = logging.getLogger("cenote")


def _quiet_grpc() -> None:
    """gRPC writes to standard error what its errors say anyway; who wants that sets the variable."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")


class _Named:
    """One pool of a manager, with what the package itself does for its calls: trying again, telling slow ones."""

    __slots__ = ("core", "pool_id", "retry_attempts", "slow_ms")

    def __init__(
        self,
        core: _cenote.Pool | _cenote.ClusterPool,
        pool_id: str,
        retry_attempts: int = 0,
        slow_ms: float | None = None,
    ) -> None:
        self.core = core
        self.pool_id = pool_id
        self.retry_attempts = retry_attempts
        self.slow_ms = slow_ms

    def pause(self, error: DbPoolError, attempt: int) -> float:
        """Seconds before the next attempt; raises `error` if there is none."""
        if not error.retryable or attempt >= self.retry_attempts:
            raise error
        return float(min(0.05 * 2**attempt, 1.0))

    def tell_slow(self, sql: str, started: float) -> None:
        took = (time.perf_counter() - started) * 1e3
        if self.slow_ms is not None and took >= self.slow_ms:
            _log.warning("slow statement in pool %s: %.1f ms: %.500s", self.pool_id, took, sql)

    def run(self, sql: str, step: Callable[[], T]) -> T:
        started = time.perf_counter()
        for attempt in range(self.retry_attempts + 1):
            try:
                result = step()
                break
            except DbPoolError as error:
                time.sleep(self.pause(error, attempt))
        self.tell_slow(sql, started)
        return result

    async def run_async(self, sql: str, step: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        started = time.perf_counter()
        for attempt in range(self.retry_attempts + 1):
            try:
                result = await step(*arguments)
                break
            except DbPoolError as error:
                pause = self.pause(error, attempt)
            await asyncio.sleep(pause)
        if self.slow_ms is not None:
            self.tell_slow(sql, started)
        return result


def _parts(operation: Operation) -> tuple[str, Parameters]:
    if isinstance(operation, str):
        return operation, None
    try:
        return operation["sql"], operation.get("params")
    except (TypeError, KeyError, AttributeError):
        raise InterfaceError(
            'an operation of a batch is a string or {"sql": …, "params": …}, not ' + repr(operation)[:80]
        ) from None


def _outcome(started: float, affected: int, error: DbPoolError | None) -> dict[str, Any]:
    return {
        "affected_rows": affected,
        "execution_time_ms": (time.perf_counter() - started) * 1e3,
        "error": None if error is None else str(error),
    }


def _mode(mode: DeploymentMode | str) -> DeploymentMode:
    if isinstance(mode, DeploymentMode):
        return mode
    try:
        # The YAML's word.
        return _cenote.DeploymentMode["FULL_DISTRIBUTED" if mode == "distributed" else mode.upper()]
    except (KeyError, AttributeError):
        raise ConfigError(f"deployment_mode {mode!r} is none of standalone, coordinated, distributed") from None


def _chunks(params: Parameters | int, chunk_size: int) -> tuple[Parameters, int]:
    # The original's third parameter was chunk_size.
    given = (None, params) if isinstance(params, int) else (params, chunk_size)
    if given[1] < 1:
        raise InterfaceError(f"chunk_size is {given[1]}; it is a number of rows, at least 1")
    return given


class DatabasePool:
    """Named pools. What touches a database is a coroutine; `.sync` has the same methods, blocking.

    An unknown `pool_id` raises UnknownPool, a KeyError. Times are in seconds. Cancelling a task cancels its statement
    on the server. `async with` closes all pools at its end.
    """

    def __init__(self, deployment_mode: DeploymentMode | str = DeploymentMode.STANDALONE) -> None:
        self._attach(_cenote.open_manager(_mode(deployment_mode), {}))

    @classmethod
    def from_yaml(cls: type[P], path: str | os.PathLike[str]) -> P:
        """The pools of a configuration file, and its mode. ConfigError names file, line and key."""
        _quiet_grpc()
        self = cls.__new__(cls)
        self._attach(_cenote.manager_from_yaml(os.fspath(path)))
        return self

    def _attach(self, core: _cenote.Manager) -> None:
        self._core = core
        self._pools: dict[str, _Named] = {}
        self.sync = SyncView(self)
        open_managers.add(self)

    def _pool(self, pool_id: str) -> _Named:
        named = self._pools.get(pool_id)
        if named is None:
            named = self._pools[pool_id] = _Named(self._core.pool(pool_id), pool_id)
        return named

    def _create(self, wanted: Creation) -> None:
        core = self._core.create_pool(wanted.pool_id, wanted.db_type, wanted.keys, wanted.credentials)
        self._pools[wanted.pool_id] = _Named(core, wanted.pool_id, wanted.retry_attempts, wanted.slow_ms)

    @staticmethod
    def version() -> str:
        return _cenote.__version__

    @staticmethod
    def supported_databases() -> list[str]:
        """What create_pool takes as `db_type`."""
        return _cenote.supported_databases()

    def list_pools(self) -> list[str]:
        """The ids of the pools that calls can go to: this process's, and in a cluster the nodes'."""
        own = self._core.list_pools()
        return own + [pool_id for pool_id in self._core.discover_pools() if pool_id not in own]

    def cluster_status(self) -> dict[str, Any] | None:
        """What this process knows of its cluster, and how old that is; None in mode standalone.

        `view_age` is in seconds, None before the coordinator's first answer; `last_error` says why it does not answer.
        `partition` says whether this process hears the cluster.
        """
        return self._core.cluster_status()

    def failover_status(self) -> list[dict[str, Any]]:
        """Of each pool with a failover strategy or several endpoints: where its calls go, and the last events."""
        return self._core.failover_status()

    async def failover(self, pool_id: str, to: str | None = None, *, dry_run: bool = False) -> str:
        """Sends the calls of an active_standby pool to the target `to`, or to the best other one; gives its name.

        The error says why not: a database is never promoted. With `dry_run` nothing changes.
        """
        now: str = await call(self._core.async_failover, pool_id, to or "", dry_run)
        return now

    def recover(self) -> None:
        """The operator's word that `partition.recovery_strategy: manual` waits for; InterfaceError if nothing does."""
        self._core.recover()

    def pool(self, pool_id: str) -> Pool:
        """A blocking view of one pool."""
        return Pool(self._pool(pool_id).core)

    @method_like(creation)
    async def create_pool(self, *arguments: Any, **settings: Any) -> None:
        self._create(creation(*arguments, **settings))

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
        """The whole result. QueryTimeout after `timeout`; `tag` names the caller in leak logs and pool errors."""
        named = self._pool(pool_id)
        given = options(timeout, read_only, tag)
        return Frame(await named.run_async(sql, stoppable, named.core.async_query, sql, params, given), pool_id)

    async def execute(
        self, pool_id: str, sql: str, params: Parameters = None, *, timeout: float | None = None, tag: str = ""
    ) -> int:
        """Affected rows; -1 where the database does not say."""
        named = self._pool(pool_id)
        given = options(timeout, None, tag)
        count: int = await named.run_async(sql, stoppable, named.core.async_execute, sql, params, given)
        return count

    async def execute_batch(self, pool_id: str, operations: Sequence[Operation]) -> list[dict[str, Any]]:
        """Each operation by itself, in order; one that fails does not hide the others.

        An operation is a string or `{"sql": …, "params": …}`. Each result has `affected_rows`, `execution_time_ms` and
        `error`: a message, or None.
        """
        self._pool(pool_id)  # an unknown pool is not an operation's error
        results = []
        for sql, params in [_parts(operation) for operation in operations]:
            started = time.perf_counter()
            try:
                results.append(_outcome(started, await self.execute(pool_id, sql, params), None))
            except DbPoolError as error:
                results.append(_outcome(started, 0, error))
        return results

    def connection(
        self, pool_id: str, *, read_only: bool = False, timeout: float | None = None, tag: str = ""
    ) -> AsyncConnection:
        """One connection for several statements, by `async with`; `timeout` is of the wait for it."""
        return async_connection(self._pool(pool_id).core, pool_id, None, read_only, options(timeout, None, tag))

    def transaction(
        self,
        pool_id: str,
        *,
        isolation: IsolationName | None = None,
        read_only: bool = False,
        timeout: float | None = None,
    ) -> AsyncTransaction:
        """Commits at the end of its `async with`, rolls back on an exception.

        `timeout` is of the wait for a connection with the begin, and again of the commit, which has 30 s by default.
        """
        level = isolation_of(isolation)
        connection = async_connection(self._pool(pool_id).core, pool_id, level, read_only, options(timeout))
        return AsyncTransaction(connection, level, read_only, True)

    def query_stream(
        self, pool_id: str, sql: str, params: Parameters | int = None, chunk_size: int = 1000
    ) -> AsyncStream:
        """The result in frames of at most `chunk_size` rows, in bounded memory."""
        core = self._pool(pool_id).core
        values, rows = _chunks(params, chunk_size)
        given = options(batch_rows=rows)
        return AsyncStream(lambda stop: stoppable(core.async_stream, sql, values, given, stop=stop), pool_id)

    async def bulk_insert(self, pool_id: str, table: str, frame: object, *, mode: Mode = "append") -> int:
        """Inserts all rows of anything with `__arrow_c_stream__`; all or nothing. Gives their number."""
        core = self._pool(pool_id).core
        count: int = await stoppable(core.async_ingest, table, mode_of(mode), frame, PLAIN)
        return count

    async def get_pool_status(self, pool_id: str) -> dict[str, Any]:
        return self._pool(pool_id).core.status()

    async def get_pool_metrics(self, pool_id: str) -> dict[str, Any]:
        return self._pool(pool_id).core.metrics()

    async def health_check(self, pool_id: str, *, timeout: float = 5.0) -> bool:
        """Asks the database now, by a connection of its own."""
        core = self._pool(pool_id).core
        try:
            await stoppable(core.async_health_check, timeout)
        except DbPoolError:
            return False
        return True

    async def remove_pool(self, pool_id: str, *, timeout: float = 30.0) -> None:
        """Refuses new work, waits up to `timeout` for what runs, cancels the rest, closes, forgets the pool."""
        await call(self._core.async_remove_pool, pool_id, timeout)
        self._pools.pop(pool_id, None)

    async def aclose(self, timeout: float = 30.0) -> None:
        """Removes all pools, side by side."""
        own = self._core.list_pools()
        await asyncio.gather(*(self.remove_pool(pool_id, timeout=timeout) for pool_id in own))

    async def __aenter__(self) -> DatabasePool:
        return self

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<cenote.DatabasePool {self.list_pools()}>"


class DistributedDatabasePool(DatabasePool):
    """A DatabasePool whose pools may be on other nodes: the same calls, and the cluster picks the place.

    A call goes to this process's own pool of that id, if it has one that reaches its database, else to a node. A read
    whose node died is sent once more; a write never is: its error says whether it was sent. `Frame.meta` tells where a
    frame came from. Make it after a fork, not before.
    """

    def __init__(
        self,
        mode: DeploymentMode | str = DeploymentMode.STANDALONE,
        coordinator_url: str | None = None,
        *,
        discovery: Mapping[str, str] | None = None,
        token: str | None = None,
        username: str | None = None,
        password: str | None = None,
        ca: str | os.PathLike[str] | None = None,
        zone: str | None = None,
        load_balancer: str = "p2c_ewma",
    ) -> None:
        """`token` is for the coordinator, `username` and `password` for the nodes, `ca` a PEM file for both.

        `discovery` is for the mode FULL_DISTRIBUTED, with the keys that the YAML's section has:
        `{"type": "consul", "endpoint": "consul:8500"}`.

        `load_balancer` is one of round_robin, least_connections, weighted_round_robin, random, p2c_ewma. Nodes of
        `zone` are preferred. Does not wait for the coordinator or the store: the first call does, for a short time.
        """
        settings = {
            "coordinator_url": coordinator_url,
            "token": token,
            "username": username,
            "password": password,
            "ca": None if ca is None else os.fspath(ca),
            "zone": zone,
            "load_balancer": load_balancer,
        }
        _quiet_grpc()
        given = {key: value for key, value in settings.items() if value is not None}
        given |= {f"discovery.{key}": str(value) for key, value in (discovery or {}).items()}
        self._attach(_cenote.open_manager(_mode(mode), given))

    def __repr__(self) -> str:
        return f"<cenote.DistributedDatabasePool {self.list_pools()}>"


class SyncView:
    """DatabasePool's methods, blocking, on the caller's thread; no event loop."""

    def __init__(self, manager: DatabasePool) -> None:
        # Weak: no cycle, so that a forgotten manager closes its pools at once. It outlives this view's calls.
        self._owner = weakref.ref(manager)
        self._core = manager._core

    @property
    def _manager(self) -> DatabasePool:
        manager = self._owner()
        if manager is None:
            raise InterfaceError("the DatabasePool of this .sync is gone; keep a reference to it")
        return manager

    @staticmethod
    def version() -> str:
        return _cenote.__version__

    @staticmethod
    def supported_databases() -> list[str]:
        return _cenote.supported_databases()

    def list_pools(self) -> list[str]:
        return self._manager.list_pools()

    def cluster_status(self) -> dict[str, Any] | None:
        return self._core.cluster_status()

    def failover_status(self) -> list[dict[str, Any]]:
        return self._core.failover_status()

    def failover(self, pool_id: str, to: str | None = None, *, dry_run: bool = False) -> str:
        return self._core.failover(pool_id, to or "", dry_run)

    def recover(self) -> None:
        self._core.recover()

    @method_like(creation)
    def create_pool(self, *arguments: Any, **settings: Any) -> None:
        self._manager._create(creation(*arguments, **settings))

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
        """The whole result."""
        named = self._manager._pool(pool_id)
        given = options(timeout, read_only, tag)
        return Frame(named.run(sql, lambda: named.core.query(sql, params, given)), pool_id)

    def execute(
        self, pool_id: str, sql: str, params: Parameters = None, *, timeout: float | None = None, tag: str = ""
    ) -> int:
        """Affected rows; -1 where the database does not say."""
        named = self._manager._pool(pool_id)
        given = options(timeout, None, tag)
        return named.run(sql, lambda: named.core.execute(sql, params, given))

    def execute_batch(self, pool_id: str, operations: Sequence[Operation]) -> list[dict[str, Any]]:
        """Each operation by itself, in order; one that fails does not hide the others."""
        self._manager._pool(pool_id)
        results = []
        for sql, params in [_parts(operation) for operation in operations]:
            started = time.perf_counter()
            try:
                results.append(_outcome(started, self.execute(pool_id, sql, params), None))
            except DbPoolError as error:
                results.append(_outcome(started, 0, error))
        return results

    def connection(
        self, pool_id: str, *, read_only: bool = False, timeout: float | None = None, tag: str = ""
    ) -> Connection:
        """One connection for several statements, by `with`; `timeout` is of the wait for it."""
        core = self._manager._pool(pool_id).core
        return sync_connection(core, pool_id, None, read_only, options(timeout, None, tag))

    def transaction(
        self,
        pool_id: str,
        *,
        isolation: IsolationName | None = None,
        read_only: bool = False,
        timeout: float | None = None,
    ) -> Transaction:
        """Commits at the end of its `with`, rolls back on an exception; `timeout` as in the other view."""
        level = isolation_of(isolation)
        core = self._manager._pool(pool_id).core
        connection = sync_connection(core, pool_id, level, read_only, options(timeout))
        return Transaction(connection, level, read_only, True)

    def query_stream(self, pool_id: str, sql: str, params: Parameters | int = None, chunk_size: int = 1000) -> Stream:
        """The result in frames of at most `chunk_size` rows, in bounded memory."""
        values, rows = _chunks(params, chunk_size)
        return Stream(self._manager._pool(pool_id).core.stream(sql, values, options(batch_rows=rows)), pool_id)

    def bulk_insert(self, pool_id: str, table: str, frame: object, *, mode: Mode = "append") -> int:
        """Inserts all rows of anything with `__arrow_c_stream__`; all or nothing. Gives their number."""
        return self._manager._pool(pool_id).core.ingest(table, mode_of(mode), frame, PLAIN)

    def get_pool_status(self, pool_id: str) -> dict[str, Any]:
        return self._manager._pool(pool_id).core.status()

    def get_pool_metrics(self, pool_id: str) -> dict[str, Any]:
        return self._manager._pool(pool_id).core.metrics()

    def health_check(self, pool_id: str, *, timeout: float = 5.0) -> bool:
        """Asks the database now, by a connection of its own."""
        core = self._manager._pool(pool_id).core
        try:
            core.health_check(timeout)
        except DbPoolError:
            return False
        return True

    def remove_pool(self, pool_id: str, *, timeout: float = 30.0) -> None:
        """Refuses new work, waits up to `timeout` for what runs, cancels the rest, closes, forgets the pool."""
        self._core.remove_pool(pool_id, timeout)
        self._manager._pools.pop(pool_id, None)

    def close(self, timeout: float = 30.0) -> None:
        """Closes all pools."""
        self._core.drain(timeout)


@function_like(creation)
async def create_pool(*arguments: Any, **settings: Any) -> DatabasePool:
    """A DatabasePool with its first pool; the arguments are those of DatabasePool.create_pool."""
    pool = DatabasePool()
    await pool.create_pool(*arguments, **settings)
    return pool


__all__ = ["DatabasePool", "DeploymentMode", "DistributedDatabasePool", "SyncView", "create_pool"]
