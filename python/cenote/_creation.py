"""The arguments of create_pool as the original has them, once for its three places."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar

from ._options import Credentials
from ._pool import keys_of

P = ParamSpec("P")
S = TypeVar("S")
R = TypeVar("R")


# Keys that say where the database is, which a host that nobody asked for must not override.
_PLACES = {"uri", "dsn", "connection_string"}


class _Default(str):
    """A default that can be told from the same word given by a caller."""

    __slots__ = ()


@dataclass(frozen=True)
class Creation:
    """A pool to be made: what its core takes, and what the package itself does for its calls."""

    pool_id: str
    db_type: str
    keys: dict[str, str]
    credentials: Credentials | None
    retry_attempts: int
    slow_ms: float | None


def creation(
    pool_id: str,
    db_type: str,
    host: str = _Default("localhost"),
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
    credentials: Credentials | None = None,
    **others: Any,
) -> Creation:
    """Makes a pool. Times are in seconds.

    `db_type` is one of supported_databases(); `port` None is the database's own; for sqlite, `database` is a path.
    The pool grows from `min_connections` to `max_connections` and shrinks when idle; without `auto_scaling` it keeps
    `max_connections` open. A call whose error is `retryable` (never sent, or rolled back by the database) is tried
    `retry_attempts` times more at the most. With `log_slow_queries`, a statement of `log_threshold_ms` or more goes to
    the logger "cenote". `credentials`, asked before every new connection, gives (username, password). `others` are
    further keys of the pool's configuration, as `uri`, which the arguments given beside it override. ConfigError says
    what is wrong in them.
    """
    keys: dict[str, Any] = {
        "min_connections": min(min_connections, max_connections) if auto_scaling else max_connections,
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
    more = keys_of(others)
    said_elsewhere = isinstance(host, _Default) and not _PLACES.isdisjoint(more)
    if db_type.lower() != "sqlite" and not said_elsewhere:
        keys["host"] = host
    return Creation(
        pool_id,
        db_type,
        {**keys_of(keys), **more},
        credentials,
        max(retry_attempts, 0),
        log_threshold_ms if log_slow_queries else None,
    )


def _copy_signature(function: Callable[..., Any], of: Callable[..., Any], owner: bool) -> None:
    signature = inspect.signature(of)
    parameters = list(signature.parameters.values())
    if owner:
        parameters.insert(0, inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD))
    returns = inspect.signature(function).return_annotation
    function.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=parameters, return_annotation=returns
    )
    function.__doc__ = function.__doc__ or of.__doc__


def method_like(of: Callable[P, Any]) -> Callable[[Callable[..., R]], Callable[Concatenate[Any, P], R]]:
    """A method with the parameters and the docstring of `of`."""

    def decorate(function: Callable[..., R]) -> Callable[Concatenate[Any, P], R]:
        _copy_signature(function, of, True)
        return function

    return decorate


def function_like(of: Callable[P, Any]) -> Callable[[Callable[..., R]], Callable[P, R]]:
    """A function with the parameters and the docstring of `of`."""

    def decorate(function: Callable[..., R]) -> Callable[P, R]:
        _copy_signature(function, of, False)
        return function

    return decorate
