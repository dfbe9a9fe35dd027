"""What `cenote query` prints and writes."""

from __future__ import annotations

import csv
import io
import json
import os
import pathlib
import subprocess

import pyarrow
import pyarrow.ipc
import pyarrow.parquet
import pytest
from program import Run

ALL = "select * from goods order by id"
IDS = [1, 2, 3, 2**53 + 1]


def test_a_table_has_names_types_and_a_count(run: Run, shop: str) -> None:
    result = run("query", "--url", shop, ALL)
    assert result.returncode == 0 and result.stderr == b""
    lines = result.stdout.decode().splitlines()
    assert [cell.strip() for cell in lines[0].split("│")] == ["id", "name", "price", "picture", "sold"]
    assert [cell.strip() for cell in lines[1].split("│")] == ["int64", "string", "double", "binary", "timestamp[us]"]
    assert "null" in lines[4]
    assert lines[-1] == "4 rows × 5 columns"


def test_csv_tells_null_from_empty_text_and_reads_back(run: Run, shop: str) -> None:
    result = run("query", "--url", shop, "-o", "csv", ALL)
    assert result.returncode == 0
    assert result.stdout.decode().splitlines()[2] == "2,,,,"
    rows = list(csv.DictReader(io.StringIO(result.stdout.decode(), newline="")))
    assert [int(row["id"]) for row in rows] == IDS
    assert rows[3]["name"] == 'lamp, "red"\nlarge'
    assert float(rows[3]["price"]) == 1e300
    assert bytes.fromhex(rows[0]["picture"]) == b"\x00\xff"
    assert b',"",' in result.stdout


def test_json_is_one_array_whose_values_lose_nothing(run: Run, shop: str) -> None:
    result = run("query", "--url", shop, "-o", "json", ALL)
    rows = json.loads(result.stdout)
    assert [row["id"] for row in rows] == IDS
    assert rows[1] == {"id": 2, "name": None, "price": None, "picture": None, "sold": None}
    assert rows[2]["name"] == "" and rows[2]["price"] == 0.1
    assert rows[3]["sold"] == "2025-01-02T03:04:05.250000"
    assert json.loads(run("query", "--url", shop, "-o", "json", "select 1 where 0").stdout) == []
    twice = json.loads(run("query", "--url", shop, "-o", "json", "select 1 as a, 2 as a").stdout)
    assert twice == [{"a": 1, "a_2": 2}]


def test_arrow_is_a_stream_on_standard_output_and_a_file_in_a_file(run: Run, shop: str, tmp_path: pathlib.Path) -> None:
    table = pyarrow.ipc.open_stream(run("query", "--url", shop, "-o", "arrow", ALL).stdout).read_all()
    assert table["id"].to_pylist() == IDS
    assert table.schema.field("sold").type == pyarrow.timestamp("us")
    assert run("query", "--url", shop, ALL, "--output-file", "goods.arrow").returncode == 0
    with pyarrow.OSFile(str(tmp_path / "goods.arrow")) as file:
        assert pyarrow.ipc.open_file(file).read_all() == table


def test_parquet_reads_back_as_the_same_table(run: Run, shop: str, tmp_path: pathlib.Path) -> None:
    assert run("query", "--url", shop, ALL, "--output-file", "goods.parquet").returncode == 0
    table = pyarrow.parquet.read_table(tmp_path / "goods.parquet")
    assert table["picture"].to_pylist() == [b"\x00\xff", None, b"", b"x"]
    assert table["id"].to_pylist() == IDS


def test_the_statement_comes_from_an_argument_a_file_or_standard_input(
    run: Run, shop: str, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "report.sql").write_text("-- a comment\nselect 7 as n;\n")
    expected = b"n\n7\n"
    assert run("query", "--url", shop, "-o", "csv", "-f", "report.sql").stdout == expected
    assert run("query", "--url", shop, "-o", "csv", stdin=b"select 7 as n").stdout == expected
    assert run("query", "--url", shop, "-o", "csv", "-", stdin=b"select 7 as n").stdout == expected
    assert run("query", "--url", shop, "-o", "csv", "-f", "report.sql", stdin=b"ignored").stdout == expected


