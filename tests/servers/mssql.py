"""A server of SQL Server's protocol on a free loopback port: T-SQL enough for the tests, and faults on demand."""

import contextlib
import pathlib
import secrets
import subprocess
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def serve(directory: pathlib.Path) -> Iterator[dict[str, str]]:
    password = "}" + secrets.token_hex(4) + "{;= x"  # what a connection string must quote
    database = directory / "mssql.db"
    with (directory / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "tds", str(database), "cenote", password],
            cwd=pathlib.Path(__file__).resolve().parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            if not port:
                raise RuntimeError("the server did not start: " + (directory / "log").read_text())
            encoded = "".join(c if c.isalnum() else f"%{ord(c):02X}" for c in password)
            # As an activated environment has it: Microsoft's ODBC driver lies in this one.
            yield {
                "CENOTE_TEST_MSSQL": f"mssql://cenote:{encoded}@127.0.0.1:{port}/master",
                "VIRTUAL_ENV": sys.prefix,
            }
        finally:
            server.terminate()
            server.wait(60)
            if text := (directory / "log").read_text():
                print("mssql server:", text, file=sys.stderr)
