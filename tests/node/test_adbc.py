"""The Python ADBC Flight SQL driver on a node: it knows nothing of cenote."""

from __future__ import annotations

import datetime
import os
import pathlib
import threading
import time
from collections.abc import Iterator

import adbc_driver_flightsql.dbapi as flightsql
import adbc_driver_manager
import pandas
import pyarrow
import pytest
from adbc_driver_flightsql import DatabaseOptions
from nodes import Node, config_of, running

ENDLESS = (
    "with recursive series(i) as (select 1 union all select i + 1 from series where i < 100000000000) "
    "select count(*) from series"
)


def connect(node: Node, **options: str) -> flightsql.Connection:
    return flightsql.connect(node.uri, db_kwargs=options, autocommit=True)


def pool_header(name: str) -> dict[str, str]:
    return {DatabaseOptions.RPC_CALL_HEADER_PREFIX.value + "x-cenote-pool": name}


@pytest.fixture
def connection(node: Node) -> Iterator[flightsql.Connection]:
    with connect(node) as opened:
        yield opened


@pytest.fixture
def cursor(connection: flightsql.Connection) -> Iterator[flightsql.Cursor]:
    with connection.cursor() as opened:
        yield opened


def value(cursor: flightsql.Cursor, sql: str) -> object:
    cursor.execute(sql)
    return cursor.fetchone()[0]


def test_a_query_comes_as_arrow_with_its_types(cursor: flightsql.Cursor) -> None:
    cursor.execute("select * from orders order by id")
    table = cursor.fetch_arrow_table()
    assert table.num_rows == 2
    assert table.schema.field("made").type == pyarrow.date32()
    assert table.column("raw").to_pylist() == [b"\x00\xff", None]
    assert table.column("made").to_pylist() == [datetime.date(2024, 2, 29), None]


def test_parameters_are_bound(cursor: flightsql.Cursor) -> None:
    cursor.execute("select name, ? from customers where id = ?", ("x", 2))
    assert cursor.fetchall() == [("Grüße", "x")]
    cursor.execute("select name from customers where id = ?", (1,))
    assert cursor.fetchall() == [("Ada",)]


def test_an_update_happens_once_and_tells_its_rows(cursor: flightsql.Cursor) -> None:
    cursor.execute("insert into customers values (3, 'Eve')")
    assert cursor.rowcount == 1
    assert value(cursor, "select count(*) from customers") == 3
    cursor.execute("update orders set note = 'x' where id in (?, ?)", (1, 2))
    assert cursor.rowcount == 2
    cursor.execute("create table made (i integer)")
    assert value(cursor, "select count(*) from made") == 0


def test_an_insert_that_returns_rows_happens_once(cursor: flightsql.Cursor) -> None:
    cursor.execute("insert into customers (name) values ('Eve') returning id, name")
    assert cursor.fetchall() == [(3, "Eve")]
    cursor.execute("insert into customers (name) values ('Unread') returning id")
    cursor.close()
    with cursor._conn.cursor() as other:
        assert value(other, "select count(*) from customers") == 4


def test_execute_update_of_a_statement_sends_no_rows(connection: flightsql.Connection) -> None:
    statement = adbc_driver_manager.AdbcStatement(connection.adbc_connection)
    statement.set_sql_query("update orders set note = 'all'")
    assert statement.execute_update() == 2
    statement.close()


def test_executemany_is_all_or_nothing(cursor: flightsql.Cursor) -> None:
    cursor.executemany("insert into customers values (?, ?)", [(10, "a"), (11, "b"), (12, "c")])
    assert value(cursor, "select count(*) from customers") == 5
    with pytest.raises(flightsql.Error):
        cursor.executemany("insert into customers values (?, ?)", [(20, "a"), (1, "twice")])
    assert value(cursor, "select count(*) from customers") == 5


@pytest.mark.parametrize("mode", ["create", "append", "replace", "create_append"])
def test_ingest_in_each_mode(cursor: flightsql.Cursor, mode: str) -> None:
    rows = pyarrow.table({"id": [7, 8], "name": ["x", "y"]})
    if mode == "append":
        cursor.adbc_ingest("customers", rows, mode=mode)
        assert value(cursor, "select count(*) from customers") == 4
        return
    assert cursor.adbc_ingest("fresh", rows, mode=mode) == 2
    if mode == "create":
        with pytest.raises(flightsql.Error):
            cursor.adbc_ingest("fresh", rows, mode=mode)
    else:
        cursor.adbc_ingest("fresh", rows, mode=mode)
    assert value(cursor, "select count(*) from fresh") == (4 if mode == "create_append" else 2)


