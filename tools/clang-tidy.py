"""Runs clang-tidy-19 over the library's sources, two or more at a time, and skips those that were clean before.

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
TOOL = "clang-tidy-19"
INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)
# The compilers' own warnings are the builds' concern.
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
        [TOOL, "-p", str(ROOT / "build" / "release"), *EXTRA, command["file"]],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        clean.touch()
        return ""
    return done.stdout or done.stderr


def main() -> int:
    database = ROOT / "build" / "release" / "compile_commands.json"
    if not database.exists():
        print(
            "clang-tidy: build/release is not configured; run 'make lint' or 'cmake --preset release'", file=sys.stderr
        )
        return 1
    CLEAN.mkdir(parents=True, exist_ok=True)
    sources = [entry for entry in json.loads(database.read_text()) if "/src/" in entry["file"]]
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
