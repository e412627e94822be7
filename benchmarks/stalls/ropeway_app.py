"""ropeway on SQLite, its lease as the others have theirs."""

from __future__ import annotations

import os

from benchmarks.stalls import witness
from ropeway import Ropeway

app = Ropeway(os.environ[witness.BROKER], lease=witness.lease())


@app.task
def lock() -> None:
    """Hold the interpreter lock."""
    witness.hold_lock()


@app.task
async def loop() -> None:
    """Block the event loop."""
    witness.block_loop()


if __name__ == "__main__":
    import sys

    app.tasks[f"benchmarks.stalls.ropeway_app.{sys.argv[1]}"].send()
