"""How contenders on a server are made."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from msgspec.structs import replace

from benchmarks.contender import Contender

LATE = "late"
"""Acknowledges a task after its run: at least once."""

EARLY = "early"
"""Takes a task from the queue before its run: a worker that dies loses it (at most once)."""

EVERY = frozenset({"drain", "send", "bulk", "latency", "start"})
PROCESSES = 2
"""Of a peer's worker: all cores of the small machines that this is run on."""


def ropeway(on: str) -> list[Contender]:
    """Workers of ropeway, with nothing kept as by most peers, and with every setting as it comes."""
    bare = Contender(
        name="ropeway, def",
        module="ropeway_app",
        python=sys.executable,
        worker=(sys.executable, "-m", "ropeway", "worker", "benchmarks.apps.ropeway_app:app"),
        processes=os.cpu_count() or 1,
        scenarios=EVERY - {"latency"} | {"backlog"},
        task="add_bare",
        on=on,
        promise=LATE,
        kept=False,
    )
    usual = replace(
        bare,
        scenarios=frozenset({"drain", "latency", "backlog"}),
        task="add",
        promise=f"{LATE}, kept and searchable",
        kept=True,
    )
    coroutine = replace(bare, name="ropeway, async def", task="add_bare_async")
    return [bare, replace(coroutine, scenarios=frozenset({"drain"})), usual]


def peer(
    on: str,
    tools: Path,
    name: str,
    module: str,
    worker: tuple[str, ...],
    share: float,
    *,
    promise: str = LATE,
    coroutines: bool = True,
    prepared: bool = False,
) -> Contender:
    """A peer that is in every scenario: `tools` is its environment, and has its commands."""
    program, *arguments = worker
    return Contender(
        name=name,
        module=module,
        python=str(tools / "python"),
        worker=(str(tools / program), *arguments),
        processes=PROCESSES,
        scenarios=EVERY,
        on=on,
        promise=promise,
        share=share,
        kept=False,
        coroutines=coroutines,
        prepared=prepared,
    )
