"""The program as it is shipped: what the compiler and the linker were asked to do against attacks."""

from __future__ import annotations

import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("CENOTE_PROGRAM", ROOT / "build" / "bin" / "cenote"))


@pytest.fixture(scope="module")
def described() -> str:
    command = ["readelf", "--wide", "--file-header", "--program-headers", "--dynamic", "--dyn-syms", str(PROGRAM)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_it_can_be_loaded_anywhere(described: str) -> None:
    assert "Position-Independent Executable" in described or "Flags: NOW PIE" in described


def test_relocations_are_bound_at_the_start_and_read_only_afterwards(described: str) -> None:
    assert "GNU_RELRO" in described
    assert "BIND_NOW" in described or "Flags: NOW" in described


def test_the_stack_is_not_executable(described: str) -> None:
    [stack] = [line for line in described.splitlines() if "GNU_STACK" in line]
    assert "RWE" not in stack


def test_calls_with_buffers_are_checked_and_stacks_are_guarded(described: str) -> None:
    assert "_chk@GLIBC" in described, "_FORTIFY_SOURCE"
    assert "__stack_chk_fail@GLIBC" in described, "stack protector"
