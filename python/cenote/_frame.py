"""Frame: a result, held as Arrow, that every data frame library takes without a copy."""

from __future__ import annotations

import datetime
import html
import time
import zoneinfo
from collections.abc import Iterator
from typing import Any

from . import _cenote

_PREVIEW_ROWS = 10
_PREVIEW_COLUMNS = 12
_PREVIEW_CELL = 32


def zone(name: str) -> datetime.tzinfo:
    """The time zone of an Arrow timestamp: a name of the zone database or an offset."""
    if name[0] in "+-":
        hours, minutes = name[1:].split(":")
        delta = datetime.timedelta(hours=int(hours), minutes=int(minutes))
        return datetime.timezone(delta if name[0] == "+" else -delta)
    return zoneinfo.ZoneInfo(name)


class Frame:
    """Rows and named columns. Immutable; may be exported any number of times."""

    __slots__ = ("_as_of", "_core", "_pool_id")

    def __init__(self, core: _cenote.Frame, pool_id: str = "") -> None:
        self._core = core
        self._pool_id = pool_id
        self._as_of = time.time()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._core.stream()

    def __arrow_c_schema__(self) -> object:
        return self._core.schema()

    @property
    def shape(self) -> tuple[int, int]:
        return self._core.num_rows(), self._core.num_columns()

    @property
    def columns(self) -> list[str]:
        return self._core.columns()

    @property
    def dtypes(self) -> list[str]:
        """Arrow's names of the columns' types."""
        return self._core.types()

    @property
    def meta(self) -> dict[str, Any]:
        """Where the frame came from, and how old it is."""
        return {
            "pool_id": self._pool_id,
            "stale": False,
            "as_of": datetime.datetime.fromtimestamp(self._as_of, datetime.timezone.utc),
        }

    def rows(self) -> list[tuple[Any, ...]]:
        """All rows as tuples of Python values."""
        return self._core.rows(0, self._core.num_rows())

    def __len__(self) -> int:
        return self._core.num_rows()

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        total = len(self)
        for start in range(0, total, 4096):
            yield from self._core.rows(start, min(4096, total - start))

    def to_pyarrow(self) -> Any:
        import pyarrow

        return pyarrow.table(self)

    def to_polars(self) -> Any:
        import polars

        return polars.DataFrame(self)

    def to_pandas(self, **options: Any) -> Any:
        """A pandas DataFrame; `options` are those of pyarrow.Table.to_pandas."""
        return self.to_pyarrow().to_pandas(**options)

    def _preview(self) -> tuple[list[str], list[list[str]]]:
        names = self.columns[:_PREVIEW_COLUMNS]
        cells = [
            ["null" if cell is None else _shortened(cell) for cell in row[:_PREVIEW_COLUMNS]]
            for row in self._core.rows(0, min(_PREVIEW_ROWS, len(self)))
        ]
        return names, cells

    def _rest(self) -> str:
        rows, columns = self.shape
        return f"{rows} rows × {columns} columns"

    def __repr__(self) -> str:
        names, cells = self._preview()
        names = [_shortened(name) for name in names]
        widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in (names, *cells)
        ]
        return "\n".join([*lines, f"[{self._rest()}]"])

    def _repr_html_(self) -> str:
        names, cells = self._preview()
        head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in cells)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{html.escape(self._rest())}</p>"


def _shortened(cell: object) -> str:
    text = str(cell[:_PREVIEW_CELL] if isinstance(cell, (str, bytes)) else cell).replace("\n", "\\n")
    long = len(text) > _PREVIEW_CELL or (isinstance(cell, (str, bytes)) and len(cell) > _PREVIEW_CELL)
    return text[: _PREVIEW_CELL - 1] + "…" if long else text
