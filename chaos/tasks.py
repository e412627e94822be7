"""The app that is tortured: its tasks write down themselves when they start and how they end."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from chaos.history import FOLDER, History
from ropeway import Retry, RetryPolicy, Ropeway, current

POISONED = "kill by poison"
"""What a call that kills its process writes down as the strike."""

app = Ropeway()
_history: History | None = None


def digest_of(payload: str) -> str:
    """What a value says of the payload that it was computed from."""
    return hashlib.sha256(payload.encode()).hexdigest()[:16]


def work_of(value: str) -> str:
    """The part of a value that does not depend on which attempt produced it."""
    return ".".join(value.split(".")[:2])


class Execution:
    """One run of a task: what it is to return, and whether it is to fail."""

    def __init__(self, n: int, payload: str, fails: int) -> None:
        self._fails = fails
        self.value = f"{n}.{digest_of(payload)}.{current.attempt}.{os.getpid()}"

    def finish(self) -> str:
        """Return the value, or fail as the workload wants it."""
        if current.attempt <= self._fails:
            raise Retry("as planned", after=0.2)
        return self.value


@contextmanager
def _execution(n: int, payload: str, fails: int) -> Iterator[Execution]:
    history = _open_history()
    who: dict[str, Any] = {
        "id": current.job_id,
        "attempt": current.attempt,
        "sup": os.getppid(),
        "n": n,
    }
    history.log("start", current.task, **who)
    execution = Execution(n, payload, fails)
    try:
        yield execution
    except BaseException as error:
        history.log("end", current.task, **who, note=type(error).__name__)
        raise
    history.log("end", current.task, **who, v=execution.value)


def _open_history() -> History:
    global _history
    if _history is None:
        _history = History(Path(os.environ[FOLDER]), "child")
    return _history


@app.task(name="plain")
def plain(n: int, payload: str, pause: float, fails: int) -> str:
    """A plain function, in a thread."""
    with _execution(n, payload, fails) as execution:
        time.sleep(pause)
        return execution.finish()


@app.task(name="coroutine")
async def coroutine(n: int, payload: str, pause: float, fails: int) -> str:
    """A coroutine function, on the event loop."""
    with _execution(n, payload, fails) as execution:
        await asyncio.sleep(pause)
        return execution.finish()


# A death of the process is charged to every plain function that was running there, and to whatever
# ran alone. What runs for seconds, while a process is killed twice a second, would be taken for the
# culprit.
_LASTING = RetryPolicy(max_losses=1_000)


@app.task(name="long_coroutine", retries=_LASTING)
async def long_coroutine(n: int, payload: str, pause: float, fails: int) -> str:
    """A coroutine function that outlasts a lease."""
    with _execution(n, payload, fails) as execution:
        await asyncio.sleep(pause)
        return execution.finish()


@app.task(name="long_plain", retries=_LASTING)
def long_plain(n: int, payload: str, pause: float, fails: int) -> str:
    """A plain function that outlasts a lease."""
    with _execution(n, payload, fails) as execution:
        time.sleep(pause)
        return execution.finish()


@app.task(name="poison")
def poison(n: int, payload: str, pause: float, fails: int) -> str:
    """A plain function that takes its process with it, in one of three ways."""
    with _execution(n, payload, 0):
        time.sleep(pause)
        _die(n)


def _die(n: int) -> NoReturn:
    _open_history().log("strike", POISONED, sup=os.getpid())
    if n % 3 == 0:
        os._exit(7)
    os.kill(os.getpid(), signal.SIGSEGV if n % 3 == 1 else signal.SIGKILL)
    raise AssertionError("still alive")


COROUTINES = {"coroutine": coroutine, "long_coroutine": long_coroutine}
PLAIN = {"plain": plain, "long_plain": long_plain, "poison": poison}
"""The tasks by their names in a workload."""
