"""Checks what the compiler cannot: who may include whom, pure folders, bans with their replacement, sizes, first lines.

Prints `file:line: what is wrong; what to do` and exits 1 on any finding.
"""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# A part may include itself, what is named here, and what those may include.
PARTS: dict[str, list[str]] = {
    "base": [],
    "frame": ["base"],
    "driver": ["frame"],
    "pool": ["driver"],
    "flight": ["pool"],
    "cluster": ["base"],
    "route": ["cluster"],
    "failover": ["route"],
    "partition": ["base"],
    "net": ["base"],
    "store": ["net"],
    "discovery": ["cluster", "failover", "net", "store"],
    "config": ["pool", "driver", "route"],
    "manager": ["pool", "flight", "failover", "partition", "discovery", "config", "net"],
    "coordinator": ["route", "discovery", "config", "net", "store"],
    "node": ["manager", "flight", "net"],
    "cli": ["node", "coordinator", "manager"],
    "python": ["manager"],
}
# The public headers belong to parts too.
PUBLIC = {
    "error.h": "base",
    "deadline.h": "base",
    "params.h": "base",
    "driver.h": "driver",
    "pool.h": "pool",
    "deployment.h": "base",
    "failover.h": "base",
    "partition.h": "base",
    "config.h": "config",
    "manager.h": "manager",
    "server.h": "base",
    "asio.h": "manager",
    "log.h": "base",
}
PURE = {"cluster", "route", "failover", "partition"}
# A driver that specialises another: the only way in which drivers include one another.
SPECIALISES = {"mssql": "odbc"}

# (pattern, where it is allowed, what to use instead)
BANS = [
    (r"\bstd::(recursive_)?mutex\b", r"^src/base/mutex\.h$", "Mutex of base/mutex.h, which clang can check"),
    (
        r"\bboost[:/]+asio|\bboost[:/]+beast",
        r"^(src/net/|include/cenote/asio\.h|tests/|bench/coordinator\.cc)",
        "net/: only it knows Asio",
    ),
    (r"\bthrow\b", r"^(python/|src/pool/fork)", "arrow::Status: nothing of ours throws"),
    (
        r"#include <arrow/api\.h>",
        r"^(tests|bench|examples)/",
        "a narrow header: arrow/api.h costs two seconds",
    ),
    (r"co_await[^;]*[{\[]", r"^$", "a named operand: g++ 12 destroys temporaries of co_await twice"),
    (r"\bsleep_for\b", r"^(src/|bench/|tests/pool/|tests/driver/|tests/base/|tests/manager/)", "an event to wait for"),
]
MAX_LINES = 600
# Longer files, with the length they may not exceed. This list only shrinks.
LONG: dict[str, int] = {}


def closure(part: str) -> set[str]:
    seen = {part}
    todo = [part]
    while todo:
        for other in PARTS.get(todo.pop(), []):
            if other not in seen:
                seen.add(other)
                todo.append(other)
    return seen


def part_of(path: str) -> str | None:
    pieces = path.split("/")
    if pieces[0] == "src" and len(pieces) > 2:
        return pieces[1]
    if path.startswith("include/cenote/"):
        return PUBLIC.get(pieces[-1])
    return "python" if path.startswith("python/src/") else None


def strip_comments(line: str) -> str:
    return re.sub(r'"(\\.|[^"\\])*"', '""', line.split("//")[0]) if "#include" not in line else line


def check_file(path: str, text: str) -> list[str]:
    findings = []
    lines = text.splitlines()
    if not lines or not lines[0].startswith("//"):
        findings.append(f"{path}:1: no first line that says what the file is for; begin with `// …`")
    if len(lines) > LONG.get(path, MAX_LINES):
        findings.append(f"{path}: {len(lines)} lines, {LONG.get(path, MAX_LINES)} are allowed; split it by topic")
    part = part_of(path)
    allowed = closure(part) if part else set()
    for number, line in enumerate(lines, 1):
        include = re.match(r'#include ["<](?:(cenote)/)?([\w/]+)/?([\w.]*)[">]', line)
        if include and part in PARTS:
            target = re.match(r'#include "([^"]+)"', line)
            name = target.group(1) if target else ""
            other = PUBLIC.get(name.split("/")[-1]) if name.startswith("cenote/") else name.split("/")[0]
            if name and other in PARTS and other not in allowed:
                findings.append(f"{path}:{number}: {part} may not include {other} ({name}); see tools/tidy.py's table")
            if name.startswith("driver/") and part == "driver" and path.count("/") > 2:
                mine, theirs = path.split("/")[2], name.split("/")[1]
                if "/" in name[len("driver/") :] and theirs not in (mine, SPECIALISES.get(mine)):
                    findings.append(f"{path}:{number}: driver {mine} includes driver {theirs}; drivers never do")
        code = strip_comments(line)
        for pattern, where, instead in BANS:
            if re.search(pattern, code) and not re.search(where, path):
                findings.append(f"{path}:{number}: `{pattern}` is not used here; use {instead}")
        if part in PURE and re.search(r"::now\(|std::thread|Mutex|random_device|<fstream>", code):
            findings.append(f"{path}:{number}: {part} is pure: pass time and chance in as arguments")
    return findings


def main() -> int:
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    findings = []
    for path in files:
        full = ROOT / path
        if path.endswith((".cc", ".h")) and full.exists():
            findings += check_file(path, full.read_text())
    for folder in sorted({p.split("/")[1] for p in files if p.startswith("src/") and p.count("/") > 1}):
        if folder not in PARTS:
            findings.append(f"src/{folder}: an unknown part; give it a row in tools/tidy.py and docs/architecture.md")
    page = (ROOT / "docs" / "architecture.md").read_text()
    for part in PARTS:
        if not re.search(rf"\b{part}\b", page.split("```")[1]):
            findings.append(f"docs/architecture.md: part {part} is missing from the picture; draw it")
    for header in sorted(p.split("/")[-1] for p in files if p.startswith("include/cenote/")):
        if header not in PUBLIC:
            findings.append(f"include/cenote/{header}: belongs to no part; give it a row in tools/tidy.py")
    print("\n".join(findings) if findings else f"tidy: {len(files)} files, nothing found")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
