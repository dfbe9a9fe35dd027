"""Frames: rows as Python values, exports to every library, bounded previews."""

from __future__ import annotations

import datetime
import decimal
import subprocess
import sys
import textwrap
import uuid
from typing import Any

import cenote
import duckdb
import numpy
import pandas
import polars
import pyarrow
import pytest

UTC = datetime.timezone.utc


def frame_of(table: Any) -> cenote.Frame:
    return cenote.Frame(cenote._cenote.frame_from(table))


def column(values: list[Any], kind: pyarrow.DataType) -> list[Any]:
    rows = frame_of(pyarrow.table({"a": pyarrow.array(values, kind)})).rows()
    return [cell for (cell,) in rows]


TYPES = [
    (pyarrow.null(), [None]),
    (pyarrow.bool_(), [True, False, None]),
    *((getattr(pyarrow, f"int{bits}")(), [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, None]) for bits in (8, 16, 32, 64)),
    *((getattr(pyarrow, f"uint{bits}")(), [0, 2**bits - 1, None]) for bits in (8, 16, 32, 64)),
    (pyarrow.float16(), [0.5, None]),
    (pyarrow.float32(), [0.5, float("inf"), None]),
    (pyarrow.float64(), [0.1, -1e300, None]),
    *((kind, ["", "ä\0🙂", None]) for kind in (pyarrow.string(), pyarrow.large_string(), pyarrow.string_view())),
    *((kind, [b"", b"\x00\xff", None]) for kind in (pyarrow.binary(), pyarrow.large_binary(), pyarrow.binary_view())),
    (pyarrow.binary(2), [b"ab", None]),
    *(
        (kind, [decimal.Decimal("1.50"), decimal.Decimal("-0.01"), None])
        for kind in (
            pyarrow.decimal32(5, 2),
            pyarrow.decimal64(9, 2),
            pyarrow.decimal128(38, 2),
            pyarrow.decimal256(76, 2),
        )
    ),
    (pyarrow.date32(), [datetime.date(1, 1, 1), datetime.date(9999, 12, 31), None]),
    (pyarrow.date64(), [datetime.date(1969, 12, 31), None]),
    (pyarrow.time32("s"), [datetime.time(23, 59, 59), None]),
    (pyarrow.time64("us"), [datetime.time(23, 59, 59, 999999), None]),
    *(
        (pyarrow.timestamp(unit), [datetime.datetime(1969, 12, 31, 23, 59, 59), datetime.datetime(2026, 1, 2), None])
        for unit in ("s", "ms", "us", "ns")
    ),
    (pyarrow.timestamp("us", "UTC"), [datetime.datetime(2026, 1, 2, tzinfo=UTC), None]),
    (pyarrow.duration("us"), [datetime.timedelta(days=-1, microseconds=1), None]),
    (pyarrow.list_(pyarrow.int32()), [[1, None], [], None]),
    (pyarrow.large_list(pyarrow.string()), [["a"], None]),
    (pyarrow.list_(pyarrow.int32(), 2), [[1, 2], None]),
    (pyarrow.list_view(pyarrow.int32()), [[1, None], None]),
    (pyarrow.struct({"x": pyarrow.int32(), "y": pyarrow.string()}), [{"x": 1, "y": None}, None]),
    (pyarrow.map_(pyarrow.string(), pyarrow.int32()), [[("k", 1), ("l", None)], None]),
    (pyarrow.dictionary(pyarrow.int8(), pyarrow.string()), ["a", "b", "a", None]),
    (pyarrow.list_(pyarrow.struct({"x": pyarrow.list_(pyarrow.date32())})), [[{"x": [datetime.date(2026, 1, 2)]}]]),
]


@pytest.mark.parametrize(
    ("kind", "values"), TYPES, ids=lambda item: str(item) if isinstance(item, pyarrow.DataType) else ""
)
def test_a_value_of_every_type_becomes_pythons(kind: pyarrow.DataType, values: list[Any]) -> None:
    got = column(values, kind)
    assert got == values
    assert [type(cell) for cell in got] == [type(value) for value in values]
    # A slice, whose buffers begin elsewhere, says the same.
    table = pyarrow.table({"a": pyarrow.array(values + values, kind)}).slice(len(values))
    assert [cell for (cell,) in frame_of(table).rows()] == values


