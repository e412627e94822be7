"""A dashboard and workers in processes of their own, over a database of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from msgspec import Struct

ROOT = Path(__file__).parents[2]


class Served(Struct, frozen=True, kw_only=True):
    """A dashboard that runs: its process, its address without a slash at the end, its token."""

    pid: int
    base: str
    token: str

    @property
    def link(self) -> str:
        """What a person opens."""
        return f"{self.base}/?token={self.token}"

    @property
    def headers(self) -> dict[str, str]:
        """What a program sends to be let in."""
        return {"authorization": f"Bearer {self.token}"}


def use(folder: Path) -> None:
    """Have this process, and those that it starts, keep the shop and its jobs in a folder."""
    shutil.copy(Path(__file__).with_name("shop.py"), folder)
    os.environ["ROPEWAY_URL"] = f"sqlite:///{folder}/jobs.db"
    os.environ["PYTHONPATH"] = str(folder)
    os.environ["LOGNAME"] = "ann"
    sys.path.insert(0, str(folder))


@contextmanager
def dashboard(*options: str) -> Iterator[Served]:
    """Serve the dashboard for the block."""
    command = [sys.executable, "-m", "ropeway", "dashboard", "--port", "0", *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            base, _, token = process.stdout.readline().strip().partition("/?token=")
            yield Served(pid=process.pid, base=base, token=token)
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def workers(number: int, *options: str) -> Iterator[None]:
    """Run workers of the shop for the block."""
    command = [sys.executable, "-m", "ropeway", "worker", "shop", *options]
    with ExitStack() as stack:
        for _ in range(number):
            process = stack.enter_context(
                subprocess.Popen(
                    [*command, "-q"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
            )
            stack.callback(process.wait, 60)
            stack.callback(process.terminate)
        yield


def resident(pid: int) -> float:
    """Return how much memory a process holds, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise LookupError(pid)
