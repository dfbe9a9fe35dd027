"""The Flight SQL JDBC driver (from Maven Central) on a node: FlightJdbc.java makes the checks."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

import psycopg
import pytest
from nodes import ROOT, Node, config_of, make_shop, running

ARTIFACT = "org.apache.arrow:flight-sql-jdbc-driver:18.3.0"
# The first run gets the driver.
pytestmark = pytest.mark.timeout(600)
CHECKS = [
    "login",
    "query",
    "update",
    "error",
    "prepared query",
    "prepared update",
    "prepared batch",
    "tables",
    "columns",
    "keys",
    "every method without arguments",
    "no false promises",
]


@pytest.fixture(scope="session")
def driver() -> pathlib.Path:
    """The driver's jar, fetched once."""
    if shutil.which("java") is None or shutil.which("mvn") is None:
        if os.environ.get("CENOTE_TEST_REQUIRE_SERVERS"):
            pytest.fail("java or mvn is missing: make deps installs default-jdk-headless and maven")
        pytest.skip("java or mvn is missing")
    _, name, version = ARTIFACT.split(":")
    folder = ROOT / "build" / "jdbc"
    jar = folder / f"{name}-{version}.jar"
    if not jar.exists():
        subprocess.run(
            ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={folder}"],
            check=True,
            timeout=300,
        )
    return jar


def run(jar: pathlib.Path, node: Node, query: str, *arguments: str) -> list[str]:
    """The lines that FlightJdbc.java prints."""
    source = pathlib.Path(__file__).with_name("FlightJdbc.java")
    url = f"jdbc:arrow-flight-sql://{node.address}/?{query}"
    command = ["java", "--add-opens=java.base/java.nio=ALL-UNNAMED", "-cp", str(jar), str(source), url, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith(("ok ", "WRONG ", "REFUSED "))]
    print(done.stdout, done.stderr)
    return lines


def test_jdbc_on_sqlite_with_login(driver: pathlib.Path, guarded: Node) -> None:
    lines = run(driver, guarded, "useEncryption=false", "shop", "main", "ada", "secret of ada")
    assert lines == [f"ok {name}" for name in CHECKS]


def test_jdbc_with_a_wrong_password_is_refused(driver: pathlib.Path, guarded: Node) -> None:
    lines = run(driver, guarded, "useEncryption=false", "shop", "main", "ada", "wrong")
    assert len(lines) == 1 and "password is wrong" in lines[0]


@pytest.mark.skipif("CENOTE_TEST_POSTGRESQL" not in os.environ, reason="CENOTE_TEST_POSTGRESQL is not set")
def test_jdbc_on_postgresql_by_its_catalog(driver: pathlib.Path, tmp_path: pathlib.Path) -> None:
    make_shop(tmp_path / "shop.db")
    # A user of its own: unqualified names are of the schema of that name, and other tests notice nothing.
    with psycopg.connect(os.environ["CENOTE_TEST_POSTGRESQL"], autocommit=True) as admin:
        statements = (
            "drop schema if exists jdbc cascade",
            "drop role if exists jdbc",
            "create role jdbc login password 'jdbc'",
            "create schema authorization jdbc",
            "set role jdbc",
            "create table jdbc.customers (id bigint primary key, name text not null)",
            "create table jdbc.orders (id bigint primary key, customer bigint not null references jdbc.customers (id), "
            "total float8, note text, made date)",
            "create view jdbc.big_orders as select * from jdbc.orders where total > 100",
            "insert into jdbc.customers values (1, 'Ada'), (2, 'Grüße')",
            "insert into jdbc.orders values (1, 1, 9.5, 'first', '2024-02-29'), (2, 2, 250.0, null, null)",
        )
        for statement in statements:
            admin.execute(statement)
        config = config_of(tmp_path)
        next(pool for pool in config["deployment"]["pools"] if pool["id"] == "pg")["config"] |= {
            "username": "jdbc",
            "password": "jdbc",
        }
        try:
            with running(tmp_path, config) as node:
                lines = run(driver, node, "useEncryption=false&catalog=pg", "pg", "jdbc")
        finally:
            for statement in ("reset role", "drop owned by jdbc cascade", "drop role jdbc"):
                admin.execute(statement)
    assert lines == [f"ok {name}" for name in CHECKS]
