"""The package on a real PostgreSQL: types both ways, errors, deadlines, cancelling, and no connection lost."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import cenote
import numpy
import pandas
import pyarrow
import pytest

UTC = datetime.timezone.utc
D = decimal.Decimal

# Expression, Python's value, Arrow's type.
VALUES = [
    ("null::int4", None, "int32"),
    ("true", True, "bool"),
    ("(-32768)::int2", -32768, "int16"),
    ("2147483647::int4", 2147483647, "int32"),
    ("(-9223372036854775808)::int8", -(2**63), "int64"),
    ("0.5::float4", 0.5, "float"),
    ("1e300::float8", 1e300, "double"),
    ("'-infinity'::float8", float("-inf"), "double"),
    ("12345.6700::numeric(18,4)", D("12345.6700"), "decimal128(18, 4)"),
    ("(10::numeric^59 + 1)::numeric(60,0)", D("1" + "0" * 58 + "1"), "decimal256(60, 0)"),
    ("'ä🙂'::text", "ä🙂", "string"),
    ("'x'::varchar(3)", "x", "string"),
    ("'x'::char(3)", "x  ", "string"),
    ("'\\x00ff'::bytea", b"\x00\xff", "binary"),
    ("'2026-01-02'::date", datetime.date(2026, 1, 2), "date32[day]"),
    ("'0001-01-01'::date", datetime.date(1, 1, 1), "date32[day]"),
    ("'23:59:59.999999'::time", datetime.time(23, 59, 59, 999999), "time64[us]"),
    ("'2026-01-02 03:04:05.000006'::timestamp", datetime.datetime(2026, 1, 2, 3, 4, 5, 6), "timestamp[us]"),
    (
        "'2026-01-02 03:04:05+02'::timestamptz",
        datetime.datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC),
        "timestamp[us, tz=UTC]",
    ),
    ("'1 month 2 days 3.5 seconds'::interval", cenote.MonthDayNano(1, 2, 3_500_000_000), "month_day_nano_interval"),
    ("'00000000-0000-0000-0000-000000000005'::uuid", uuid.UUID(int=5), None),
    ("'{\"a\": 1}'::json", '{"a": 1}', None),
    ("'{\"a\": 1}'::jsonb", '{"a": 1}', None),
]

# Python's value, what PostgreSQL makes of it.
PARAMETERS = [
    (None, "unknown", None),
    (True, "boolean", "true"),
    (7, "bigint", "7"),
    (-(2**63), "bigint", "-9223372036854775808"),
    (2**64, "numeric", "18446744073709551616"),
    (0.1, "double precision", "0.1"),
    (float("nan"), "double precision", "NaN"),
    (D("1.10"), "numeric", "1.10"),
    (D("1E+3"), "numeric", "1000"),
    (b"\x00\xff", "bytea", "\\x00ff"),
    (bytearray(b"a"), "bytea", "\\x61"),
    pytest.param(memoryview(b"a"), "bytea", "\\x61", id="memoryview"),
    (datetime.date(2026, 1, 2), "date", "2026-01-02"),
    (datetime.datetime(2026, 1, 2, 3, 4, 5, 6), "timestamp without time zone", "2026-01-02 03:04:05.000006"),
    (
        datetime.datetime(2026, 1, 2, 3, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
        "timestamp with time zone",
        "2026-01-02 01:00:00+00",
    ),
    (numpy.int32(7), "bigint", "7"),
    (numpy.float64(0.5), "double precision", "0.5"),
    (numpy.bool_(True), "boolean", "true"),
    (numpy.datetime64("2026-01-02T03:04:05.000006"), "timestamp without time zone", "2026-01-02 03:04:05.000006"),
    (pandas.Timestamp("2026-01-02 03:04:05"), "timestamp without time zone", "2026-01-02 03:04:05"),
    (pandas.NaT, "unknown", None),
    (pandas.NA, "unknown", None),
]

# Values whose type the server takes from its own side: the cast says which.
CAST_PARAMETERS = [
    ("text", "it's; --", "it's; --"),
    ("text", "", ""),
    ("time", datetime.time(3, 4, 5, 6), datetime.time(3, 4, 5, 6)),
    ("uuid", uuid.UUID(int=5), uuid.UUID(int=5)),
    ("int4", 7, 7),
    ("numeric(20,0)", 2**64, D(2**64)),
    ("jsonb", '{"a": [1]}', '{"a": [1]}'),
    ("interval", datetime.timedelta(days=1, microseconds=5), cenote.MonthDayNano(0, 0, 86_400_000_005_000)),
    ("interval", datetime.timedelta(days=-1, seconds=1), cenote.MonthDayNano(0, 0, -86_399_000_000_000)),
    ("int8[]", [1, None, 3], [1, None, 3]),
    ("text[]", ["a", 'b"', None, ""], ["a", 'b"', None, ""]),
    ("int8[]", [], []),
]


@pytest.fixture
def pool(postgresql: str) -> Iterator[cenote.Pool]:
    with cenote.connect(postgresql) as opened:
        opened.execute("set timezone to 'UTC'")
        yield opened
        assert opened.query("select 1").rows() == [(1,)]
        wait_until(lambda: opened.status()["active_connections"] == 0)


def wait_until(condition: Callable[[], object]) -> None:
    while not condition():
        pass


@pytest.fixture
def running(postgresql: str) -> Iterator[Callable[[str], int]]:
    """How many sessions run a statement with the words now: the server's own word."""
    with cenote.connect(postgresql, id="judge") as judge:

        def count(words: str) -> int:
            rows = judge.query(
                """select count(*) from pg_stat_activity
                   where state = 'active' and query like ? and pid <> pg_backend_pid()""",
                [f"%{words}%"],
            ).rows()
            return int(rows[0][0])

        yield count