def test_values_are_bound_by_place_and_by_name(run: Run, shop: str) -> None:
    def rows(*arguments: str) -> object:
        result = run("query", "--url", shop, "-o", "json", *arguments)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    typed = rows(
        "select typeof(?) as a, typeof(?) as b, typeof(?) as c, typeof(?) as d, typeof(?) as e, typeof(?) as f",
        *("7", "1.5", "'7'", "null", "007", "99999999999999999999"),
    )
    assert typed == [{"a": "integer", "b": "real", "c": "text", "d": "null", "e": "text", "f": "text"}]
    assert rows("select :a as a, :b as b", "--param", "a=x=y", "--param", "b='it''s'") == [{"a": "x=y", "b": "it's"}]
    assert rows("select ? as a", "-5") == [{"a": -5}]
    assert rows("--", "select ? as a", "-x") == [{"a": "-x"}]
    assert rows("select ? as a", "'; drop table goods; --") == [{"a": "'; drop table goods; --"}]


def test_execute_says_how_many_rows_were_affected(run: Run, shop: str) -> None:
    assert (
        run("query", "--url", shop, "--execute", "delete from goods where id < ?", "3").stdout == b"2 rows affected\n"
    )
    result = run("query", "--url", shop, "--execute", "-o", "json", "delete from goods")
    assert json.loads(result.stdout) == {"affected_rows": 2}


def test_the_pool_is_chosen_from_the_configuration(run: Run, config: pathlib.Path) -> None:
    assert run("query", "-p", "main_db", "-o", "csv", "select count(*) as n from goods").stdout == b"n\n4\n"
    assert run("query", "-c", str(config), "-p", "scratch", "-o", "csv", "select 1 as n").stdout == b"n\n1\n"


def test_a_failed_query_leaves_no_file_and_keeps_the_old_one(run: Run, shop: str, tmp_path: pathlib.Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("old")
    # The second batch has a value that does not fit the type that the first one settled.
    changing = (
        "with recursive c(x) as (select 1 union all select x + 1 from c where x < 200000) "
        "select case when x < 150000 then x else 'text' end as x from c"
    )
    for sql in ("select nonsense", changing):
        assert run("query", "--url", shop, sql, "--output-file", str(out)).returncode == 1
        assert out.read_text() == "old"
    assert sorted(file.name for file in tmp_path.iterdir() if file.name.startswith("out")) == ["out.csv"]
    assert run("query", "--url", shop, "select 1 as n", "--output-file", str(out)).returncode == 0
    assert out.read_text() == "n\n1\n"


def test_postgresql_types_come_out_exact(run: Run, postgresql: str) -> None:
    sql = (
        "select 0.00000001::numeric(20, 8) as d, '\\x00ff'::bytea as b, 'NaN'::float8 as f, "
        "'1 mon 2 days 3.5 s'::interval as i, '0f8fad5b-d9cb-469f-a165-70867728950e'::uuid as u, "
        "'2025-06-01 12:00:00+02'::timestamptz as t, null::int as n, true as y"
    )
    result = run("query", "--url", postgresql, "-o", "json", sql)
    assert json.loads(result.stdout) == [
        {
            "d": "0.00000001",
            "b": "00ff",
            "f": "NaN",
            "i": "P1M2DT3.5S",
            "u": "0f8fad5b-d9cb-469f-a165-70867728950e",
            "t": "2025-06-01T10:00:00Z",
            "n": None,
            "y": True,
        }
    ]
    text = run("query", "--url", postgresql, "-o", "csv", sql).stdout.decode().splitlines()[1]
    assert text == ("0.00000001,00ff,NaN,P1M2DT3.5S,0f8fad5b-d9cb-469f-a165-70867728950e,2025-06-01 10:00:00Z,,true")


@pytest.mark.parametrize("shape", ["csv", "json", "arrow", "parquet", "table"])
def test_a_long_result_takes_bounded_memory(program: str, shop: str, tmp_path: pathlib.Path, shape: str) -> None:
    def peak(rows: int) -> int:
        sql = f"with recursive c(x) as (select 1 union all select x + 1 from c where x < {rows}) "
        sql += "select x, 'word ' || x as w from c"
        with open(os.devnull, "wb") as sink:
            child = subprocess.Popen([program, "query", "--url", shop, "-o", shape, sql], stdout=sink)
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0
        return usage.ru_maxrss

    # 2,000,000 rows are 60 MB as Arrow; what Parquet keeps is one row group.
    assert peak(2_000_000) - peak(200_000) < (60_000 if shape == "parquet" else 20_000)
