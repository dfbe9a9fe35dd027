"""The exceptions: PEP 249's tree, refined for pools, with the original names."""

from __future__ import annotations

import builtins


class DbPoolError(Exception):
    """Base of all errors of cenote; PEP 249's `Error`."""

    sqlstate: str = ""
    vendor_code: int = 0
    pool_id: str = ""
    endpoint: str = ""
    # True if the same call may succeed when repeated, and repeating cannot do its work twice.
    retryable: bool = False
    kind: str = ""


Error = DbPoolError


class ConfigError(DbPoolError, ValueError):
    """The configuration is wrong; the message says where and what to write."""


class InterfaceError(DbPoolError):
    """cenote was called wrongly."""


class PoolError(DbPoolError):
    """The pool could not serve the call."""


class PoolTimeout(PoolError, TimeoutError):
    """No connection became free in time."""


class PoolExhausted(PoolError):
    """Too many callers wait already."""


class PoolClosed(PoolError):
    """The pool is closed, draining or paused."""


class UnknownPool(PoolError, KeyError):
    """No pool of that name."""

    def __str__(self) -> str:
        return Exception.__str__(self)


class DatabaseError(DbPoolError):
    """The database refused or failed."""


QueryError = DatabaseError


class DataError(DatabaseError):
    """A value is out of range or does not fit its type."""


class IntegrityError(DatabaseError):
    """A constraint was violated."""


class InternalError(DatabaseError):
    """The database or cenote found itself in a state that must not be."""


class NotSupportedError(DatabaseError):
    """The database or its driver cannot do this."""


class ProgrammingError(DatabaseError):
    """The statement is wrong."""


class OperationalError(DatabaseError):
    """The database could not do it now."""


class ConnectionError(OperationalError, builtins.ConnectionError):
    """No connection could be made, or it was lost."""


class AuthenticationError(ConnectionError):
    """The server refused the credentials."""


class QueryTimeout(OperationalError, TimeoutError):
    """The deadline passed while the statement ran; it was cancelled on the server."""


class QueryCancelled(OperationalError):
    """The caller cancelled."""


_CLASSES: dict[str, type[DbPoolError]] = {
    "interface": InterfaceError,
    "programming": ProgrammingError,
    "integrity": IntegrityError,
    "data": DataError,
    "internal": InternalError,
    "not_supported": NotSupportedError,
    "operational": OperationalError,
    "connection": ConnectionError,
    "authentication": AuthenticationError,
    "overload": OperationalError,
    "read_only": OperationalError,
    "query_timeout": QueryTimeout,
    "cancelled": QueryCancelled,
    "pool_timeout": PoolTimeout,
    "pool_exhausted": PoolExhausted,
    "pool_closed": PoolClosed,
    "unknown_pool": UnknownPool,
    "config": ConfigError,
}


def from_status(
    kind: str, message: str, sqlstate: str, vendor_code: int, pool_id: str, endpoint: str, retryable: bool
) -> DbPoolError:
    """Called by the extension, which knows errors as data."""
    error = _CLASSES.get(kind, InternalError)(message)
    error.kind = kind
    error.sqlstate = sqlstate
    error.vendor_code = vendor_code
    error.pool_id = pool_id
    error.endpoint = endpoint
    error.retryable = retryable
    return error
