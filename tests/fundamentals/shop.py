"""The tasks that these tests send, as a user would write them."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

from ropeway import Retry, RetryPolicy, Ropeway, current

app = Ropeway()

soon = RetryPolicy(retries=3, base=0.05)


@app.task
def add(x: int, y: int) -> int:
    return x + y


@app.task
async def greet(name: str) -> str:
    await asyncio.sleep(0)
    return f"Hello, {name}"


@app.task(retries=soon)
def fetch(failures: int) -> str:
    """Fail a number of times, as networks do."""
    if current.attempt <= failures:
        raise ConnectionError("no route to host")
    return f"fetched at attempt {current.attempt}"


@app.task(retries=soon)
async def poll() -> int:
    """Ask to be run again, once."""
    if current.attempt == 1:
        raise Retry("it is not ready", after=0.1)
    return current.attempt


@app.task(retries=0, timeout=0.2)
async def hang() -> None:
    await asyncio.Event().wait()


@app.task
def charge(order: int, deaths: int) -> str:
    """Take the money; the first times the process is killed before it can tell."""
    note(f"charge {order}")
    if current.attempt <= deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    return f"receipt {order}"


@app.task
def ship(order: int) -> int:
    """Go on when the test opens the gate; returns which attempt that was."""
    note(f"ship {order}")
    while not Path("gate").exists():
        time.sleep(0.005)
    note(f"shipped {order}")
    return current.attempt


@app.task
async def watch(order: int) -> None:
    """Go on for ever, and say so when it is stopped."""
    note(f"watch {order}")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        note(f"unwatch {order}")
        raise


def note(line: str) -> None:
    """Write to the diary, which outlives whoever writes."""
    with Path("diary").open("a", encoding="utf-8") as diary:
        diary.write(line + "\n")
