"""Where a run of the demo lives: a directory of its own, fresh each time, for one run at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from ropeway.cli.demo import witness
from ropeway.errors import RopewayError

URL = "ROPEWAY_URL"
DIRECTORY = Path(".ropeway") / "demo"


class Home(Struct, frozen=True):
    """The paths of one run; `lock` is a descriptor that whoever uses the directory holds open."""

    path: Path
    lock: int

    @property
    def url(self) -> str:
        """The URL of the database of this run."""
        return f"sqlite:///{self.path / 'ropeway.db'}"

    @property
    def witness(self) -> Path:
        """The file in which each execution leaves a line."""
        return self.path / "executions.txt"

    @property
    def log(self) -> Path:
        """What the worker printed."""
        return self.path / "worker.log"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that tell a worker where this run lives."""
        return {URL: self.url, witness.VARIABLE: str(self.witness)}


@contextmanager
def fresh_home() -> Iterator[Home]:
    """Empty the directory, hold its lock, and point `ROPEWAY_URL` to it while the block runs.

    The files stay afterwards, to be looked into. Raises `RopewayError` while another demo, or a
    worker that one left behind, still uses them.
    """
    path = Path.cwd() / DIRECTORY
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    before = os.environ.get(URL)
    try:
        _hold(lock, path)
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(mode=0o700)
        home = Home(path, lock)
        os.environ[URL] = home.url
        yield home
    finally:
        os.environ.pop(URL, None)
        if before is not None:
            os.environ[URL] = before
        os.close(lock)


def _hold(lock: int, path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RopewayError(
            f"another demo, or its worker, still uses {path}",
            hint="let it end, or run the demo in another directory",
        ) from None