@pytest.mark.parametrize(("expression", "value", "arrow"), VALUES)
def test_a_value_of_every_type_comes_out(pool: cenote.Pool, expression: str, value: Any, arrow: str | None) -> None:
    frame = pool.query(f"select {expression} as a, null::int4 as b")
    assert frame.rows() == [(value, None)]
    assert type(frame.rows()[0][0]) is type(value)
    if arrow is not None:
        assert frame.dtypes[0] == arrow


def test_a_row_of_all_types_goes_to_every_library(pool: cenote.Pool) -> None:
    columns = ", ".join(f"{expression} as c{i}" for i, (expression, _, _) in enumerate(VALUES))
    frame = pool.query(f"select {columns} union all select {columns}")
    assert frame.shape == (2, len(VALUES))
    table = frame.to_pyarrow()
    assert table.num_rows == 2
    data = frame.to_pandas()
    assert data.shape == (2, len(VALUES))
    assert data["c3"].tolist() == [2147483647] * 2
    assert frame.to_pandas(dtype_backend="pyarrow")["c8"].tolist() == [D("12345.6700")] * 2
    # Polars has no interval of months and no decimal of 256 bits.
    strange = ("month_day_nano_interval", "decimal256(60, 0)")
    plain = [i for i, (_, _, arrow) in enumerate(VALUES) if arrow not in strange]
    names = ", ".join(f"c{i}" for i in plain)
    narrow = pool.query(f"select {names} from (select {columns}) as all_types").to_polars()
    assert narrow.shape == (1, len(plain))
    assert narrow["c8"].to_list() == [D("12345.6700")]


@pytest.mark.parametrize(("value", "kind", "text"), PARAMETERS, ids=lambda item: repr(item)[:30])
def test_a_parameter_of_every_type_has_its_type(pool: cenote.Pool, value: Any, kind: str, text: str | None) -> None:
    if kind == "unknown":
        assert pool.query("select ?::int4", [value]).rows() == [(None,)]
    else:
        assert pool.query("select pg_typeof($1)::text, $1::text", [value]).rows() == [(kind, text)]


