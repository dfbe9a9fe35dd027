"""Exit codes, errors, signals, terminals, and the verbs beside `query`."""

from __future__ import annotations

import fcntl
import json
import os
import pathlib
import pty
import re
import signal
import struct
import subprocess
import termios

import psycopg
import pytest
from program import Run

ENDLESS = "with recursive c(x) as (select 1 union all select x + 1 from c) select x from c"


NOBODY = "127.0.0.1:1"  # below the ports that servers are given


def on_terminal(command: list[str], cwd: pathlib.Path, until: bytes = b"", columns: int = 60) -> tuple[int, bytes]:
    """Runs it with standard output and error on a terminal; Ctrl-C once `until` appeared."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    child = subprocess.Popen(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen, sent = b"", False
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux: the other side closed
            break
        if not part:
            break
        seen += part
        if until and not sent and until in seen:
            child.send_signal(signal.SIGINT)
            sent = True
    os.close(ours)
    return child.wait(60), seen


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["query", "--url", "sqlite::memory:", "select nonsense"], 1, "nonsense"),
        ([], 2, "Usage"),
        (["qery"], 2, "see 'cenote --help'"),
        (["query", "--url", "sqlite::memory:", "-o", "xml", "select 1"], 2, "see 'cenote query --help'"),
        (["query", "--url", "sqlite::memory:", "--rows", "0", "select 1"], 2, "--rows"),
        (["query", "--url", "sqlite::memory:", "--timeout", "soon", "select 1"], 2, "10min"),
        (["query", "--url", "sqlite::memory:", "--param", "x", "select 1"], 2, "NAME=VALUE"),
        (["query", "--url", "sqlite::memory:", "--param", "a=1", "--param", "a=2", "select :a"], 2, "given twice"),
        (["query", "--url", "sqlite::memory:", "-f", "missing.sql"], 2, "missing.sql"),
        (["query", "--url", "sqlite::memory:", "--output-file", "no/such/dir", "select 1"], 2, "no/such/dir"),
        (["query", "--url", "sqlite::memory:"], 2, "statement is empty"),
        (["query", "select 1"], 3, "--url sqlite:shop.db"),
        (["query", "-c", "missing.yaml", "select 1"], 3, "missing.yaml"),
        (["query", "--url", "oracle://x/y", "select 1"], 3, "sqlite"),
        (["query", "--url", "sqllite:shop.db", "select 1"], 3, "this build has"),
        (["query", "--url", "sqlite:a.db?max_conections=3", "select 1"], 3, "max_connections"),
        (["config", "validate", "missing.yaml"], 3, "missing.yaml"),
    ],
)
def test_exit_codes_and_one_line_that_says_what_to_do(run: Run, arguments: list[str], code: int, says: str) -> None:
    result = run(*arguments)
    assert result.returncode == code, result.stderr
    assert says in result.stderr.decode()
    assert result.stdout == b""
    if arguments:
        assert re.fullmatch(rb"cenote: [^\n]+\n", result.stderr)


def test_an_unknown_pool_and_a_missing_choice_name_the_pools_there_are(run: Run, config: pathlib.Path) -> None:
    for arguments in (["-p", "other"], []):
        result = run("query", *arguments, "select 1")
        assert result.returncode == 3
        assert b"main_db, scratch" in result.stderr


def test_a_database_that_cannot_be_reached_is_exit_code_4_and_its_password_is_not_said(run: Run) -> None:
    url = f"postgresql://app:s3cret@{NOBODY}/shop"
    for verb in (["query", "--url", url, "select 1"], ["status", "--url", url], ["bench", "--url", url]):
        result = run(*verb)
        assert result.returncode == 4, result.stderr
        assert b"127.0.0.1" in result.stderr and b"s3cret" not in result.stderr + result.stdout


def test_a_refused_password_is_exit_code_4(run: Run, postgresql: str) -> None:
    wrong = re.sub(r":[^:@]+@", ":wr0ng@", postgresql)
    result = run("query", "--url", wrong, "select 1")
    assert result.returncode == 4 and b"wr0ng" not in result.stderr
    report = json.loads(run("status", "-o", "json", "--url", wrong).stdout)
    assert report[0]["health"] == "unauthorised"


def test_a_pool_that_stays_busy_is_exit_code_5(run: Run, shop: str) -> None:
    busy = "with recursive c(x) as (select 1 union all select x + 1 from c where x < 5000000) select max(x) from c"
    options = "?max_connections=1&max_readers=1&acquire_timeout=200ms"
    result = run("bench", "--url", shop + options, "-j", "8", "--count", "16", busy)
    assert result.returncode == 5, result.stderr


def test_a_timeout_cancels_the_statement(run: Run, shop: str) -> None:
    result = run(
        "query",
        "--url",
        shop,
        "--timeout",
        "3s",  # enough to get there
        "-o",
        "csv",
        ENDLESS.replace("select x from c", "select max(x) from c"),
    )
    assert result.returncode == 1
    assert b"cenote: pool 'url'" in result.stderr


def test_a_timeout_of_zero_is_none(run: Run, shop: str) -> None:
    result = run("query", "--url", shop, "--timeout", "0", "-o", "csv", "select 1 as n")
    assert (result.returncode, result.stdout) == (0, b"n\n1\n"), result.stderr


def test_ctrl_c_ends_a_stream_with_130(program: str, shop: str) -> None:
    command = [program, "query", "--url", shop, "-o", "csv", ENDLESS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stderr is not None
        assert child.stdout.readline() == b"x\n"
        child.send_signal(signal.SIGINT)
        child.stdout.read()
        assert child.stderr.read() == b"cenote: cancelled\n"
    assert child.returncode == 130


def test_ctrl_c_cancels_on_the_server(program: str, postgresql: str) -> None:
    # Told by its name: a driver may send the statement in other words.
    name = f"cenote_cli_test_{os.getpid()}"
    running = "select count(*) from pg_stat_activity where application_name = %s and state = 'active'"
    with psycopg.connect(postgresql, autocommit=True) as watch:

        def count() -> int:
            row = watch.execute(running, [name]).fetchone()
            assert row is not None
            return row[0]

        with subprocess.Popen(
            [
                program,
                "query",
                "--url",
                f"{postgresql}{'&' if '?' in postgresql else '?'}application_name={name}",
                "select pg_sleep(300)",
            ]
        ) as child:
            while count() == 0:
                assert child.poll() is None
            child.send_signal(signal.SIGINT)
            assert child.wait(60) == 130
        while count() != 0:
            pass


def test_a_reader_that_went_away_ends_it_quietly(program: str, shop: str) -> None:
    command = [program, "query", "--url", shop, "-o", "csv", ENDLESS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == b""
    assert child.returncode == 141


def test_a_full_disk_is_an_error(run: Run, shop: str) -> None:
    for shape in ("csv", "arrow", "parquet"):
        result = run("query", "--url", shop, "-o", shape, "--output-file", "/dev/full", "select * from goods")
        assert result.returncode == 1, shape
        assert b"No space left" in result.stderr


def test_a_table_fits_the_terminal(program: str, shop: str, tmp_path: pathlib.Path) -> None:
    sql = "select name || '漢字' || hex(zeroblob(40)) as long, * from goods"
    code, seen = on_terminal([program, "query", "--url", shop, sql], tmp_path, columns=50)
    assert code == 0
    lines = seen.decode().splitlines()
    assert max(len(line) + sum(letter in "漢字" for letter in line) for line in lines) <= 50
    assert any("…" in line for line in lines)


def test_binary_formats_refuse_a_terminal(program: str, shop: str, tmp_path: pathlib.Path) -> None:
    for shape in ("parquet", "arrow"):
        code, seen = on_terminal([program, "query", "--url", shop, "-o", shape, "select 1"], tmp_path)
        assert code == 2
        assert b"--output-file" in seen


def test_a_long_result_shows_progress_on_a_terminal(program: str, shop: str, tmp_path: pathlib.Path) -> None:
    code, seen = on_terminal([program, "query", "--url", shop, ENDLESS], tmp_path, until=b" rows, ")
    assert code == 130
    assert seen.endswith(b"\r\x1b[Kcenote: cancelled\r\n")


def test_status_checks_every_pool(run: Run, config: pathlib.Path) -> None:
    table = run("status")
    assert table.returncode == 0
    assert table.stdout.count(b"\n") == 4 and b"main_db" in table.stdout and b"scratch" in table.stdout
    one = json.loads(run("status", "-p", "main_db", "-o", "json").stdout)
    assert [pool["pool_id"] for pool in one] == ["main_db"]
    assert one[0]["health"] == "up" and one[0]["error"] is None


def test_a_status_without_a_limit_of_time_judges_as_with_one(run: Run, config: pathlib.Path) -> None:
    with config.open("a") as file:
        file.write("    - {id: gone, type: postgresql, config: {host: 127.0.0.1, port: 1}}\n")
    result = run("status", "--timeout", "0", "-o", "json")
    assert result.returncode == 4, result.stderr
    health = {pool["pool_id"]: pool["health"] for pool in json.loads(result.stdout)}
    assert health == {"main_db": "up", "scratch": "up", "gone": "down"}


def test_a_status_of_a_server_without_a_limit_of_time(run: Run, postgresql: str) -> None:
    result = run("status", "--timeout", "0", "--url", postgresql, "-o", "json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)[0]["health"] == "up"


def test_status_tells_the_pool_that_is_down_and_still_shows_the_others(run: Run, config: pathlib.Path) -> None:
    with config.open("a") as file:
        file.write("    - {id: gone, type: postgresql, config: {host: 127.0.0.1, port: 1}}\n")
    result = run("status", "-o", "json")
    assert result.returncode == 4
    health = {pool["pool_id"]: pool["health"] for pool in json.loads(result.stdout)}
    assert health == {"main_db": "up", "scratch": "up", "gone": "down"}


def test_config_validate_names_place_key_and_the_nearest_known_one(run: Run, config: pathlib.Path) -> None:
    result = run("config", "validate")
    assert result.returncode == 0
    assert result.stdout == b"cenote.yaml: valid; mode standalone, 2 pools: main_db (sqlite), scratch (sqlite)\n"
    config.write_text(config.read_text().replace("type: sqlite", "typo: sqlite", 1))
    result = run("config", "validate", "-c", "cenote.yaml")
    assert result.returncode == 3
    assert re.match(rb"cenote: cenote.yaml:3:\d+: key 'typo'.*did you mean 'type'\?", result.stderr), result.stderr


def test_config_schema_is_a_json_schema(run: Run) -> None:
    schema = json.loads(run("config", "schema").stdout)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_bench_counts_what_it_did(run: Run, shop: str) -> None:
    report = json.loads(
        run("bench", "--url", shop, "-j", "3", "--count", "50", "-o", "json", "select * from goods").stdout
    )
    assert report["queries"] == 50 and report["rows"] == 200 and report["errors"] == 0
    assert 0 < report["p50_ms"] <= report["p90_ms"] <= report["p99_ms"] <= report["max_ms"]
    # No query took longer than all of them; the buckets' bounds are a fifth apart.
    assert report["max_ms"] <= 1.3 * 1000 * report["seconds"]
    text = run("bench", "--url", shop, "--count", "5").stdout.decode()
    assert re.search(r"5 queries in .* queries/s, 5 rows\np50 .*\n0 errors\n", text)


def test_version_names_arrow_and_the_drivers(run: Run) -> None:
    text = run("--version").stdout.decode()
    assert re.match(r"cenote \d+\.\d+\.\d+\nArrow \d+", text)
    assert "sqlite" in text and "postgresql" in text


def test_every_verb_has_help(run: Run) -> None:
    for verb in (
        ["query"],
        ["status"],
        ["config"],
        ["config", "validate"],
        ["config", "schema"],
        *(["config", verb] for verb in ("diff", "apply", "history", "rollback")),
        *([verb] for verb in ("members", "pools", "drain", "undrain", "node", "coordinator", "dev")),
        ["dev", "up"],
        ["bench"],
        ["completion"],
    ):
        result = run(*verb, "--help")
        assert result.returncode == 0 and b"Usage: cenote" in result.stdout
