"""Who is charged with the death of a child: a pure function of what it was doing."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Mapping

from ropeway.message import Failure, Outcome

INTERRUPTED = Outcome(ending="interrupted")


def how_it_ended(code: int, *, out_of_memory: bool = False) -> str:
    """Say how a process ended, in words: the signal or the exit status."""
    if code >= 0:
        return f"ended with status {code}"
    name = f"signal {-code}"
    with contextlib.suppress(ValueError):
        name = signal.Signals(-code).name
    why = ": the system was out of memory" if out_of_memory and -code == signal.SIGKILL else ""
    return f"was killed by {name}{why}"


def verdicts(
    started: frozenset[int],
    stepped: frozenset[int],
    how: str,
    forgiven: frozenset[int] = frozenset(),
) -> dict[int, Outcome]:
    """Return what becomes of each call that had started in a child that died.

    The one whose code was running is charged. So is one that was alone: it cannot have been anybody
    else's victim, unless it is `forgiven`. The others are suspects: a timer or a thread of theirs
    may have done it. If the code of several was running, in threads, nobody knows whose it was, and
    all are suspects: the next time but one they run alone.
    """
    running = started if len(started) == 1 else started & stepped
    guilty = running - forgiven if len(running) == 1 else frozenset[int]()
    charged = Failure(type="WorkerLost", message=f"the child process {how}")
    suspected = Failure(
        type="WorkerLost",
        message=f"the child process {how}, while this call was waiting or running in it",
    )
    return {
        slot: Outcome(ending="crashed", error=charged)
        if slot in guilty
        else Outcome(ending="abandoned", error=suspected)
        for slot in started
    }


def is_unexplained(code: int, *, out_of_memory: bool) -> bool:
    """Whether a process may have been killed from outside: what it ran seldom does that to itself."""
    return code == -signal.SIGKILL and not out_of_memory


def of_those_killed(
    started: frozenset[int], condemned: Mapping[int, Outcome]
) -> dict[int, Outcome]:
    """Return what becomes of each call that had started in a child that was killed on purpose."""
    return {slot: condemned.get(slot, INTERRUPTED) for slot in started}