def test_intervals_and_uuids_have_types_of_their_own() -> None:
    interval = pyarrow.MonthDayNano([1, -2, 3_000])
    assert column([interval, None], pyarrow.month_day_nano_interval()) == [cenote.MonthDayNano(1, -2, 3_000), None]
    identifier = uuid.UUID(int=5)
    assert column([identifier.bytes, None], pyarrow.uuid()) == [identifier, None]


def test_a_time_zone_is_kept() -> None:
    moment = datetime.datetime(2026, 7, 1, 12, tzinfo=UTC)
    (summer,) = column([moment], pyarrow.timestamp("us", "Europe/Berlin"))
    assert summer == moment
    assert summer.utcoffset() == datetime.timedelta(hours=2)
    (fixed,) = column([moment], pyarrow.timestamp("us", "-03:30"))
    assert fixed == moment
    assert fixed.utcoffset() == datetime.timedelta(hours=-3, minutes=-30)


def test_finer_times_are_cut_never_rounded_up() -> None:
    assert column([1_999], pyarrow.timestamp("ns")) == [datetime.datetime(1970, 1, 1, 0, 0, 0, 1)]
    assert column([-1], pyarrow.timestamp("ns")) == [datetime.datetime(1969, 12, 31, 23, 59, 59, 999999)]


def test_a_value_beyond_python_is_named_and_still_exported() -> None:
    table = pyarrow.table({"when": pyarrow.array([0, 400_000_000_000], pyarrow.timestamp("s"))})
    frame = frame_of(table)
    with pytest.raises(cenote.DataError, match="row 2 of column 'when'.*to_pyarrow"):
        frame.rows()
    assert frame.to_pyarrow() == table
    assert "14645-06-30" in repr(frame)


def test_shape_names_and_types() -> None:
    frame = frame_of(pyarrow.table({"a": [1, 2], "b": ["x", None]}))
    assert frame.shape == (2, 2) == (frame.num_rows, frame.num_columns)
    assert len(frame) == 2
    assert frame.columns == ["a", "b"]
    assert frame.dtypes == ["int64", "string"]
    assert frame.schema == [("a", "int64"), ("b", "string")]
    assert frame.rows() == [(1, "x"), (2, None)] == list(frame)
    assert frame.rows(named=True) == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]


def test_iteration_crosses_its_blocks_and_the_chunks() -> None:
    chunks = pyarrow.chunked_array([list(range(3000)), list(range(3000, 9001))])
    assert [row[0] for row in frame_of(pyarrow.table({"a": chunks}))] == list(range(9001))


def test_columns_may_share_a_name_but_not_in_dicts() -> None:
    table = pyarrow.Table.from_arrays([pyarrow.array([1, None]), pyarrow.array([2, None])], names=["a", "a"])
    frame = frame_of(table)
    assert frame.rows() == [(1, 2), (None, None)]
    with pytest.raises(cenote.InterfaceError, match="one name"):
        frame.rows(named=True)
    assert frame.to_pandas().shape == (2, 2)
    assert frame.to_pandas().dtypes.tolist() == [pandas.Int64Dtype(), pandas.Int64Dtype()]


def test_every_library_takes_a_frame_again_and_again() -> None:
    table = pyarrow.table({"a": [1, None], "b": ["x", "y"]})
    frame = frame_of(table)
    for _ in range(2):
        assert pyarrow.table(frame) == table
        assert frame.to_pyarrow() == table
        assert frame.to_polars().rows() == [(1, "x"), (None, "y")]
        assert polars.DataFrame(frame).shape == (2, 2)
        assert duckdb.sql("select b from frame where a is null").fetchall() == [("y",)]
    assert pyarrow.schema(frame) == table.schema
    assert pyarrow.RecordBatchReader.from_stream(frame).read_all() == table
    assert frame_of(frame).rows() == frame.rows()
    assert frame_of(polars.DataFrame({"a": [1]})).rows() == [(1,)]
    assert frame_of(pandas.DataFrame({"a": [1]})).rows() == [(1,)]
    assert frame_of(pyarrow.record_batch({"a": [1]})).rows() == [(1,)]


def test_an_export_outlives_its_frame() -> None:
    table = pyarrow.table(frame_of(pyarrow.table({"a": list(range(1000))})))
    assert table["a"].to_pylist() == list(range(1000))


