"""Runs the tests of every language and ends in one line: `N passed, N failed, N skipped`.

`make test` calls it after the build, under tools/servers.py. A ctest program counts with its GoogleTest cases.
"""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
PYTHON = ROOT / "build" / "venv" / "bin" / "python"
WEB = "tests/web"
JOBS = str((os.cpu_count() or 2) + 1)  # most tests wait for servers
# What GoogleTest prints: first how many cases there are, at the end how many went how.
CASES = re.compile(r"\[==========\] Running (\d+) tests? from")
PASSED = re.compile(r"\[  PASSED  \] (\d+) tests?")
SKIPPED = re.compile(r"\[  SKIPPED \] (\d+) tests?, listed below")
OK = re.compile(r"^\[       OK \]", re.MULTILINE)


class Counts:
    """Tests passed, failed and skipped."""

    def __init__(self, passed: int = 0, failed: int = 0, skipped: int = 0) -> None:
        self.passed, self.failed, self.skipped = passed, failed, skipped

    def __iadd__(self, other: Counts) -> Counts:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        return self

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def number(pattern: re.Pattern[str], text: str) -> int:
    found = pattern.search(text)
    return int(found.group(1)) if found else 0


def program(ran: bool, output: str) -> Counts:
    """The cases of one C++ program; one for a program that is no GoogleTest."""
    cases, skipped = number(CASES, output), number(SKIPPED, output)
    # A program that crashed has no summary: the cases that it did not get to have failed.
    passed = number(PASSED, output) if PASSED.search(output) else len(OK.findall(output))
    if not cases:
        return Counts(passed=int(ran), failed=int(not ran))
    if ran:
        return Counts(passed=passed, skipped=skipped)
    return Counts(passed=passed, failed=max(cases - passed - skipped, 1), skipped=skipped)


def ctest(preset: str, *options: str) -> Counts:
    """All C++ tests of a preset."""
    report = ROOT / "build" / preset / "ctest.xml"
    report.unlink(missing_ok=True)
    subprocess.run(
        [
            "ctest",
            "--preset",
            preset,
            "-j",
            JOBS,
            "--output-junit",
            str(report),
            "--test-output-size-passed",
            "1000000",
            *options,
        ],
        cwd=ROOT,
        check=False,
    )
    counts = Counts()
    if not report.exists():
        return Counts(failed=1)
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        counts += program(case.get("status") == "run", case.findtext("system-out") or "")
    return counts


def python_folders() -> list[str]:
    """Every folder with Python tests, so that a new one is not forgotten."""
    return sorted({str(file.parent.relative_to(ROOT)) for file in (ROOT / "tests").rglob("test_*.py")})


def pytest(folders: list[str]) -> Counts:
    """All Python tests in the folders, a file at a time in each process."""
    report = ROOT / "build" / "pytest.xml"
    report.unlink(missing_ok=True)
    subprocess.run(
        [str(PYTHON), "-m", "pytest", "-q", "-n", JOBS, "--dist", "loadfile", f"--junitxml={report}", *folders],
        cwd=ROOT,
        check=False,
    )
    if not report.exists():
        return Counts(failed=1)
    suite = next(ElementTree.parse(report).getroot().iter("testsuite"))
    total, skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
    failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    return Counts(total - failed - skipped, failed, skipped)


def main() -> int:
    counts = ctest("release")
    # Playwright leaves its event loop running, so the browser has a process of its own.
    folders = python_folders()
    counts += pytest([folder for folder in folders if folder != WEB])
    counts += pytest([WEB])
    if counts.passed == 0:
        print("no test passed: was anything built? try 'make build'", file=sys.stderr, flush=True)
    print(counts, flush=True)
    return 1 if counts.failed or counts.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
