"""Who is measured on SQLite in which scenarios, and how each is started."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from msgspec.structs import replace

from benchmarks.apps.verbs import HUEY_FSYNC, POTATOQ_DURABLE
from benchmarks.contender import Contender
from benchmarks.environment import environment

_SENDING = frozenset({"send", "concurrent", "bulk"})
_RUNNING = frozenset({"drain", "latency", "loaded", "beside"})
_MAIN = _SENDING | _RUNNING | {"effort", "idle"}
_WAITS_AT_ONCE = "64"
"""Threads of a peer for tasks that wait: of 8 to 64 the best."""
_SHARE = 0.1
"""Of our tasks; they take longer."""


def ropeway() -> list[Contender]:
    """Workers of ropeway, every setting as it comes but for what a name says."""
    plain = Contender(
        name="ropeway, def",
        module="ropeway_app",
        python=sys.executable,
        worker=(sys.executable, "-m", "ropeway", "worker", "benchmarks.apps.ropeway_app:app"),
        processes=os.cpu_count() or 1,
        scenarios=_MAIN | {"pruning", "flatness", "memory", "poison"},
    )
    coroutine = replace(plain, name="ropeway, async def", task="add_async")
    each = str(200 // plain.processes)
    return [
        plain,
        replace(coroutine, scenarios=frozenset({"drain", "latency"})),
        replace(
            plain,
            name="ropeway, def, 200 slots",
            worker=plain.started_with("--threads", each),
            scenarios=frozenset({"drain"}),
        ),
        replace(
            plain,
            name="ropeway, def, NORMAL",
            env={"ROPEWAY_DURABILITY": "process"},
            scenarios=_SENDING | {"drain"},
        ),
        replace(coroutine, task="nap", scenarios=frozenset({"io"})),
    ]


def huey(venvs: Path, fsync: str = "") -> list[Contender]:
    """Workers of huey on SQLite, processes or threads; `fsync` is "1", "0" or its default."""
    tools = environment(venvs / "huey", "huey") / "bin"
    # It polls: without -d and -m it would look every 0.1 s, and in the end every 10 s.
    polling = ("-d", "0.01", "-m", "0.1")
    plain = Contender(
        name="huey, 2 processes",
        module="huey_app",
        python=str(tools / "python"),
        worker=(str(tools / "huey_consumer"), "benchmarks.apps.huey_app.queue", "-q", *polling),
        processes=2,
        scenarios=_MAIN,
        share=_SHARE,
        env={HUEY_FSYNC: fsync} if fsync else {},
    )
    threads = replace(
        plain,
        name="huey, 8 threads",
        worker=plain.started_with("-k", "thread", "-w", "8"),
        processes=1,
        scenarios=_RUNNING,
    )
    waiting = replace(
        threads,
        name=f"huey, {_WAITS_AT_ONCE} threads",
        worker=plain.started_with("-k", "thread", "-w", _WAITS_AT_ONCE),
        task="nap",
        scenarios=frozenset({"io"}),
    )
    return [replace(plain, worker=plain.started_with("-k", "process", "-w", "2")), threads, waiting]


def potatoq(venvs: Path) -> list[Contender]:
    """Workers of potatoq on SQLite: as durable as the others, and as it comes."""
    tools = environment(venvs / "potatoq", "--pre", "potatoq") / "bin"
    command = (str(tools / "potatoq"), "-A", "benchmarks.apps.potatoq_app", "worker")
    # Its processes would be replaced after 1000 tasks, which costs it more than others.
    lasting = ("-c", "2", "--max-tasks-per-child", "10000000", "-l", "WARNING")
    durable = Contender(
        name="potatoq, FULL",
        module="potatoq_app",
        python=str(tools / "python"),
        worker=(*command, *lasting),
        processes=2,
        scenarios=_MAIN,
        share=_SHARE,
        env={POTATOQ_DURABLE: "1"},
    )
    waiting = replace(
        durable,
        name=f"potatoq, FULL, {_WAITS_AT_ONCE} threads each",
        worker=durable.started_with("-t", _WAITS_AT_ONCE),
        task="nap",
        scenarios=frozenset({"io"}),
    )
    usual = replace(durable, name="potatoq, NORMAL", env={}, scenarios=_SENDING | {"drain"})
    return [durable, usual, waiting]
