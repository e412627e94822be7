"""One measurement of one contender: a fresh folder, its worker, its clients."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks import census, servers
from benchmarks.apps.verbs import RESULTS, STORE, TASK, URL
from benchmarks.contender import HERE, SQLITE, Contender
from benchmarks.processes import Failed, Started
from benchmarks.recorder import FOLDER, Records

ROOT = Path(__file__).resolve().parents[1]


class Session:
    """Use it in a `with`: what it started ends with it, and its folder goes.

    With `counted` its processes count statements and transactions in `counts`, which is slow.
    With `results` those are kept also by a contender that otherwise does without.
    """

    def __init__(
        self, contender: Contender, base: Path, *, counted: bool = False, results: bool = False
    ) -> None:
        self.contender = contender
        self.folder = Path(tempfile.mkdtemp(prefix="run-", dir=base))
        records = self.folder / "records"
        records.mkdir()
        self.records = Records(records)
        self.jobs = self.folder / "jobs"
        self.database = self.folder / "jobs.db"
        self.server = servers.empty(contender.on, base, self.folder)
        self._started: list[Started] = []
        self._env = {name: text for name, text in os.environ.items() if not _ours(name)}
        self._env |= {
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}",
            URL: self.server.url if self.server else f"sqlite:///{self.database}",
            STORE: self._store(),
            RESULTS: str(int(results or contender.kept)),
            FOLDER: str(records),
            TASK: contender.task,
            **contender.env,
        }
        if counted:
            self.counts = self.folder / "counts"
            self.counts.mkdir()
            self._env[census.FOLDER] = str(self.counts)
            self._env["PYTHONPATH"] += f"{os.pathsep}{census.PLACE}"

    def _store(self) -> str:
        store = self.server.store if self.server else ""
        return f"sqlite:///{self.database}" if store and self.contender.store == SQLITE else store

    def __enter__(self) -> Self:
        if self.contender.prepared:
            self.ask("prepare")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for started in reversed(self._started):
            started.stop()
        if self.server:
            self.server.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- the worker -----------------------------------------------------------------------

    def worker(self, prefix: Sequence[str] = ()) -> Started:
        """Start a worker by its command line, with `prefix` before it."""
        command = [*prefix, *(part.replace(HERE, self._env[URL]) for part in self.contender.worker)]
        started = Started(command, folder=self.folder, env=self._env)
        self._started.append(started)
        return started

    def wait(self, done: Callable[[], bool], what: str, timeout: float = 300.0) -> None:
        """Wait for something that the workers do; `Failed` with their words if it does not come."""
        deadline = time.monotonic() + timeout
        while not done():
            dead = [each for each in self._started if not each.alive() and each.process.returncode]
            if dead or time.monotonic() > deadline:
                words = "\n".join(each.said() for each in dead or self._started)
                raise Failed(f"{self.contender.name}: {what} did not come\n{words}")
            time.sleep(0.02)

    def hits(self, count: int) -> None:
        """Wait until so many tasks have run."""
        self.wait(lambda: self.records.poll() >= count, f"run {count:,} of {self.contender.task}")

    # -- clients --------------------------------------------------------------------------

    def begin(self, action: str, *arguments: object, prefix: Sequence[str] = ()) -> Started:
        """Start a client, with `prefix` before its command."""
        client = "benchmarks.coroutines" if self.contender.coroutines else "benchmarks.client"
        command = [*prefix, self.contender.python, "-m", client, self.contender.module]
        started = Started(
            [*command, action, *map(str, arguments)],
            folder=self.folder,
            env=self._env,
            stdout=subprocess.PIPE,
        )
        self._started.append(started)
        return started

    def end(self, client: Started, timeout: float = 300.0) -> dict[str, Any]:
        """Wait for a client's answer."""
        try:
            out, _ = client.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.contender.name}: no answer\n{client.said()}") from None
        if client.process.returncode or not out:
            workers = "\n".join(each.said() for each in self._started if each is not client)
            raise Failed(f"{self.contender.name}: a client failed\n{client.said()}\n{workers}")
        answer: dict[str, Any] = json.loads(out)
        return answer

    def ask(self, action: str, *arguments: object, prefix: Sequence[str] = ()) -> dict[str, Any]:
        """Run a client to its end."""
        return self.end(self.begin(action, *arguments, prefix=prefix))

    def warm_up(self, by: str = "latency") -> Started:
        """Start a worker and see it run tasks in every process it has."""
        worker = self.worker()
        self.ask(by, 1)
        return worker


def _ours(name: str) -> bool:
    # What is set for ropeway or Python around here must not reach what is measured.
    return name.startswith(("ROPEWAY_", "PYTHON", "BENCH_"))
