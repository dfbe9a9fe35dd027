"""Completion as the shells do it: each is asked what it offers for a line."""

from __future__ import annotations

import os
import pathlib
import pty
import select
import shutil
import subprocess
import time

import pytest
from program import PROGRAM, Run

LINES = [
    ("cenote q", {"query"}),
    (
        "cenote ",
        {"query", "status", "members", "pools", "drain", "undrain", "config", "backup", "bench", "node", "coordinator"}
        | {"dev", "completion", "failover"},
    ),
    ("cenote config ", {"validate", "schema", "diff", "apply", "history", "rollback"}),
    ("cenote config app", {"apply"}),
    ("cenote dev ", {"up"}),
    ("cenote members -o ", {"table", "json"}),
    ("cenote drain --w", {"--wait", "--wait-limit"}),
    ("cenote members --token-file rep", {"report.sql"}),
    ("cenote query -o ", {"table", "csv", "json", "arrow", "parquet"}),
    ("cenote query --output p", {"parquet"}),
    ("cenote status -o ", {"table", "json"}),
    ("cenote query --out", {"--output", "--output-file"}),
    ("cenote completion ", {"bash", "zsh", "fish"}),
    ("cenote query -f rep", {"report.sql"}),
    ("cenote config validate rep", {"report.sql"}),
]


def need(shell: str) -> str:
    """The shell's path; `make test` installs all three."""
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"needs {shell}")
    return path


@pytest.fixture
def home(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "report.sql").touch()
    return tmp_path


def bash_offers(run: Run, home: pathlib.Path, line: str) -> set[str]:
    (home / "complete.sh").write_bytes(run("completion", "bash").stdout)
    words = line.split(" ")
    quoted = " ".join(f"'{word}'" for word in words)
    script = f"source complete.sh; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _cenote; "
    script += "printf '%s\\n' \"${COMPREPLY[@]}\""
    done = subprocess.run(["bash", "-c", script], cwd=home, capture_output=True, text=True, check=True)
    assert not done.stderr
    return set(done.stdout.splitlines())


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_bash_offers_verbs_options_and_values(run: Run, home: pathlib.Path, line: str, expected: set[str]) -> None:
    assert bash_offers(run, home, line) == expected


def test_bash_offers_files_whose_names_hold_blanks(run: Run, home: pathlib.Path) -> None:
    (home / "all orders.sql").touch()
    assert bash_offers(run, home, "cenote query -f all") == {"all orders.sql"}


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_fish_offers_verbs_options_and_values(run: Run, home: pathlib.Path, line: str, expected: set[str]) -> None:
    fish = need("fish")
    (home / "complete.fish").write_bytes(run("completion", "fish").stdout)
    done = subprocess.run(
        [fish, "--no-config", "-c", f"source complete.fish; complete -C '{line}'"],
        cwd=home,
        env={**os.environ, "HOME": str(home), "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stderr
    assert {offer.split("\t")[0] for offer in done.stdout.splitlines()} == expected


class Terminal:
    """An interactive zsh with the program's completion."""

    def __init__(self, zsh: str, home: pathlib.Path) -> None:
        self.child, self.side = pty.fork()
        if self.child == 0:
            environment = {"HOME": str(home), "TERM": "vt100", "COLUMNS": "200", "PATH": os.environ["PATH"]}
            os.chdir(home)
            os.execve(zsh, [zsh, "-f", "-i"], environment)
        # The marker is put together by the shell, so that the echo of this line does not hold it.
        self.type("PS1='> '; fpath=($PWD/functions $fpath); autoload -U compinit; compinit -u -D; echo rea''dy\n")
        self.read_until({"ready"})

    def type(self, keys: str) -> None:
        os.write(self.side, keys.encode())

    def read_until(self, words: set[str]) -> str:
        """What the shell writes until it has written all the words."""
        text, deadline = "", time.monotonic() + 60
        while not all(word in text for word in words):
            ready, _, _ = select.select([self.side], [], [], max(deadline - time.monotonic(), 0))
            assert ready, f"{words} are not in {text!r}"
            text += os.read(self.side, 65536).decode(errors="replace")
        return text

    def close(self) -> None:
        os.close(self.side)
        os.waitpid(self.child, 0)


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_zsh_offers_verbs_options_and_values(run: Run, home: pathlib.Path, line: str, expected: set[str]) -> None:
    (home / "functions").mkdir()
    (home / "functions" / "_cenote").write_bytes(run("completion", "zsh").stdout)
    terminal = Terminal(need("zsh"), home)
    try:
        # The second key lists what the first could not complete to one word.
        terminal.type(line + "\t\t")
        text = terminal.read_until(expected)
        assert "command not found" not in text and "error" not in text
    finally:
        terminal.close()
