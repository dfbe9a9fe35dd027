"""cenote: a database connection pool that answers SQL with Arrow data frames."""

from __future__ import annotations

import atexit as _atexit
import contextlib as _contextlib
import logging as _logging
import os as _os

from . import _cenote, _errors
from ._connection import AsyncConnection, AsyncTransaction, Connection, Transaction
from ._errors import (
    AuthenticationError,
    ConfigError,
    DatabaseError,
    DataError,
    DbPoolError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    PoolClosed,
    PoolError,
    PoolExhausted,
    PoolTimeout,
    ProgrammingError,
    QueryCancelled,
    QueryError,
    QueryTimeout,
    UnknownPool,
)
from ._errors import (
    ConnectionError as ConnectionError,  # the original's name; it derives from the builtin
)
from ._frame import Frame, MonthDayNano
from ._manager import DatabasePool, DeploymentMode, DistributedDatabasePool, SyncView, create_pool
from ._manager import open_managers as _open_managers
from ._pool import Pool, connect
from ._pool import open_pools as _open_pools
from ._stream import AsyncStream, Stream

__version__: str = _cenote.__version__

# Names that hide a builtin stay out of `import *`.
__all__ = [
    "AsyncConnection",
    "AsyncStream",
    "AsyncTransaction",
    "AuthenticationError",
    "ConfigError",
    "Connection",
    "DataError",
    "DatabaseError",
    "DatabasePool",
    "DbPoolError",
    "DeploymentMode",
    "DistributedDatabasePool",
    "Error",
    "Frame",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "MonthDayNano",
    "NotSupportedError",
    "OperationalError",
    "Pool",
    "PoolClosed",
    "PoolError",
    "PoolExhausted",
    "PoolTimeout",
    "ProgrammingError",
    "QueryCancelled",
    "QueryError",
    "QueryTimeout",
    "Stream",
    "SyncView",
    "Transaction",
    "UnknownPool",
    "connect",
    "create_pool",
]

for _name in __all__:
    _item = globals()[_name]
    if isinstance(_item, type) and _item.__module__.startswith("cenote._") and _item is not DeploymentMode:
        _item.__module__ = "cenote"
_errors.ConnectionError.__module__ = "cenote"

_LEVELS = (_logging.DEBUG, _logging.INFO, _logging.WARNING, _logging.ERROR)


def _log_line(level: int, part: str, message: str) -> None:
    _logging.getLogger("cenote").log(_LEVELS[level], "%s: %s", part, message)


def _close_all() -> None:
    """Ends what runs and the threads of C++, which must not meet an interpreter that is gone."""
    closables: list[Pool | SyncView] = [*_open_pools, *(manager.sync for manager in _open_managers)]
    for closable in closables:
        with _contextlib.suppress(DbPoolError):
            closable.close(0)
    _cenote.end_threads()


_cenote.set_log(_log_line)
_atexit.register(_close_all)
# The thread that forked is the child's main thread.
_os.register_at_fork(after_in_child=_cenote.remember_main_thread)
