"""Runs the benchmarks and keeps their table: `make bench`, or `make bench ARGS="--only checkout,sqlite"`.

A group is a file of bench/groups: TITLE, and `run(bench)` that gives rows. Its table goes to the terminal and between
the group's markers in docs/benchmarks.md, or in the page of docs/ that its PAGE names.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import harness

DOCS = harness.ROOT / "docs"
GROUPS = pathlib.Path(__file__).parent / "groups"


def names() -> list[str]:
    return sorted(path.stem for path in GROUPS.glob("*.py"))


def table(rows: list[harness.Row]) -> str:
    header = harness.WORST_HEADER if isinstance(rows[0], harness.Worst) else harness.HEADER
    lines = [header, *(row.cells() for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def write(file: pathlib.Path, group: str, text: str) -> None:
    """Puts the text between the group's markers."""
    page = file.read_text()
    begin, end = f"<!-- {group} -->\n", f"<!-- end of {group} -->"
    if begin not in page:
        page += f"\n{begin}{end}\n"
    page = re.sub(re.escape(begin) + ".*?" + re.escape(end), lambda _: begin + text + "\n" + end, page, flags=re.DOTALL)
    file.write_text(page)


def run(group: str, arguments: argparse.Namespace, caption: str) -> list[harness.Row]:
    module = importlib.import_module(f"groups.{group}")
    begin = time.monotonic()
    print(f"\n{module.TITLE}", flush=True)
    with tempfile.TemporaryDirectory(prefix="cenote-bench-") as scratch, contextlib.ExitStack() as stack:
        os.chmod(scratch, 0o755)  # the server runs as a user of its own
        bench = harness.Bench(pathlib.Path(scratch), stack, arguments.repetitions, arguments.seconds)
        try:
            rows = list(module.run(bench))
        except Exception as error:  # the other groups shall run
            print(f"{type(error).__name__}: {error}", flush=True)
            return [harness.Row(group, skipped=f"{type(error).__name__}, see above", failed=True)]
    text = table(rows)
    print(f"\n{text}\n[{group}: {time.monotonic() - begin:.0f} s]", flush=True)
    if not arguments.dry:
        write(DOCS / getattr(module, "PAGE", "benchmarks.md"), group, f"{text}\n\n{caption}")
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help=f"groups, separated by commas: {', '.join(names())}")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=90, help="for the repetitions of one group")
    parser.add_argument("--dry", action="store_true", help="leave docs/ as it is")
    arguments = parser.parse_args()
    wanted = arguments.only.split(",") if arguments.only else names()
    if unknown := set(wanted) - set(names()):
        parser.error(f"no group {', '.join(sorted(unknown))}; there are {', '.join(names())}")
    subprocess.run([harness.ROOT / "bench" / "setup"], check=True)

    print(harness.machine())
    print(harness.versions())
    print("Medians, the best in brackets; the ratio is that of the medians.")
    caption = f"Measured {datetime.date.today()} on {harness.machine()}; {harness.versions()}."
    # A busy machine makes every figure worse, and not all alike.
    load = os.getloadavg()[0]
    caption += f" Load at the beginning: {load:.1f}."
    if load > 1.5:
        print(f"bench: the load is {load:.1f} before anything runs; figures of a busy machine mean little")
    rows = [row for group in wanted for row in run(group, arguments, caption)]
    verdicts = [row.verdict for row in rows]
    missed = verdicts.count("**miss**")
    skipped = sum(verdict.startswith("skipped") for verdict in verdicts)
    failed = sum(row.failed for row in rows)
    print(f"\nbench: {verdicts.count('pass')} rows pass, {missed} miss, {skipped} skipped, {failed} groups failed")
    return 1 if missed or failed else 0


if __name__ == "__main__":
    sys.exit(main())
