"""What really ran: each execution of a call leaves one line in a file, whatever becomes of it.

The broker's own books cannot show that a call ran twice, for it settles once; this file can.
"""

from __future__ import annotations

import os
from collections import Counter
from functools import cache
from pathlib import Path

from msgspec import Struct

VARIABLE = "ROPEWAY_DEMO_WITNESS"


class Execution(Struct, frozen=True):
    """One start of a call: which job, which attempt, in which process."""

    id: str
    attempt: int
    pid: int


def wanted() -> bool:
    """Tell whether a file was named in the environment."""
    return bool(os.environ.get(VARIABLE))


def note(job_id: str, attempt: int) -> None:
    """Append one line; it survives the death of this process, even by SIGKILL."""
    line = f"{job_id} {attempt} {os.getpid()}\n"
    os.write(_descriptor(os.environ[VARIABLE]), line.encode("ascii"))


@cache
def _descriptor(path: str) -> int:
    # With O_APPEND, one small write is one whole line, from any number of processes and threads.
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def read(path: Path) -> list[Execution]:
    """Return every execution so far, in the order in which they started."""
    if not path.exists():
        return []
    rows = (line.split() for line in path.read_text(encoding="ascii").splitlines())
    return [Execution(job_id, int(attempt), int(pid)) for job_id, attempt, pid in rows]


def ran_twice(executions: list[Execution]) -> set[str]:
    """Return the ids of the jobs whose call was started more than once."""
    return {job_id for job_id, n in Counter(one.id for one in executions).items() if n > 1}


def fenced(executions: list[Execution]) -> bool:
    """Tell whether no attempt of a job was started twice: each start had a number of its own."""
    return len({(one.id, one.attempt) for one in executions}) == len(executions)
