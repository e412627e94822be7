"""Calls of plain functions, in threads of the child."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import ctypes
import queue
import threading
from collections import deque
from typing import Literal

from ropeway.context import running
from ropeway.errors import TimeLimit
from ropeway.executor import Call, Ended, Interrupts, Trace
from ropeway.executors.outcomes import INTERRUPTED, raised, returned, timed_out, too_large, unbound
from ropeway.message import Kind, Outcome
from ropeway.stepping import step

_Reason = Literal["limit", "interrupt"]

_PAUSE = 0.002
"""Seconds between two reports while there is more to run: each is a turn of the loop, and of whoever
hears of it, which the threads wait for. The last ones are reported at once."""


class _Post:
    """One thread's place of work: what it runs, and why it was told to stop, if it was."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.lock = threading.Lock()
        self.call: Call | None = None
        self.told: _Reason | None = None
        self.thread_id = 0


class ThreadExecutor:
    """At most `slots` plain functions at once; one, in a child that is kept for `cpu` calls.

    A time limit raises `TimeLimit` in the function, at its next line of Python, and so does an
    interrupt; a call that sits in a blocking system call hears of it when that returns. Only a
    time limit makes it a failure.
    """

    interrupts: Interrupts = "cooperative"

    def __init__(self, slots: int, trace: Trace, ended: Ended, kind: Kind = "threads") -> None:
        self.slots, self.kind = slots, kind
        self._trace, self._ended = trace, ended
        self._loop = asyncio.get_running_loop()
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._posts: list[_Post] = []
        self._limits: dict[int, asyncio.TimerHandle] = {}
        self._open = 0
        self._outcomes: deque[tuple[int, Outcome]] = deque()
        self._reporting = False

    def submit(self, call: Call) -> None:
        self._open += 1
        if self._open > len(self._posts) < self.slots:
            post = _Post(len(self._posts) + 1)
            self._posts.append(post)
            name = f"ropeway-{post.number}"
            threading.Thread(target=self._work, args=(post,), name=name, daemon=True).start()
        self._calls.put(call)

    def recall(self) -> list[int]:
        slots: list[int] = []
        try:
            while True:
                call = self._calls.get_nowait()
                if call is not None:
                    slots.append(call.slot)
        except queue.Empty:
            self._open -= len(slots)
            return slots

    def interrupt(self, slot: int) -> None:
        for post in self._posts:
            call = post.call
            if call is not None and call.slot == slot:
                self._tell(post, call, "interrupt")

    def threads(self) -> dict[int, Call]:
        return {post.thread_id: call for post in self._posts if (call := post.call) is not None}

    def close(self) -> None:
        for _ in self._posts:
            self._calls.put(None)

    # -- in the threads -------------------------------------------------------------------

    def _work(self, post: _Post) -> None:
        post.thread_id = threading.get_ident()
        while (call := self._calls.get()) is not None:
            outcome = INTERRUPTED
            if self._trace.begin(call.slot):
                self._trace.enter(post.number, call.slot)
                outcome = contextvars.copy_context().run(self._run, post, call)
                self._trace.leave(post.number)
            self._outcomes.append((call.slot, outcome))
            if not self._reporting:
                self._reporting = True
                with contextlib.suppress(RuntimeError):  # its loop is closed: nobody asks any more
                    self._loop.call_soon_threadsafe(self._report)

    def _run(self, post: _Post, call: Call) -> Outcome:
        running.set(call.running.until(call.timeout))
        try:
            args, kwargs = call.bind(call.body, call.content_type)
        except Exception as error:  # noqa: BLE001  annotations may run user code
            return unbound(error)
        try:
            try:
                # From here on `TimeLimit` may come at any line.
                post.call, post.told = call, None
                if call.timeout is not None:
                    self._loop.call_soon_threadsafe(self._limit, post, call)
                value = call.function(*args, **kwargs)
            finally:
                _untell(post)
        except BaseException as error:  # noqa: BLE001
            # Whatever user code raises, SystemExit too, is its own outcome and not the child's end.
            if not isinstance(error, TimeLimit):
                return raised(call, error)
            told = post.told == "interrupt"
            return INTERRUPTED if told else timed_out(call, error)
        outcome = returned(call, value)
        set_apart = too_large(call, outcome)
        return outcome if set_apart is None else step(set_apart(outcome))

    # -- on the loop ----------------------------------------------------------------------

    def _report(self) -> None:
        # Cleared first: an outcome that is added from here on asks for another report.
        self._reporting, before = False, self._open
        while self._outcomes:
            self._open -= 1
            slot, outcome = self._outcomes.popleft()
            if limit := self._limits.pop(slot, None):
                limit.cancel()
            self._ended(slot, outcome)
        if self._open < before and not self._calls.empty():
            self._reporting = True
            self._loop.call_later(_PAUSE, self._report)

    def _limit(self, post: _Post, call: Call) -> None:
        if post.call is call and call.timeout is not None:
            self._limits[call.slot] = self._loop.call_later(
                call.timeout, self._tell, post, call, "limit"
            )

    @staticmethod
    def _tell(post: _Post, call: Call, reason: _Reason) -> None:
        # Whatever comes late finds another call, or none.
        with post.lock:
            if post.call is call and not post.told:
                post.told = reason
                _raise_in(post.thread_id, TimeLimit)


def _untell(post: _Post) -> None:
    """Leave the call: from here on nothing may be raised in this thread."""
    try:
        with post.lock:
            post.call = None
            if post.told:
                _raise_in(post.thread_id, None)  # not delivered yet: take it back
    except TimeLimit:
        # Delivered between the function's end and the lock; the function itself was done.
        _untell(post)


def _raise_in(thread_id: int, kind: type[BaseException] | None) -> None:
    argument = ctypes.py_object(kind) if kind is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), argument)