def test_a_transaction_commits_and_rolls_back(node: Node) -> None:
    with flightsql.connect(node.uri) as connection, connection.cursor() as cursor:
        cursor.execute("insert into customers values (3, 'Eve')")
        assert value(cursor, "select count(*) from customers") == 3
        connection.rollback()
        assert value(cursor, "select count(*) from customers") == 2
        cursor.execute("insert into customers values (3, 'Eve')")
        connection.commit()
        with connect(node) as other, other.cursor() as looking:
            assert value(looking, "select count(*) from customers") == 3


def test_a_half_read_result_does_not_hinder_the_transaction(node: Node) -> None:
    series = ENDLESS.replace("100000000000", "1000000").replace("count(*)", "i, 'some text to make it long'")
    with flightsql.connect(node.uri) as connection, connection.cursor() as cursor:
        cursor.execute(series)
        assert cursor.fetchone()[0] == 1
        cursor.execute("insert into customers values (3, 'Eve')")
        cursor.execute(series)
        assert cursor.fetchone()[0] == 1
        connection.commit()
        assert value(cursor, "select count(*) from customers") == 3


def test_an_idle_transaction_gives_its_connection_back(folder: pathlib.Path) -> None:
    with (
        running(folder, config_of(folder, flight={"transaction_idle": "3s"})) as node,
        flightsql.connect(node.uri) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("insert into customers values (3, 'Eve')")
        with connect(node) as other, other.cursor() as waiting:
            # The one writer is free again only when the node has rolled the other back.
            waiting.execute("insert into customers values (4, 'Joe')")
        with pytest.raises(flightsql.Error, match="idle for longer"):
            cursor.execute("select 1")
        connection.rollback()
        assert value(cursor, "select count(*) from customers") == 3


def test_errors_name_their_class_pool_and_sqlstate_and_no_secret(cursor: flightsql.Cursor) -> None:
    with pytest.raises(flightsql.ProgrammingError, match="no such table: nowhere") as caught:
        cursor.execute("select * from nowhere")
    assert "shop" in str(caught.value)
    with pytest.raises(flightsql.Error, match="UNIQUE|unique"):
        cursor.execute("insert into customers values (1, 'twice')")
    with pytest.raises(flightsql.ProgrammingError, match="no column named absent"):
        cursor.execute("insert into orders (absent) values (1)")
    assert value(cursor, "select count(*) from customers") == 2


def test_a_dropped_call_is_cancelled_on_the_database(node: Node, connection: flightsql.Connection) -> None:
    cursor = connection.cursor()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            cursor.execute(ENDLESS)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while not failures and thread.is_alive():
        cursor.adbc_cancel()
        time.sleep(0.01)
    thread.join()
    assert "CANCEL" in str(failures[0]).upper()
    # All readers of the pool answer: none still counts to 10^11.
    for _ in range(8):
        with connect(node) as other, other.cursor() as asking:
            assert value(asking, "select count(*) from customers") == 2


def test_metadata(connection: flightsql.Connection) -> None:
    info = connection.adbc_get_info()
    assert info["vendor_name"] == "cenote"
    assert connection.adbc_get_table_types() == ["FOREIGN TABLE", "MATERIALIZED VIEW", "TABLE", "VIEW"]
    catalogs = connection.adbc_get_objects(depth="all").read_all().to_pylist()
    shop = next(each for each in catalogs if each["catalog_name"] == "shop")
    main = next(each for each in shop["catalog_db_schemas"] if each["db_schema_name"] == "main")
    tables = {table["table_name"]: table for table in main["db_schema_tables"]}
    assert set(tables) == {"customers", "orders", "big_orders"}
    assert tables["big_orders"]["table_type"] == "VIEW"
    assert [column["column_name"] for column in tables["customers"]["table_columns"]] == ["id", "name"]
    schema = connection.adbc_get_table_schema("orders")
    assert schema.field("at").type == pyarrow.timestamp("us")
    only = connection.adbc_get_objects(depth="tables", table_name_filter="cust%").read_all().to_pylist()
    found = [t["table_name"] for c in only for s in c["catalog_db_schemas"] for t in s["db_schema_tables"]]
    assert found == ["customers"]


def test_the_catalog_of_a_session_chooses_the_pool(connection: flightsql.Connection) -> None:
    connection.adbc_current_catalog = "shop"
    assert connection.adbc_current_catalog == "shop"
    with pytest.raises(flightsql.Error):
        connection.adbc_current_catalog = "no such pool"


def test_pandas_writes_and_reads(connection: flightsql.Connection) -> None:
    frame = pandas.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    frame.to_sql("from_pandas", connection, index=False)
    back = pandas.read_sql("select * from from_pandas", connection, dtype_backend="pyarrow")
    assert back["b"].tolist() == ["x", "y"]


def test_a_result_of_a_million_rows_is_whole(cursor: flightsql.Cursor) -> None:
    cursor.execute(
        "with recursive s(i) as (select 1 union all select i + 1 from s where i < 1000000) select i, i * 2 as d from s"
    )
    total = 0
    for batch in cursor.fetch_record_batch():
        total += batch.num_rows
    assert total == 1_000_000


def test_login_by_password_and_refusal_of_others(guarded: Node) -> None:
    with connect(guarded, username="ada", password="secret of ada") as connection, connection.cursor() as cursor:
        assert value(cursor, "select count(*) from customers") == 2
        cursor.execute("insert into customers values (3, 'Eve')")
    for wrong in (
        {},
        {"username": "ada", "password": "wrong"},
        {"username": "nobody", "password": "secret of ada"},
        {DatabaseOptions.AUTHORIZATION_HEADER.value: "Bearer cnt1.e30.e30"},
    ):
        with (
            pytest.raises(flightsql.Error, match="(?i)unauthenticated|wrong|login|token") as caught,
            connect(guarded, **wrong) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("select 1")
        assert "secret" not in str(caught.value)


def test_a_reader_may_only_read(guarded: Node) -> None:
    with connect(guarded, username="rhea", password="secret of rhea") as connection, connection.cursor() as cursor:
        assert value(cursor, "select count(*) from customers") == 2
        for forbidden in (
            "insert into customers values (3, 'Eve')",
            "delete from customers",
            "drop table orders",
            "pragma query_only = off",
            "with x as (select 1) insert into customers select 9, 'x'",
        ):
            with pytest.raises(flightsql.Error, match="42501|may not|read"):
                cursor.execute(forbidden)
        with pytest.raises(flightsql.Error):
            cursor.adbc_ingest("customers", pyarrow.table({"id": [9], "name": ["x"]}), mode="append")
        assert value(cursor, "select count(*) from customers") == 2


def test_a_user_sees_only_their_pools(guarded: Node) -> None:
    login = {"username": "pat", "password": "secret of pat"}
    with connect(guarded, **login, **pool_header("shop")) as connection, connection.cursor() as cursor:
        with pytest.raises(flightsql.Error, match="may not use pool"):
            cursor.execute("select 1")
        with pytest.raises(flightsql.Error, match="may not use pool|there is no pool"):
            connection.adbc_get_objects(depth="tables").read_all()


@pytest.mark.skipif("CENOTE_TEST_POSTGRESQL" not in os.environ, reason="CENOTE_TEST_POSTGRESQL is not set")
class TestPostgresql:
    """The same on a server database, chosen by header."""

    @pytest.fixture
    def cursor(self, node: Node) -> Iterator[flightsql.Cursor]:
        with connect(node, **pool_header("pg")) as connection, connection.cursor() as opened:
            opened.execute("drop table if exists flight_t")
            opened.execute("create table flight_t (id bigint primary key, amount numeric(18,4), name text)")
            yield opened
            opened.execute("drop table flight_t")

    def test_types_parameters_and_updates(self, cursor: flightsql.Cursor) -> None:
        cursor.execute("insert into flight_t values ($1, $2, $3)", (1, "12.5000", "x"))
        assert cursor.rowcount == 1
        cursor.execute("select amount, name from flight_t where id = ?", (1,))
        table = cursor.fetch_arrow_table()
        assert table.schema.field("amount").type == pyarrow.decimal128(18, 4)
        with pytest.raises(flightsql.Error, match=r"\[23505\]"):
            cursor.execute("insert into flight_t values (1, 1, 'twice')")

    def test_metadata_and_keys(self, cursor: flightsql.Cursor) -> None:
        objects = cursor._conn.adbc_get_objects(depth="tables", table_name_filter="flight\\_t").read_all().to_pylist()
        found = [t["table_name"] for c in objects for s in c["catalog_db_schemas"] or [] for t in s["db_schema_tables"]]
        assert "flight_t" in found

    def test_a_dropped_call_is_cancelled(self, cursor: flightsql.Cursor) -> None:
        def limit(seconds: str) -> None:
            for part in ("fetch", "query"):
                cursor.adbc_statement.set_options(**{f"adbc.flight.sql.rpc.timeout_seconds.{part}": seconds})

        limit("3")  # enough to get there
        with pytest.raises(flightsql.Error):
            cursor.execute("select pg_sleep(600) as dropped_call")
        limit("60")
        sleeping = (
            "select count(*) from pg_stat_activity "
            "where query like '%as dropped_call%' and state = 'active' and pid <> pg_backend_pid()"
        )
        while value(cursor, sleeping) != 0:
            pass
