"""What a process was told of the jobs that it has sent, where nobody keeps records."""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from ropeway.broker_half import Reply
from ropeway.ids import new_id
from ropeway.message import JOB_PREFIX, JobRecord, Message
from ropeway.states import State
from ropeway.transition import Record

MOST_ANSWERS = 10_000
"""How many answers are kept; the oldest goes first, whether or not anybody has asked for it."""

_encode = msgspec.msgpack.Encoder().encode


class Answers:
    """For all event loops and threads of a process; a forked one begins anew."""

    def __init__(self) -> None:
        self._process = 0
        self._begin()

    def _begin(self) -> None:
        self._process, self._queue = os.getpid(), "ropeway.answers." + new_id()
        self._found: OrderedDict[str, Reply] = OrderedDict()
        self._waiting: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    @property
    def queue(self) -> str:
        """The queue to which answers for this process are to be sent."""
        if os.getpid() != self._process:
            self._begin()
        return self._queue

    def heard(self, reply: Reply) -> None:
        """Take an answer, from whichever loop hears it; the first to come for a job counts."""
        if self._found.setdefault(reply.correlation, reply) is not reply:
            return
        while len(self._found) > MOST_ANSWERS:
            self._found.popitem(last=False)
        for event, loop in list(self._waiting.items()):
            try:
                loop.call_soon_threadsafe(event.set)
            except RuntimeError:  # that loop is closed, so nobody waits there
                self._waiting.pop(event, None)

    def record(self, key: str) -> Record | None:
        """Return what a store would have of a job that has ended, under its key."""
        reply = self._found.get(key.removeprefix(JOB_PREFIX))
        if reply is None or not key.startswith(JOB_PREFIX):
            return None
        job = JobRecord(
            message=Message(id=reply.correlation, task=reply.task),
            state=State.SUCCEEDED if reply.error is None else State.FAILED,
            value=reply.value,
            error=reply.error,
        )
        return Record(key, 1, _encode(job))

    async def wait(self, keys: Sequence[str], timeout: float) -> list[str]:
        """Return the keys of which there are answers, as soon as there is one."""
        event = asyncio.Event()
        self._waiting[event] = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                while not (found := [key for key in keys if self.record(key)]):
                    await event.wait()
                    event.clear()
                return found
        except TimeoutError:
            return []
        finally:
            self._waiting.pop(event, None)
