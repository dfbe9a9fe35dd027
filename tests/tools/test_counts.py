"""What tools/test.py counts, which the closing line of `make test` tells."""

from __future__ import annotations

import importlib.util
import pathlib

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "test.py"
spec = importlib.util.spec_from_file_location("cenote_tools_test", TOOL)
assert spec is not None and spec.loader is not None
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)

START = "[==========] Running 5 tests from 1 test suite.\n"
OK = "[       OK ] Suite.a (0 ms)\n"


def test_a_passed_program_counts_with_its_cases() -> None:
    output = START + 4 * OK + "[  PASSED  ] 4 tests.\n[  SKIPPED ] 1 test, listed below:\n[  SKIPPED ] Suite.e\n"
    assert str(tool.program(True, output)) == "4 passed, 0 failed, 1 skipped"


def test_a_failed_program_counts_each_failed_case() -> None:
    output = (
        START + 2 * OK + "[  PASSED  ] 2 tests.\n[  SKIPPED ] 1 test, listed below:\n[  FAILED  ] 2 tests, listed\n"
    )
    assert str(tool.program(False, output)) == "2 passed, 2 failed, 1 skipped"


def test_of_a_crashed_program_the_rest_has_failed() -> None:
    assert str(tool.program(False, START + 3 * OK)) == "3 passed, 2 failed, 0 skipped"


def test_a_program_that_is_no_googletest_counts_once() -> None:
    assert str(tool.program(True, "fine")) == "1 passed, 0 failed, 0 skipped"
    assert str(tool.program(False, "")) == "0 passed, 1 failed, 0 skipped"


def test_the_closing_line_has_three_numbers() -> None:
    counts = tool.Counts()
    counts += tool.Counts(1, 2, 3)
    counts += tool.Counts(10)
    assert str(counts) == "11 passed, 2 failed, 3 skipped"


def test_every_folder_with_python_tests_is_run() -> None:
    folders = tool.python_folders()
    assert {"tests/cli", "tests/faults", "tests/flight", "tests/node", "tests/python", "tests/tools"} <= set(folders)
