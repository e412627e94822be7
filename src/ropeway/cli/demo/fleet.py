"""A real worker in processes of its own, and the deliberate death of one of its children."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from ropeway.cli.demo import witness
from ropeway.cli.demo.home import Home

APP = "ropeway.cli.demo.tasks:app"
CHILD = "ropeway.worker.child"

_STOP_SECONDS = 15.0
# How long frozen children are watched: what they sent before is settled well within this time.
_SETTLE_SECONDS = 0.2


class Kill(Struct, frozen=True):
    """A child that was killed, and the jobs whose calls it had started and not settled."""

    pid: int
    under_way: frozenset[str]

    def __str__(self) -> str:
        calls = "1 call" if len(self.under_way) == 1 else f"{len(self.under_way)} calls"
        return f"child {self.pid} killed by SIGKILL with {calls} under way"


@contextmanager
def worker(home: Home, children: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run `ropeway worker` on the demo's app; however the block ends, nothing is left running."""
    command = [sys.executable, "-m", "ropeway", "worker", APP, "--children", str(children)]
    with home.log.open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **home.environment},
            # Ctrl-C is for the demo, which then stops the worker itself. The lock travels along:
            # while any of the two lives, no other demo empties the directory.
            process_group=0,
            pass_fds=(home.lock,),
        )
    try:
        yield process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the worker to end, as an operator would; kill what does not end in time."""
    family = descendants(process.pid)
    try:
        process.terminate()
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    finally:
        if process.poll() is None:
            for pid in family:
                _signal(pid, signal.SIGKILL)
            process.kill()
            process.wait()


def kill_busy_child(
    worker_pid: int, executions: Path, settled: Callable[[str], bool]
) -> Kill | None:
    """Freeze all children, kill the busiest, let the others run on.

    Busy is who has started calls that are not settled although everything that was sent has had
    time to arrive: these calls must run again. Returns None when no child was busy. `settled`
    tells whether the job of an id is settled.
    """
    frozen = children(worker_pid)
    busiest = None
    try:
        for pid in frozen:
            _signal(pid, signal.SIGSTOP)
        time.sleep(_SETTLE_SECONDS)
        started = [one for one in witness.read(executions) if one.pid in frozen]
        open_jobs = {one.id: one.pid for one in started if not settled(one.id)}
        busy = Counter(open_jobs.values()).most_common(1)
        if busy:
            busiest = busy[0][0]
            _signal(busiest, signal.SIGKILL)
            return Kill(busiest, frozenset(i for i, pid in open_jobs.items() if pid == busiest))
        return None
    finally:
        for pid in frozen:
            if pid != busiest:
                _signal(pid, signal.SIGCONT)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def children(worker_pid: int) -> list[int]:
    """The processes below the worker that run tasks."""
    return [pid for pid, command in descendants(worker_pid).items() if CHILD in command]


def descendants(ancestor: int) -> dict[int, str]:
    """Return the command line of every process below this one, nearest first."""
    processes = _processes()
    found: dict[int, str] = {}
    parents = {ancestor}
    while parents:
        below = {pid: row[1] for pid, row in processes.items() if row[0] in parents}
        parents = below.keys() - found.keys()
        found |= below
    return found


def _processes() -> dict[int, tuple[int, str]]:
    """The parent and the command line of every process of this machine, by pid."""
    if not Path("/proc/self/stat").exists():
        return _processes_by_ps()
    found: dict[int, tuple[int, str]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                # The name, in brackets, may hold spaces and brackets: count from the last one.
                stat = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                found[int(entry.name)] = int(stat[1]), command.decode(errors="replace")
    return found


def _processes_by_ps() -> dict[int, tuple[int, str]]:
    command = ["ps", "-axo", "pid=,ppid=,command="]
    listing = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    rows = (line.split(None, 2) for line in listing.splitlines())
    return {int(row[0]): (int(row[1]), row[2]) for row in rows if len(row) == 3}
