"""Random values in columns of every declared type: what a frame says is what Python's own sqlite3 reads."""

from __future__ import annotations

import datetime
import math
import pathlib
import sqlite3

import cenote
import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

DECLARED = [
    "", "integer", "bigint", "boolean", "real", "double precision", "decimal(9, 2)", "numeric", "text", "varchar(9)",
    "blob", "date", "time", "datetime", "timestamp", "timestamp with time zone", "json", "any", "point",
]  # fmt: skip
MOMENTS = st.one_of(
    st.dates().map(str),
    st.datetimes().map(lambda moment: moment.isoformat(" ")),
    st.datetimes().map(lambda moment: moment.isoformat("T", "milliseconds")),
    st.times().map(str),
    st.sampled_from(["2024-02-30", "24:00", "2024-1-1", "2024-01-01 12:00:00Z", "0000-01-01", "12:3", "-4713-11-24"]),
)
VALUES = st.one_of(
    st.none(),
    st.integers(-1, 2),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)]),
    st.floats(allow_nan=False),
    st.sampled_from([math.inf, -math.inf, -0.0, 5e-324, 1e15, 2.0**63]),
    st.text(max_size=20),
    st.sampled_from(["", "a\0b", "1", "1.0", "true", "inf", "NaN", "\ufeff", "\U0001d11e"]),
    st.binary(max_size=20),
    MOMENTS,
)
COLUMNS = st.lists(st.sampled_from(DECLARED), min_size=1, max_size=4)
ROWS = st.lists(st.tuples(VALUES, VALUES, VALUES, VALUES), max_size=12)


def moment_of(text: str) -> datetime.date | datetime.time | datetime.datetime:
    """By Python's own reading of what SQLite's date functions write."""
    if len(text) == 10:
        return datetime.date.fromisoformat(text)
    if text[2] == ":":
        return datetime.time.fromisoformat(text)
    return datetime.datetime.fromisoformat(text)


def same(got: object, stored: object, kind: pyarrow.DataType) -> bool:
    """Whether the cell of a column of this type tells the stored value, and no other one."""
    if stored is None or got is None:
        return got is None and stored is None
    if pyarrow.types.is_boolean(kind):
        return type(stored) is int and got == bool(stored) and stored in (0, 1)
    if pyarrow.types.is_int64(kind):
        return type(stored) is int and got == stored
    if pyarrow.types.is_float64(kind):
        return isinstance(stored, (int, float)) and got == stored and math.copysign(1, got) == math.copysign(1, stored)
    if pyarrow.types.is_temporal(kind):
        assert isinstance(stored, str)
        if isinstance(got, str) and stored.startswith("0000"):
            return got.startswith(stored)
        if isinstance(got, str):
            got = moment_of(got.removesuffix("Z")[:26])
        moment = moment_of(stored)
        if isinstance(got, datetime.datetime) and not isinstance(moment, datetime.datetime):
            moment = datetime.datetime.combine(moment, datetime.time())
        return got == moment
    if isinstance(stored, (int, float)):
        text = got.decode() if isinstance(got, bytes) else got
        return type(stored)(text) == stored
    wanted = stored.encode() if isinstance(stored, str) and isinstance(got, bytes) else stored
    return got == wanted


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("values")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(declared=COLUMNS, rows=ROWS, size=st.integers(1, 5))
def test_no_value_is_lost(folder: pathlib.Path, declared: list[str], rows: list[tuple], size: int) -> None:
    file = folder / "values.db"
    with sqlite3.connect(file) as plain:
        plain.execute("drop table if exists t")
        plain.execute(f"create table t ({', '.join(f'c{i} {type}' for i, type in enumerate(declared))})")
        plain.executemany(
            f"insert into t values ({', '.join('?' for _ in declared)})", [row[: len(declared)] for row in rows]
        )
    stored = plain.execute("select * from t order by rowid").fetchall()
    plain.close()
    with cenote.connect(file) as pool:
        whole = pyarrow.table(pool.query("select * from t order by rowid"))
        check(whole, stored)
        try:
            with pool.stream("select * from t order by rowid", chunk_size=size) as stream:
                frames = [pyarrow.table(frame) for frame in stream]
            check(pyarrow.concat_tables(frames) if frames else whole.slice(0, 0), stored)
        except cenote.DataError as error:
            # A stream has to tell its types from the first batch; a contradiction names its place.
            assert "column 'c" in str(error) and "row " in str(error)
            assert len(stored) > size
        assert pool.query("select count(*) from t").rows() == [(len(stored),)]


def cells(column: pyarrow.ChunkedArray) -> list[object]:
    """Its values; as text where one is of the year 0, which SQLite and Arrow have and Python has not."""
    try:
        return column.to_pylist()
    except OverflowError:
        return column.cast(pyarrow.string()).to_pylist()


def check(frame: pyarrow.Table, stored: list[tuple]) -> None:
    frame.validate(full=True)
    assert frame.num_rows == len(stored)
    for index, column in enumerate(frame.columns):
        for got, row in zip(cells(column), stored, strict=True):
            assert same(got, row[index], column.type), (column.type, got, row[index])
