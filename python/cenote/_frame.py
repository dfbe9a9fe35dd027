"""Frame: a result, held as Arrow, that every data frame library takes without a copy."""

from __future__ import annotations

import datetime
import html
import shutil
import time
import zoneinfo
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, overload

from . import _cenote
from ._errors import InterfaceError

_PREVIEW_ROWS = 20
_PREVIEW_COLUMNS = 20
_PREVIEW_CELL = 60  # characters
_ITERATION_ROWS = 4096

DtypeBackend = Literal["pyarrow", "numpy_nullable"]


class MonthDayNano(NamedTuple):
    """An interval of a database: months and days have no fixed length, so it is no timedelta."""

    months: int
    days: int
    nanoseconds: int


def zone(name: str) -> datetime.tzinfo:
    """The time zone of an Arrow timestamp: a name of the zone database or an offset."""
    if name[0] in "+-":
        hours, minutes = name[1:].split(":")
        delta = datetime.timedelta(hours=int(hours), minutes=int(minutes))
        return datetime.timezone(delta if name[0] == "+" else -delta)
    return zoneinfo.ZoneInfo(name)


class Frame:
    """Rows and named columns. Immutable; exported by Arrow's C interface any number of times, without a copy.

    `polars.DataFrame(frame)`, `pyarrow.table(frame)`, `duckdb.sql("from frame")` and all that know
    `__arrow_c_stream__` take it. None of these libraries need to be installed for the frame itself.
    """

    __slots__ = ("__weakref__", "_as_of", "_core", "_pool_id")

    def __init__(self, core: _cenote.Frame, pool_id: str = "") -> None:
        self._core = core
        self._pool_id = pool_id
        self._as_of = time.time()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """An Arrow stream of all rows. As its protocol allows, `requested_schema` is not followed."""
        return self._core.stream()

    def __arrow_c_schema__(self) -> object:
        return self._core.schema()

    @property
    def num_rows(self) -> int:
        return self._core.num_rows()

    @property
    def num_columns(self) -> int:
        return self._core.num_columns()

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)"""
        return self._core.num_rows(), self._core.num_columns()

    @property
    def columns(self) -> list[str]:
        """The names, in order; a database may give two columns the same one."""
        return self._core.columns()

    @property
    def dtypes(self) -> list[str]:
        """Arrow's names of the columns' types: "int64", "decimal128(18, 4)"."""
        return self._core.types()

    @property
    def schema(self) -> list[tuple[str, str]]:
        """(name, Arrow's name of the type) of each column."""
        return list(zip(self.columns, self.dtypes, strict=True))

    @property
    def meta(self) -> dict[str, Any]:
        """Where the frame came from, and how old it is.

        `pool_id`, `node`, `location`, `attempts`, `target`, `stale`, `as_of` (UTC), `source`, `config_version`. `node`
        and `location` are None for a pool of this process; `attempts` counts the places that were asked; `target` is
        the pool or endpoint that answered where a failover strategy chose it. `stale` says
        that the cluster was out of reach: `as_of` is then when it was heard last, and `source` is "cache" (else
        "coordinator", "consul", "etcd" or "list"; "own" for a pool of this process). `config_version` is the
        cluster's configuration that the place had applied, or None.
        """
        node, location, attempts, target, stale, source, heard, version = self._core.origin() or (
            "", "", 1, "", False, "own", None, 0,
        )  # fmt: skip
        as_of = heard if stale and heard is not None else self._as_of
        return {
            "pool_id": self._pool_id,
            "node": node or None,
            "location": location or None,
            "attempts": attempts,
            "target": target or None,
            "stale": stale,
            "as_of": datetime.datetime.fromtimestamp(as_of, datetime.timezone.utc),
            "source": source or "own",
            "config_version": version or None,
        }

    @overload
    def rows(self, *, named: Literal[False] = False) -> list[tuple[Any, ...]]: ...
    @overload
    def rows(self, *, named: Literal[True]) -> list[dict[str, Any]]: ...
    def rows(self, *, named: bool = False) -> list[tuple[Any, ...]] | list[dict[str, Any]]:
        """All rows as tuples of Python values, or as dicts. Times finer than microseconds are cut.

        DataError where Python has no such value (the year 10000); InterfaceError for dicts of columns that share a
        name.
        """
        rows = self._core.rows(0, self._core.num_rows())
        if not named:
            return rows
        names = self.columns
        if len(set(names)) < len(names):
            raise InterfaceError(f"two columns have one name, so a dict would lose one: {names}; rename them by `as`")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def __len__(self) -> int:
        return self._core.num_rows()

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for start in range(0, len(self), _ITERATION_ROWS):
            yield from self._core.rows(start, min(_ITERATION_ROWS, len(self) - start))

    def to_pyarrow(self) -> Any:
        """A pyarrow.Table."""
        return _imported("pyarrow").table(self)

    def to_polars(self) -> Any:
        """A polars.DataFrame."""
        return _imported("polars").DataFrame(self)

    def to_pandas(self, *, dtype_backend: DtypeBackend | None = None, **options: Any) -> Any:
        """A pandas.DataFrame. No value changes on the way.

        By default numpy's types, except that integers and booleans with nulls become pandas' `Int64` and `boolean`:
        numpy would make floats of them, which hold integers only up to 2**53. `dtype_backend` chooses pandas' Arrow
        types ("pyarrow") or its nullable ones ("numpy_nullable") for all columns. `options` are those of
        pyarrow.Table.to_pandas, which does the work: pyarrow must be installed.
        """
        pandas, table = _imported("pandas"), self.to_pyarrow()
        if dtype_backend == "pyarrow":
            return table.to_pandas(types_mapper=pandas.ArrowDtype, **options)
        nullable = _nullable_types(_imported("pyarrow"), pandas, dtype_backend is not None)
        if dtype_backend == "numpy_nullable":
            return table.to_pandas(types_mapper=nullable.get, **options)
        if dtype_backend is not None:
            raise InterfaceError(f"dtype_backend {dtype_backend!r} is none of None, 'pyarrow', 'numpy_nullable'")
        if options:
            return table.to_pandas(**options)
        frame = table.to_pandas()
        for index, column in enumerate(table.columns):
            if column.null_count and column.type in nullable:
                frame.isetitem(index, column.to_pandas(types_mapper=nullable.get).array)
        return frame

    def __repr__(self) -> str:
        width = shutil.get_terminal_size((120, 24)).columns
        return self._core.print(_PREVIEW_ROWS, width, _PREVIEW_CELL).rstrip("\n") or "0 rows × 0 columns"

    def _repr_html_(self) -> str:
        names = [name[:_PREVIEW_CELL] for name in self.columns[:_PREVIEW_COLUMNS]]
        lines = self._core.head(_PREVIEW_ROWS, _PREVIEW_COLUMNS, _PREVIEW_CELL)
        body = "".join("<tr>" + "".join(map(_html_cell, line)) + "</tr>" for line in lines)
        head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
        rows, columns = self.shape
        shown = "" if rows <= _PREVIEW_ROWS and columns <= _PREVIEW_COLUMNS else ", the first of them shown"
        return (
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
            f"<p>{rows} rows × {columns} columns{shown}</p>"
        )


def _html_cell(cell: str | None) -> str:
    return "<td><i>null</i></td>" if cell is None else f"<td>{html.escape(cell)}</td>"


def _imported(name: str) -> Any:
    try:
        return __import__(name)
    except ImportError as error:
        raise ImportError(f"this conversion needs {name}, which is not installed: pip install {name}") from error


def _nullable_types(pyarrow: Any, pandas: Any, every: bool) -> dict[Any, Any]:
    """pandas' nullable type for each type of Arrow that has one."""
    types = {
        getattr(pyarrow, f"{sign}int{bits}")(): getattr(pandas, f"{sign.upper()}Int{bits}Dtype")()
        for sign in ("", "u")
        for bits in (8, 16, 32, 64)
    }
    types[pyarrow.bool_()] = pandas.BooleanDtype()
    if every:
        types[pyarrow.float32()] = pandas.Float32Dtype()
        types[pyarrow.float64()] = pandas.Float64Dtype()
        types[pyarrow.string()] = types[pyarrow.large_string()] = pandas.StringDtype()
    return types