@pytest.mark.parametrize(("kind", "value", "back"), CAST_PARAMETERS, ids=lambda item: repr(item)[:30])
def test_a_parameter_comes_back_as_it_went(pool: cenote.Pool, kind: str, value: Any, back: Any) -> None:
    assert pool.query(f"select ?::{kind}", [value]).rows() == [(back,)]


def test_parameters_by_name_and_by_the_order_of_a_dict(pool: cenote.Pool) -> None:
    assert pool.query("select :a::int8, :b::text, :a::int8", {"b": "x", "a": 1}).rows() == [(1, "x", 1)]
    assert pool.query("select @a::int8, $b::text", {"a": 1, "b": "x"}).rows() == [(1, "x")]
    assert pool.query("select ?::int8, ?::text", {"z": 1, "a": "x"}).rows() == [(1, "x")]


def test_frames_go_in_and_come_out(pool: cenote.Pool) -> None:
    table = pyarrow.table(
        {
            "a": pyarrow.array([1, None], pyarrow.int64()),
            "b": pyarrow.array(["x", None]),
            "c": pyarrow.array([D("1.50"), None], pyarrow.decimal128(10, 2)),
            "d": pyarrow.array([datetime.datetime(2026, 1, 2, tzinfo=UTC), None], pyarrow.timestamp("us", "UTC")),
            "e": pyarrow.array([True, None]),
        }
    )
    pool.execute("drop table if exists taken")
    assert pool.ingest("taken", table, mode="create") == 2
    assert pool.ingest("taken", table.to_pandas(types_mapper=pandas.ArrowDtype)) == 2
    assert pool.query("select * from taken limit 2").to_pyarrow().to_pylist() == table.to_pylist()
    with pytest.raises(cenote.DatabaseError):
        pool.ingest("taken", pyarrow.table({"a": ["x"]}))
    assert pool.query("select count(*) from taken").rows() == [(4,)]
    pool.execute("drop table taken")


@pytest.mark.parametrize(
    ("sql", "kind", "sqlstate"),
    [
        ("selec 1", cenote.ProgrammingError, "42601"),
        ("select * from no_such_table", cenote.ProgrammingError, "42P01"),
        ("select 1/0", cenote.DataError, "22012"),
        ("select 'x'::int4", cenote.DataError, "22P02"),
        ("do $$ begin raise unique_violation; end $$", cenote.IntegrityError, "23505"),
    ],
)
def test_an_error_has_its_class_and_sqlstate(pool: cenote.Pool, sql: str, kind: type, sqlstate: str) -> None:
    with pytest.raises(kind) as caught:
        pool.query(sql)
    assert isinstance(caught.value, cenote.QueryError)
    assert caught.value.sqlstate == sqlstate
    assert caught.value.pool_id == "main"
    assert "127.0.0.1" in caught.value.endpoint
    assert caught.value.retryable is False


def test_secrets_stay_out_of_errors(postgresql: str) -> None:
    scheme, _, rest = postgresql.partition("://cenote:")
    _, _, address = rest.partition("@")
    with cenote.connect(f"{scheme}://cenote:tops3cret@{address}") as pool:
        with pytest.raises(cenote.AuthenticationError) as caught:
            pool.query("select 1")
        assert isinstance(caught.value, ConnectionError)
        assert "tops3cret" not in str(caught.value) + repr(caught.value) + repr(pool) + str(pool.status())


def test_credentials_may_come_from_a_callback(postgresql: str) -> None:
    _, _, rest = postgresql.partition("://cenote:")
    password, _, address = rest.partition("@")
    asked: list[int] = []

    def credentials() -> tuple[str, str]:
        asked.append(1)
        return "cenote", password

    with cenote.connect(f"postgresql://{address}", credentials=credentials) as pool:
        assert pool.query("select current_user::text").rows() == [("cenote",)]
    assert asked

    def failing() -> tuple[str, str]:
        raise ValueError("tops3cret")

    with cenote.connect(f"postgresql://{address}", credentials=failing) as pool:
        with pytest.raises(cenote.AuthenticationError, match="callback") as caught:
            pool.query("select 1")
        assert "tops3cret" not in str(caught.value)


