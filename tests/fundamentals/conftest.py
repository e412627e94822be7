"""A place with the shop's tasks and a database, and real workers, started as a user starts them."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ropeway.stepping import step
from tests.places import KINDS, url_of
from tests.worker.rig import Worker, until

Start = Callable[..., Worker]


class Place:
    """A directory: what tasks have noted in its diary, and a gate that they wait for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def diary(self) -> list[str]:
        """What tasks have noted, in order, whoever has run them."""
        diary = self.folder / "diary"
        return diary.read_text().splitlines() if diary.exists() else []

    def open_gate(self) -> None:
        """Let tasks go on that wait for it."""
        self.folder.joinpath("gate").touch()


@pytest.fixture(params=KINDS)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Place:
    """Return the place, which is the working directory; leases are short there."""
    shutil.copy(Path(__file__).with_name("shop.py"), tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROPEWAY_URL", url_of(request.param, tmp_path, request))
    monkeypatch.setenv("ROPEWAY_LEASE", "1")
    return Place(tmp_path)


@pytest.fixture
def shop(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return the module with the tasks, imported where the database is."""
    monkeypatch.syspath_prepend(place.folder)
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    module = importlib.import_module("shop")
    yield module
    step(module.app.connection.blocking().close())
    sys.modules.pop("shop", None)


@pytest.fixture
def start_worker(place: Place) -> Iterator[Start]:
    """Return what starts a worker, of one child, and waits until it takes jobs."""
    workers: list[Worker] = []

    def start(*options: str) -> Worker:
        command = [sys.executable, "-m", "ropeway", "worker", "shop.py", "--children", "1"]
        log = place.folder / f"worker-{len(workers)}.log"
        with log.open("wb") as sink:
            process = subprocess.Popen([*command, *options], stdout=sink, stderr=sink)
        worker = Worker(process, log)
        workers.append(worker)
        until(lambda: "children" in worker.said() or process.poll() is not None)
        assert process.poll() is None, worker.said()
        return worker

    yield start
    for worker in workers:
        print(worker.said())
        if worker.process.poll() is None:
            worker.kill()


@pytest.fixture
def worker(start_worker: Start) -> Worker:
    """Return a running worker."""
    return start_worker()
