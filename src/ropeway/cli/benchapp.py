"""What `ropeway bench worker` has a worker run: `ropeway worker ropeway.cli.benchapp`."""

from __future__ import annotations

from ropeway import Ropeway

app = Ropeway()


@app.task(name="ropeway.bench.loop", retries=0)
async def on_loop(text: str) -> None:
    """Do nothing on the event loop."""


@app.task(name="ropeway.bench.thread", retries=0)
def in_thread(text: str) -> None:
    """Do nothing in a thread."""
