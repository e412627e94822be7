"""Who is measured, and how each is started."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import msgspec
from msgspec import Struct, field

from benchmarks.apps.verbs import HUEY_FSYNC
from benchmarks.processes import Failed


class Contender(Struct, frozen=True, kw_only=True):
    """A library with one way to run its workers.

    `python` is the interpreter of its environment, `processes` how many processes run tasks.
    """

    name: str
    module: str
    python: str
    worker: tuple[str, ...]
    processes: int
    task: str = "add"
    env: dict[str, str] = field(default_factory=dict)

    @property
    def ours(self) -> bool:
        """Whether it is ropeway."""
        return self.module == "ropeway_app"


def ropeway() -> list[Contender]:
    """Workers of ropeway, every setting as it comes: for a plain function, and its async twin."""
    plain = Contender(
        name="ropeway, def",
        module="ropeway_app",
        python=sys.executable,
        worker=(sys.executable, "-m", "ropeway", "worker", "benchmarks.apps.ropeway_app:app"),
        processes=os.cpu_count() or 1,
    )
    return [plain, msgspec.structs.replace(plain, name="ropeway, async def", task="add_async")]


def huey(venvs: Path, fsync: str = "") -> list[Contender]:
    """Workers of huey on SQLite, processes or threads; `fsync` is "1", "0" or its default."""
    tools = _environment(venvs / "huey", "huey") / "bin"
    # It polls: without -d and -m it would look every 0.1 s, and in the end every 10 s.
    polling = ("-d", "0.01", "-m", "0.1")
    command = (str(tools / "huey_consumer"), "benchmarks.apps.huey_app.queue", "-q", *polling)
    processes = Contender(
        name="huey, 2 processes",
        module="huey_app",
        python=str(tools / "python"),
        worker=(*command, "-k", "process", "-w", "2"),
        processes=2,
        env={HUEY_FSYNC: fsync} if fsync else {},
    )
    threads = msgspec.structs.replace(
        processes,
        name="huey, 8 threads",
        worker=(*command, "-k", "thread", "-w", "8"),
        processes=1,
    )
    return [processes, threads]


def _environment(folder: Path, package: str) -> Path:
    """Make a virtual environment with the package, once."""
    done = folder / "installed"
    if not done.exists():
        print(f"installing {package} into {folder} ...", flush=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        result = subprocess.run(
            [*pip, "--disable-pip-version-check", package],
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise Failed(f"{package} cannot be installed:\n{result.stderr[-2000:]}")
        done.touch()
    return folder
