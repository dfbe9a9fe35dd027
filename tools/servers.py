"""Runs a command with the real servers of the tests: `tools/servers.py [--only NAME,…] -- COMMAND …`.

Each file in tests/servers that has a `serve(directory)` context manager starts one server (or a family) on free
loopback ports and yields environment variables. All of them end with the command, also when it fails or is interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests" / "servers"


def start(stack: contextlib.ExitStack, name: str, directory: pathlib.Path) -> dict[str, str]:
    """Starts the server of tests/servers/NAME.py; `stack` stops it."""
    spec = importlib.util.spec_from_file_location(f"cenote_servers_{name}", FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    home = directory / name
    home.mkdir()
    return stack.enter_context(module.serve(home))


def names() -> list[str]:
    """The servers there are: the files of tests/servers that define serve()."""
    return sorted(p.stem for p in FOLDER.glob("*.py") if "def serve(" in p.read_text())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="names of servers, separated by commas; default: all")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        parser.error("which command? tools/servers.py -- ctest …")
    # SIGTERM must unwind the stack too, or servers would be left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    with tempfile.TemporaryDirectory(prefix="cenote-servers-") as scratch, contextlib.ExitStack() as stack:
        os.chmod(scratch, 0o755)  # servers may run as users of their own
        environment = dict(os.environ)
        for name in arguments.only.split(",") if arguments.only else names():
            try:
                environment |= start(stack, name, pathlib.Path(scratch))
            except Exception as error:
                print(f"servers: {name} did not start: {error}", file=sys.stderr)
                raise
        if not arguments.only:
            environment["CENOTE_TEST_REQUIRE_SERVERS"] = "1"
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