def test_pandas_gets_no_float_for_an_integer() -> None:
    big = 2**62 + 1
    frame = frame_of(
        pyarrow.table({"a": [big, None], "b": [1, 2], "c": [True, None], "d": [0.5, None], "e": ["x", None]})
    )
    data = frame.to_pandas()
    assert data["a"][0] == big
    assert data["a"][1] is pandas.NA
    assert data.dtypes.tolist()[:4] == [pandas.Int64Dtype(), numpy.int64, pandas.BooleanDtype(), numpy.float64]
    nullable = frame.to_pandas(dtype_backend="numpy_nullable")
    assert nullable["a"][0] == big
    assert nullable.dtypes.tolist()[:4] == [
        pandas.Int64Dtype(),
        pandas.Int64Dtype(),
        pandas.BooleanDtype(),
        pandas.Float64Dtype(),
    ]
    arrow = frame.to_pandas(dtype_backend="pyarrow")
    assert arrow["a"][0] == big
    assert all(isinstance(kind, pandas.ArrowDtype) for kind in arrow.dtypes)
    assert frame.to_pandas(integer_object_nulls=True)["a"].tolist() == [big, None]
    with pytest.raises(cenote.InterfaceError, match="numpy_nullable"):
        frame.to_pandas(dtype_backend="numpy")  # type: ignore[arg-type]


def test_meta_says_where_and_when() -> None:
    before = datetime.datetime.now(UTC)
    with cenote.connect("sqlite::memory:", id="here") as pool:
        meta = pool.query("select 1").meta
    assert meta["pool_id"] == "here"
    assert meta["stale"] is False
    assert before - datetime.timedelta(seconds=1) <= meta["as_of"] <= datetime.datetime.now(UTC)


def test_previews_are_bounded_and_escaped() -> None:
    wide = frame_of(pyarrow.table({f"<column {i}>": ["<script>" + "x" * 10_000] * 500 for i in range(300)}))
    assert len(repr(wide).splitlines()) < 30
    assert max(map(len, repr(wide).splitlines())) < 500
    page = wide._repr_html_()
    assert "<script>" not in page
    assert "<column" not in page
    assert len(page) < 100_000
    assert "500 rows × 300 columns" in page
    assert "500 rows × 300 columns" in repr(wide)


def test_previews_of_little() -> None:
    with cenote.connect("sqlite::memory:") as pool:
        nothing = pool.query("create table t (a)")
        assert nothing.shape == (0, 0)
        assert nothing.rows() == []
        assert repr(nothing) == "0 rows × 0 columns"
        assert "0 rows" in nothing._repr_html_()
        assert "null" in repr(pool.query("select null as a"))
        assert "null" in pool.query("select null as a")._repr_html_()


def test_a_one_shot_stream_says_so() -> None:
    with cenote.connect("sqlite::memory:") as pool:
        stream = pool.stream("select 1 as a")
        assert stream.columns == ["a"]
        assert pyarrow.schema(stream).names == ["a"]
        assert pyarrow.table(stream).num_rows == 1
        with pytest.raises(cenote.InterfaceError, match="query again"):
            pyarrow.table(stream)
        with pytest.raises(cenote.InterfaceError, match="query again"):
            next(stream)


def run_without(*modules: str, code: str) -> str:
    """The output of a Python in which importing the modules fails."""
    blocked = "".join(f"sys.modules[{name!r}] = None\n" for name in modules)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import sys\n" + blocked + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_frame_needs_no_other_library() -> None:
    output = run_without(
        "pyarrow",
        "pandas",
        "polars",
        "numpy",
        code="""
        import cenote, datetime
        pool = cenote.connect("sqlite::memory:")
        frame = pool.query("select 1 as a, 'x' as b")
        print(frame.rows(), frame.shape, repr(frame)[:1] != "", frame._repr_html_()[:7])
        try:
            frame.to_pandas()
        except ImportError as error:
            print(error)
        """,
    )
    assert "[(1, 'x')] (1, 2) True <table>" in output
    assert "pip install pandas" in output


def test_polars_needs_no_pyarrow() -> None:
    output = run_without(
        "pyarrow",
        code="""
        import cenote
        print(cenote.connect("sqlite::memory:").query("select 1 as a, 2.5 as b").to_polars().rows())
        """,
    )
    assert output == "[(1, 2.5)]\n"
