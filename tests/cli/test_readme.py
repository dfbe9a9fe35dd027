"""The README's commands and programs, run in its order and as they stand; only the port is another."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import cenote
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PORT = 8080  # and the next two


def free_port() -> int:
    """One that is free with its two successors, below those that connections and other servers are given meanwhile."""
    while True:
        with contextlib.ExitStack() as probes, contextlib.suppress(OSError):
            port = random.randrange(20_000, 32_000)
            for each in range(port, port + 3):
                probes.enter_context(socket.socket()).bind(("127.0.0.1", each))
            return port


def section(title: str) -> str:
    text = (ROOT / "README.md").read_text()
    return (
        re.split(r"^## ", text, flags=re.MULTILINE)[0] if not title else text.split(f"## {title}")[1].split("\n## ")[0]
    )


def blocks(text: str) -> list[tuple[str, str]]:
    """(language, content) of each block of code; the indented ones are shell."""
    found = []
    pattern = re.compile(r"^(```\w+\n(?s:.*?))^```$|((?:^    .*\n|^\n(?=    ))+)", re.MULTILINE)
    for fence, indented in pattern.findall(text):
        if fence:
            language, content = fence[3:].split("\n", 1)
            found.append((language, content))
        elif indented.strip():
            found.append(("sh", textwrap.dedent(indented).lstrip("\n")))
    return found


@pytest.fixture
def place(tmp_path: pathlib.Path) -> pathlib.Path:
    """A working directory as `make quickstart` leaves it."""
    (tmp_path / "build").mkdir()
    for name in ("bin", "venv"):
        (tmp_path / "build" / name).symlink_to(ROOT / "build" / name)
    subprocess.run([sys.executable, ROOT / "tools" / "make-shop.py", tmp_path / "build" / "shop.db"], check=True)
    return tmp_path


def shell(script: str, cwd: pathlib.Path) -> str:
    done = subprocess.run(["sh", "-e", "-c", script], cwd=cwd, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout


def look_around(script: str, cwd: pathlib.Path, *words: str) -> None:
    """It says the words, at the latest when no heartbeat is late any more."""
    for _ in range(3):
        told = shell(script, cwd)
        if all(word in told for word in words):
            return
    raise AssertionError(f"{words} are not all in {told}")


def python(source: str, cwd: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a notebook runs it: `await` may stand at the top."""
    monkeypatch.chdir(cwd)

    async def run() -> None:
        code = compile(source, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        value = eval(code, {})
        if value is not None:
            await value

    asyncio.run(run())


class DevUp:
    """`cenote dev up` in another terminal."""

    def __init__(self, command: str, cwd: pathlib.Path) -> None:
        self.process = subprocess.Popen(command.split(), cwd=cwd, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.told = ""
        for line in self.process.stdout:
            self.told += line
            if line.startswith("Ctrl-C"):
                break
        assert "Ctrl-C" in self.told

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(60)
        finally:
            self.process.kill()
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()


@pytest.fixture
def started() -> Iterator[list[DevUp]]:
    running: list[DevUp] = []
    yield running
    for each in running:
        assert each.end() == 0


def test_the_first_lines_of_python_run(
    place: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "shop.db").symlink_to(place / "build" / "shop.db")
    [(language, source)] = blocks(section(""))
    assert language == "python"
    python(source, place, monkeypatch)


def test_the_query_of_the_two_commands_runs(place: pathlib.Path) -> None:
    make, query = [content for _, content in blocks(section("Two commands"))]
    assert make.split("\n")[0].startswith("make quickstart") and "\nmake test" in make
    assert shell(query, place).count("\n") > 10


def test_the_configuration_is_valid(place: pathlib.Path) -> None:
    [(language, content)] = blocks(section("Configuration"))
    assert language == "yaml"
    (place / "cenote.yaml").write_text(content)
    done = subprocess.run(
        [ROOT / "build" / "bin" / "cenote", "config", "validate", "cenote.yaml"],
        cwd=place,
        env={**os.environ, "SHOP_PASSWORD": "x"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and "main_db" in done.stdout, done.stderr


def test_the_way_from_one_process_to_a_cluster(
    place: pathlib.Path,
    started: list[DevUp],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text, port = section("From one process to a cluster, in five minutes"), free_port()
    for i in range(3):
        text = text.replace(str(PORT + i), str(port + i))
    standalone, dev_up, coordinated, program, look, distributed = blocks(text)
    assert "100000" in shell(standalone[1], place)
    started.append(DevUp(dev_up[1], place))
    assert shell(coordinated[1], place).count("100000") == 2
    assert program[0] == "python"
    python(program[1], place, monkeypatch)
    assert "node-" in capsys.readouterr().out
    words = ("node-1 │ up", "node-2 │ up", "'node-1' is drained", "100000", "'node-1' takes work again", "2 of 2")
    look_around(look[1], place, *words)
    assert shell(distributed[1], place).count("100000") == 2


def test_what_dev_up_says_to_try_works(place: pathlib.Path, started: list[DevUp]) -> None:
    started.append(DevUp("build/bin/cenote dev up", place))
    commands, snippet = started[0].told.split("Try, in another terminal:\n")[1].split("In Python")
    path = f"export PATH={place}/build/bin:$PATH\n"
    look_around(path + textwrap.dedent(commands), place, "node-2 │ up", "Tulum", "is drained")
    source = textwrap.dedent(snippet.split(":\n", 1)[1].split("\nCtrl-C")[0])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", source], capture_output=True, text=True, timeout=100, check=False
    )
    assert (done.returncode, done.stdout) == (0, "[(100000,)]\n"), done.stderr


def test_the_types_that_the_readme_names_are_exported() -> None:
    for name in set(re.findall(r"cenote\.([A-Z]\w+)", (ROOT / "README.md").read_text())):
        assert hasattr(cenote, name)