def test_a_deadline_cancels_on_the_server(pool: cenote.Pool, running: Callable[[str], int]) -> None:
    with pytest.raises(cenote.QueryTimeout) as caught:
        pool.query("select pg_sleep(600) as late", timeout=3)  # enough to get there
    assert isinstance(caught.value, TimeoutError)
    wait_until(lambda: running("as late") == 0)


def test_a_full_pool_says_who_holds_it(postgresql: str) -> None:
    with cenote.connect({"type": "postgresql", "uri": postgresql, "max_connections": 1, "acquire_timeout": 4}) as pool:
        with pool.connection(tag="the report"):
            with pytest.raises(cenote.PoolTimeout, match="the report") as caught:
                pool.query("select 1")
            assert isinstance(caught.value, TimeoutError)
            assert caught.value.retryable
        assert pool.query("select 1").rows() == [(1,)]


def test_an_abandoned_stream_stops_on_the_server(pool: cenote.Pool, running: Callable[[str], int]) -> None:
    for _ in range(15):  # more than the pool has connections
        for frame in pool.stream("select generate_series(1, 100000000) as left_over", chunk_size=10):
            assert len(frame) == 10
            break
    wait_until(lambda: running("as left_over") == 0)


def test_a_stream_stays_in_bounds(pool: cenote.Pool) -> None:
    rows = 0
    with pool.stream("select i, repeat('x', 100) from generate_series(1, 300000) as s(i)", chunk_size=50_000) as stream:
        for frame in stream:
            assert len(frame) <= 50_000
            rows += len(frame)
    assert rows == 300_000


@pytest.fixture
async def pools(postgresql: str):
    async with await cenote.create_pool("main", "postgresql", uri=postgresql, min_connections=0) as opened:
        yield opened
        assert (await opened.query("main", "select 1")).rows() == [(1,)]


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


async def test_a_cancelled_task_reaches_the_server(pools: cenote.DatabasePool, running: Callable[[str], int]) -> None:
    task = asyncio.create_task(pools.query("main", "select pg_sleep(600) as cancelled"))
    await until(lambda: running("as cancelled") == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: running("as cancelled") == 0)


async def test_a_cancelled_transaction_is_rolled_back(
    pools: cenote.DatabasePool, running: Callable[[str], int]
) -> None:
    await pools.execute("main", "drop table if exists lost")
    await pools.execute("main", "create table lost (a integer)")

    async def work() -> None:
        async with pools.transaction("main") as tx:
            await tx.execute("insert into lost values (1)")
            await tx.query("select pg_sleep(600) as lost")

    task = asyncio.create_task(work())
    await until(lambda: running("as lost") == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: running("as lost") == 0)
    assert (await pools.query("main", "select count(*) from lost")).rows() == [(0,)]
    await pools.execute("main", "drop table lost")


async def test_a_forgotten_stream_of_coroutines_returns(
    pools: cenote.DatabasePool, running: Callable[[str], int]
) -> None:
    for _ in range(60):  # more than the pool has connections
        async for frame in pools.query_stream("main", "select generate_series(1, 100000000) as gone"):
            assert len(frame) == 1000
            break
    await until(lambda: running("as gone") == 0)


async def test_a_thousand_callers_share_ten_connections(postgresql: str) -> None:
    async with await cenote.create_pool(
        "main", "postgresql", uri=postgresql, min_connections=0, max_connections=10
    ) as pools:
        frames = await asyncio.gather(*(pools.query("main", "select $1::int8", [i]) for i in range(1000)))
        assert [frame.rows()[0][0] for frame in frames] == list(range(1000))
        assert (await pools.get_pool_status("main"))["total_connections"] <= 10


