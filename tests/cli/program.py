"""Where the program is, and what running it gives."""

from __future__ import annotations

import os
import pathlib
import subprocess
from collections.abc import Callable

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("CENOTE_PROGRAM", ROOT / "build" / "bin" / "cenote"))

Run = Callable[..., subprocess.CompletedProcess[bytes]]
