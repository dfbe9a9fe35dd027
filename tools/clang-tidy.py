"""Runs clang-tidy over library, program and package, two or more files at a time, and skips what was clean before.

A file is clean for as long as its text, the project headers that it reaches, its compiler command, .clang-tidy and the
versions of the outside (clang-tidy, pinned packages) stay the same; build/clang-tidy keeps what was found clean.
"""

from __future__ import annotations

import concurrent.futures
import functools
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLEAN = ROOT / "build" / "clang-tidy"
# From PyPI: since version 22 it leaves the headers of others alone, which takes half of the time.
TOOL = ROOT / "build" / "venv" / "bin" / "clang-tidy"
INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)
# Clang's own warnings are findings too: nothing else compiles the program and the package with clang.
EXTRA = ["--extra-arg=-Wno-unknown-warning-option", "--extra-arg=-Wno-error", "--quiet"]


@functools.cache
def headers(path: pathlib.Path) -> frozenset[pathlib.Path]:
    """The project's headers that a file includes, itself included."""
    found = {path}
    todo = [path]
    while todo:
        for name in INCLUDE.findall(todo.pop().read_text()):
            for folder in (ROOT / "src", ROOT / "include", ROOT / "python" / "src", path.parent):
                header = folder / name
                if header.exists() and header not in found:
                    found.add(header)
                    todo.append(header)
    return frozenset(found)


def outside() -> bytes:
    version = subprocess.run([TOOL, "--version"], capture_output=True, check=True).stdout
    fixed = [ROOT / ".clang-tidy", ROOT / "tools" / "requirements.txt", ROOT / "tools" / "apt-packages.txt"]
    return version + b"".join(file.read_bytes() for file in fixed)


def mark(command: dict[str, str], common: bytes) -> pathlib.Path:
    """The file whose existence says that this source, as it is now, was found clean."""
    digest = hashlib.sha256(common + command["command"].encode())
    for header in sorted(headers(pathlib.Path(command["file"]))):
        digest.update(header.read_bytes())
    return CLEAN / digest.hexdigest()


def check(command: dict[str, str], clean: pathlib.Path) -> str:
    """What clang-tidy has to say; empty if nothing."""
    done = subprocess.run(
        [TOOL, "-p", command["database"], *EXTRA, command["file"]],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        clean.touch()
        return ""
    return done.stdout or done.stderr


def main() -> int:
    sources: list[dict[str, str]] = []
    # The package's build has the library's sources too, which one look is enough for.
    for name, folder in (("release", ROOT / "src"), ("python", ROOT / "python" / "src")):
        database = ROOT / "build" / name / "compile_commands.json"
        if not database.exists():
            print(f"clang-tidy: build/{name} is not configured; run 'make lint'", file=sys.stderr)
            return 1
        found = [entry for entry in json.loads(database.read_text()) if entry["file"].startswith(f"{folder}/")]
        sources += [entry | {"database": str(database.parent)} for entry in found]
    CLEAN.mkdir(parents=True, exist_ok=True)
    common = outside()
    marks = [(entry, mark(entry, common)) for entry in sources]
    wanted = {clean.name for _, clean in marks}
    for old in CLEAN.iterdir():
        if old.name not in wanted:
            old.unlink()
    todo = [(entry, clean) for entry, clean in marks if not clean.exists()]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        for words in pool.map(lambda pair: check(*pair), todo):
            if words:
                failed += 1
                print(words, flush=True)
    print(f"clang-tidy: {len(sources)} files, {len(todo)} looked at, {failed} with findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