async def test_nobody_loses_a_connection_when_half_are_cancelled(postgresql: str) -> None:
    async with await cenote.create_pool(
        "main", "postgresql", uri=postgresql, min_connections=0, max_connections=4
    ) as pools:
        tasks = [asyncio.create_task(pools.query("main", "select pg_sleep(0.001), $1::int8", [i])) for i in range(400)]
        await tasks[0]
        for task in tasks[1::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, cenote.Frame) for result in results[0::2])
        await until(lambda: pools.sync.get_pool_status("main")["active_connections"] == 0)
        assert (await pools.query("main", "select 1")).rows() == [(1,)]


@pytest.mark.parametrize(
    ("words", "encrypted"),
    [
        ({"ssl_mode": "disable"}, False),
        ({"ssl_mode": "require"}, True),
        ({"ssl_mode": "require", "trust_server_certificate": True}, True),
        ({"sslmode": "require"}, True),
    ],
)
async def test_the_originals_words_for_tls_make_a_pool(postgresql: str, words: dict[str, Any], encrypted: bool) -> None:
    url = urlsplit(postgresql)
    async with cenote.DatabasePool() as pools:
        await pools.create_pool(
            "x",
            "postgresql",
            str(url.hostname),
            url.port,
            "postgres",
            str(url.username),
            unquote(url.password or ""),
            min_connections=0,
            **words,
        )
        frame = await pools.query("x", "select ssl from pg_stat_ssl where pid = pg_backend_pid()")
        assert frame.rows() == [(encrypted,)]


def test_a_url_may_say_ssl_mode(postgresql: str) -> None:
    with cenote.connect(postgresql.partition("?")[0] + "?ssl_mode=require") as pool:
        assert pool.query("select ssl from pg_stat_ssl where pid = pg_backend_pid()").rows() == [(True,)]
    with pytest.raises(cenote.ConfigError, match="ssl_mode"):
        cenote.connect(postgresql.partition("?")[0] + "?ssl_mode=sometimes")


SLOW_COMMIT = [
    "drop table if exists slow_commit",
    "create table slow_commit (a int)",
    "create or replace function slow_commit() returns trigger language plpgsql as "
    "$$ begin perform pg_sleep(20); return null; end $$",  # less than a commit has by default
    "create constraint trigger slow after insert on slow_commit deferrable initially deferred "
    "for each row execute function slow_commit()",
]


LIMIT = 4  # seconds, in which all before the commit is done


async def test_a_transactions_timeout_is_of_its_commit_too(postgresql: str) -> None:
    async with await cenote.create_pool("main", "postgresql", uri=postgresql, min_connections=0) as pools:
        for statement in SLOW_COMMIT:
            await pools.execute("main", statement)
        with pytest.raises(cenote.QueryTimeout):
            async with pools.transaction("main", timeout=LIMIT) as tx:
                await tx.execute("insert into slow_commit values (1)")
        with pytest.raises(cenote.QueryTimeout), pools.sync.transaction("main", timeout=LIMIT) as sync_tx:
            sync_tx.execute("insert into slow_commit values (2)")
        assert (await pools.query("main", "select count(*) from slow_commit")).rows() == [(0,)]
        assert (await pools.get_pool_status("main"))["active_connections"] == 0
    with cenote.connect(postgresql) as pool:
        with pytest.raises(cenote.QueryTimeout), pool.transaction(timeout=LIMIT) as sync_tx:
            sync_tx.execute("insert into slow_commit values (3)")
        with pool.connection() as connection:
            with pytest.raises(cenote.QueryTimeout), connection.transaction(timeout=LIMIT) as sync_tx:
                sync_tx.execute("insert into slow_commit values (4)")
            with connection.transaction() as sync_tx:
                with pytest.raises(cenote.InterfaceError, match="timeout belong to the outermost"):
                    connection.transaction(timeout=LIMIT).__enter__()
                assert sync_tx.query("select count(*) from slow_commit").rows() == [(0,)]
