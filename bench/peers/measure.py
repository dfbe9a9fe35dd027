"""Measures one call in this process: wall, CPU, and how far its memory grew."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
MEGABYTE = 1e6


def resident(field: str = "VmRSS") -> float:
    """Bytes; VmHWM is the peak since the last reset_peak()."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith(field))
    return int(line.split()[1]) * 1024.0


def reset_peak() -> None:
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def measured(work: Callable[[], T]) -> tuple[T, dict[str, Any]]:
    reset_peak()
    before = resident()
    used = _cpu()
    begin = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - begin
    return result, {
        "seconds": seconds,
        "cpu": _cpu() - used,
        "growth_mb": (resident("VmHWM") - before) / MEGABYTE,
    }


def report(bench: str, who: str, **values: Any) -> None:
    print(json.dumps({"bench": bench, "who": who, **values}), flush=True)


def _cpu() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return sum(os.times()[:2]) + children.ru_utime + children.ru_stime
