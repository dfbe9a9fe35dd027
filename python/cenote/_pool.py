"""One database, blocking: for notebooks and scripts."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping
from typing import Any

from . import _cenote
from ._connection import Connection, Transaction, sync_connection
from ._errors import ConfigError, DbPoolError
from ._frame import Frame
from ._options import Credentials, IsolationName, Mode, Parameters, isolation_of, mode_of, options
from ._stream import Stream

# Closed at exit, before the interpreter is gone.
open_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


class Pool:
    """Connections to one database; every call blocks. Thread-safe.

    On the main thread Ctrl-C cancels the statement on the server and raises KeyboardInterrupt; the pool stays usable.
    Times are in seconds. Errors are those of `cenote.DbPoolError`.
    """

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
        """The whole result. QueryTimeout after `timeout`; `tag` names the caller in leak logs and pool errors."""
        return Frame(self._core.query(sql, params, options(timeout, read_only, tag)), self._id)

    def execute(self, sql: str, params: Parameters = None, *, timeout: float | None = None, tag: str = "") -> int:
        """Affected rows; -1 where the database does not say."""
        return self._core.execute(sql, params, options(timeout, None, tag))

    def stream(
        self, sql: str, params: Parameters = None, *, chunk_size: int = 0, timeout: float | None = None, tag: str = ""
    ) -> Stream:
        """The result in frames of at most `chunk_size` rows, in bounded memory. Close it, or read it to its end."""
        return Stream(self._core.stream(sql, params, options(timeout, None, tag, chunk_size)), self._id)

    def ingest(self, table: str, frame: object, *, mode: Mode = "append", timeout: float | None = None) -> int:
        """Inserts all rows of anything with `__arrow_c_stream__`; all or nothing. Gives their number."""
        return self._core.ingest(table, mode_of(mode), frame, options(timeout))

    bulk_insert = ingest

    def connection(self, *, read_only: bool = False, timeout: float | None = None, tag: str = "") -> Connection:
        """One connection for several statements, by `with`; `timeout` is of the wait for it."""
        return sync_connection(self._core, self._id, None, read_only, options(timeout, None, tag))

    def transaction(
        self, *, isolation: IsolationName | None = None, read_only: bool = False, timeout: float | None = None
    ) -> Transaction:
        """Commits at the end of its `with`, rolls back on an exception.

        `timeout` is of the wait for a connection with the begin, and again of the commit, which has 30 s by default.
        """
        level = isolation_of(isolation)
        connection = sync_connection(self._core, self._id, level, read_only, options(timeout))
        return Transaction(connection, level, read_only, True)

    def status(self) -> dict[str, Any]:
        return self._core.status()

    def metrics(self) -> dict[str, Any]:
        return self._core.metrics()

    def health_check(self, *, timeout: float = 5.0) -> bool:
        """Asks the database now, by a connection of its own."""
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
        try:
            status = self._core.status()
        except DbPoolError:  # on other nodes, or removed
            return f"<cenote.Pool {self._id!r}>"
        return f"<cenote.Pool {self._id!r} {status['db_type']} {status['endpoint']}>"


def keys_of(config: Mapping[str, Any]) -> dict[str, str]:
    """A pool's keys as text; the nested `config` and `pool` of the YAML are accepted too."""
    flat: dict[str, str] = {}
    for key, value in config.items():
        if key in ("config", "pool") and isinstance(value, Mapping):
            flat.update(keys_of(value))
        elif isinstance(value, bool):
            flat[key] = "true" if value else "false"
        elif isinstance(value, (list, tuple)):
            flat[key] = ",".join(map(str, value))
        elif value is not None:
            flat[key] = str(value)
    return flat


def connect(
    target: str | os.PathLike[str] | Mapping[str, Any], *, id: str = "main", credentials: Credentials | None = None
) -> Pool:
    """A pool for a file of SQLite, a URL, or the keys of a pool: `{"type": "postgresql", "host": …}`.

    `credentials`, asked before every new connection, gives (username, password): for passwords that change.
    """
    if not isinstance(target, Mapping):
        return Pool(_cenote.open_url(os.fspath(target), id, credentials))
    keys = keys_of(target)
    kind = keys.pop("type", keys.pop("db_type", None))
    if kind is None:
        raise ConfigError(
            "the pool's config has no 'type'; write for example {'type': 'sqlite', 'database': 'shop.db'}"
        )
    return Pool(_cenote.open_keys(keys.pop("id", id), kind, keys, credentials))
