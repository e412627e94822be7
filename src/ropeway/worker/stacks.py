"""What every thread and coroutine of a process is doing, for people."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

from ropeway.executor import Call

_LONGEST = 60_000


def title(call: Call) -> str:
    """Name a call as it is named wherever people look."""
    return f"job {call.running.fence.id} {call.task} attempt {call.running.fence.attempt}"


def stacks(calls: Mapping[int, Call]) -> str:
    """Describe each thread, `calls` by the thread that runs them, and the running loop's tasks."""
    text = "".join([*_threads(calls), *_coroutines()])
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "\n… more was left out\n"


def _threads(calls: Mapping[int, Call]) -> Iterator[str]:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for number, frame in sys._current_frames().items():  # noqa: SLF001  it is what there is
        call = calls.get(number)
        runs = f" runs {title(call)}" if call is not None else ""
        yield f"thread {names.get(number, number)}{runs}\n"
        yield from traceback.format_stack(frame)


def _coroutines() -> Iterator[str]:
    for task in asyncio.all_tasks():
        if task is not asyncio.current_task():
            yield f"coroutine {task.get_name()}\n"
            frames = [(frame, frame.f_lineno) for frame in _frames(task.get_coro())]
            yield from traceback.StackSummary.extract(iter(frames)).format()


def _frames(coroutine: Any) -> Iterator[FrameType]:
    """Yield the frames of a suspended coroutine, and of what it awaits."""
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is not None:
            yield frame
        awaits = getattr(coroutine, "cr_await", None)
        coroutine = awaits if awaits is not None else getattr(coroutine, "gi_yieldfrom", None)
