"""Builds web/ with npm and Vite and writes its files into a C++ source: build-dashboard.py OUTPUT.cc

With --lint or --format instead it lets TypeScript and Biome check web/, or Biome format it.
npm is the one beside this Python (tools/requirements.txt brings it), else the one on PATH. The packages are those of
web/package-lock.json. What was built is kept in build/web, so that several build folders build it once.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
from typing import NoReturn

ROOT = pathlib.Path(__file__).resolve().parent.parent
WEB = ROOT / "web"
BUILT = ROOT / "build" / "web"
OLDEST_NODE = (20, 19)  # what Vite 8 runs on
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
MOST = 100 * 1024  # bytes that a browser loads, gzipped


def fail(message: str) -> NoReturn:
    sys.exit(f"build-dashboard: {message}")


def environment() -> dict[str, str]:
    """With a node that is new enough first on PATH; else it ends with what to do."""
    beside = pathlib.Path(sys.executable).parent
    venv = ROOT / "build" / "venv" / "bin"
    path = os.pathsep.join([str(beside), str(venv), os.environ.get("PATH", "")])
    help_ = "run 'make deps', which puts it into build/venv, or install Node.js 20.19 or newer with npm"
    node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
    if node is None or npm is None:
        fail(f"the dashboard is built with npm, which was not found; {help_}")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if tuple(int(part) for part in version.lstrip("v").split(".")[:2]) < OLDEST_NODE:
        fail(f"{node} is {version}, too old for the dashboard's build; {help_}")
    return {**os.environ, "PATH": path, "NO_UPDATE_NOTIFIER": "1"}


def digest(files: list[pathlib.Path]) -> str:
    whole = hashlib.sha256()
    for file in files:
        whole.update(f"{file.relative_to(ROOT)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return whole.hexdigest()


def run(env: dict[str, str], *command: str) -> None:
    done = subprocess.run(command, cwd=WEB, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        fail(f"'{' '.join(command)}' failed in web/:\n{done.stdout}")


def install() -> None:
    """web/node_modules, if the lock file has changed."""
    lock = digest([WEB / "package-lock.json"])
    installed = WEB / "node_modules" / ".cenote"
    if not installed.exists() or installed.read_text() != lock:
        run(environment(), "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
        installed.write_text(lock)


def build() -> None:
    """build/web, if what it comes from has changed."""
    sources = sorted(f for f in WEB.rglob("*") if f.is_file() and "node_modules" not in f.parts)
    state, built = digest([*sources, pathlib.Path(__file__).resolve()]), BUILT / ".state"
    if not built.exists() or built.read_text() != state:
        run(environment(), "npm", "run", "--silent", "build", "--", "--outDir", str(BUILT), "--emptyOutDir")
        built.write_text(state)


def array(name: str, data: bytes) -> str:
    """The bytes as a C++ array; a string literal may have no more than 65,536 of them."""
    numbers = [str(byte - 256 if byte > 127 else byte) for byte in data] or ["0"]
    lines = [",".join(numbers[i : i + 32]) for i in range(0, len(numbers), 32)]
    return f"constexpr char {name}[] = {{\n" + ",\n".join(lines) + "};\n"


def source() -> str:
    arrays, rows, total = [], [], 0
    for file in sorted(f for f in BUILT.rglob("*") if f.is_file() and f.name != ".state"):
        name = file.relative_to(BUILT).as_posix()
        plain = file.read_bytes()
        packed = gzip.compress(plain, 9, mtime=0)
        packed = packed if len(packed) < len(plain) else b""
        total += len(packed or plain)
        kind = KINDS.get(file.suffix) or fail(f"what is a browser told of {name}? give {file.suffix} a row in KINDS")
        plain_name, packed_name = f"kPlain{len(rows)}", f"kGzipped{len(rows)}"
        arrays += [array(plain_name, plain), array(packed_name, packed)]
        rows.append(
            f'    {{"/{"" if name == "index.html" else name}", "{kind}", "{hashlib.sha256(plain).hexdigest()[:32]}",\n'
            f"     {'true' if name.startswith('assets/') else 'false'},\n"
            f"     {{{plain_name}, {len(plain)}}},\n     {{{packed_name}, {len(packed)}}}}},\n"
        )
    if total > MOST:
        fail(f"the dashboard is {total} bytes gzipped, more than {MOST}; look at what was added to web/")
    print(f"dashboard: {len(rows)} files, {total} bytes gzipped")
    return (
        "// Generated from web/ by tools/build-dashboard.py.\n"
        '#include "coordinator/dashboard.h"\n\nnamespace cenote::coordinator {\nnamespace {\n\n'
        + "\n".join(arrays)
        + "\nconstexpr DashboardFile kFiles[] = {\n"
        + "".join(rows)
        + "};\n\n}  // namespace\n\n"
        "std::span<const DashboardFile> dashboard_files() {\n  return kFiles;\n}\n\n"
        "}  // namespace cenote::coordinator\n"
    )


def main() -> None:
    BUILT.mkdir(parents=True, exist_ok=True)
    # Two build folders may get here at once.
    with (BUILT.parent / "web.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        install()
        if sys.argv[1] in ("--lint", "--format"):
            run(environment(), "npm", "run", "--silent", sys.argv[1].removeprefix("--"))
        else:
            build()
            pathlib.Path(sys.argv[1]).write_text(source())


if __name__ == "__main__":
    main()
