"""Counts of SQL statements and transactions, taken inside every process of a run.

What counts is slow, so nothing is timed in such a run.
"""

from __future__ import annotations

import struct
from pathlib import Path

FOLDER = "BENCH_CENSUS"
"""The environment variable that names the folder of the counts; unset, nothing is counted."""

PLACE = Path(__file__).parent
"""What to put on the path of a process that shall count."""

NAMES = ("statements", "commits", "settles", "settling")
"""Statements run; transactions that wrote; jobs of ropeway settled; transactions that did that."""

COUNTS = struct.Struct(f"={len(NAMES)}Q")


def read(folder: Path) -> dict[str, int]:
    """Add up what all processes have counted so far."""
    each = [COUNTS.unpack(path.read_bytes()) for path in folder.iterdir()]
    return dict(zip(NAMES, map(sum, zip(*each, strict=True)), strict=True)) if each else {}
