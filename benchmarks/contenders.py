"""Who is measured in which scenarios, and how each is started."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from benchmarks.apps.verbs import HUEY_FSYNC, POTATOQ_DURABLE
from benchmarks.processes import Failed

_SENDING = frozenset({"send", "concurrent", "bulk"})
_RUNNING = frozenset({"drain", "latency", "loaded", "beside"})
_MAIN = _SENDING | _RUNNING | {"effort", "idle"}
_WAITS_AT_ONCE = "64"
"""Threads of a peer for tasks that wait: of 8 to 64 the best."""


class Contender(Struct, frozen=True, kw_only=True):
    """A library with one way to run its workers.

    `python` is the interpreter of its environment, `processes` how many processes run tasks.
    """

    name: str
    module: str
    python: str
    worker: tuple[str, ...]
    processes: int
    scenarios: frozenset[str]
    task: str = "add"
    env: dict[str, str] = field(default_factory=dict)

    @property
    def ours(self) -> bool:
        """Whether it is ropeway."""
        return self.module == "ropeway_app"

    def started_with(self, *arguments: str) -> tuple[str, ...]:
        """The command of its worker with more arguments."""
        return (*self.worker, *arguments)


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


def peers(venvs: Path, fsync: str) -> tuple[list[Contender], list[str]]:
    """Every peer that can be had, and a sentence for each that cannot."""
    makers: tuple[Callable[[], list[Contender]], ...] = (
        lambda: huey(venvs, fsync),
        lambda: potatoq(venvs),
    )
    found: list[Contender] = []
    missing: list[str] = []
    for make in makers:
        try:
            found += make()
        except Failed as error:
            missing.append(str(error))
    return found, missing


def environment(folder: Path, *package: str) -> Path:
    """Make a virtual environment with the package, once."""
    done = folder / "installed"
    if not done.exists():
        print(f"installing {package[-1]} into {folder} ...", flush=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        result = subprocess.run(
            [*pip, "--disable-pip-version-check", *package],
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise Failed(f"{package[-1]} cannot be installed:\n{result.stderr[-2000:]}")
        done.touch()
    return folder
