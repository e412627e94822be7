"""Keys and limits hold while processes are killed in the middle of everything.

The full size, by hand: ROPEWAY_KILLED=80000,5000,20,40 pytest tests/backends/test_sqlite_killed.py
-s --timeout 0, which also tells what a message costs with keys and without.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.backends.killed import Size, check, run

SMALL = "2400,150,20,8"


def _size() -> Size:
    return Size(*map(int, os.environ.get("ROPEWAY_KILLED", SMALL).split(",")))


def test_keys_and_limits_hold_under_kill(tmp_path: Path) -> None:
    """Never two of a key at once, never more than a limit, in order, each settled once."""
    size = _size()
    cpu = run(tmp_path, size)
    check(tmp_path, size)
    print(f"\n{size}: {1e6 * cpu / size.messages:.0f} µs of CPU a message")


if "ROPEWAY_KILLED" in os.environ:

    def test_what_keys_cost(tmp_path: Path) -> None:
        """A message with a key costs at most half as much again as one without."""
        size, costs = _size(), list[float]()
        for keys in (0, size.keys):
            folder = tmp_path / str(keys)
            folder.mkdir()
            plain = Size(size.messages, keys, 0, 0)
            costs.append(1e6 * run(folder, plain) / size.messages)
            check(folder, plain)
        print(f"\nCPU a message: {costs[0]:.0f} µs without keys, {costs[1]:.0f} µs with")
        assert costs[1] <= 1.5 * costs[0]
