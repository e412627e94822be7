"""The serving end of a remote backend: calls come in, a backend does them, answers go out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from msgspec import Raw

from ropeway.errors import RopewayError, Unsupported
from ropeway.store import Backend
from ropeway.wrappers.wire import (
    VERBS,
    Call,
    Done,
    Forget,
    Reply,
    Unreadable,
    decode_call,
    encode,
    failed,
)

_logger = logging.getLogger("ropeway")


async def serve(backend: Backend, call: Call) -> Reply:
    """Have `backend` do what is called for, and answer, also with what it raised."""
    try:
        return Done(call.number, Raw(await _perform(backend, call)))
    except RopewayError as error:
        return failed(call.number, error)
    except Exception as error:
        _logger.exception("%s, which was called for from afar, failed", call.verb)
        return failed(call.number, error)


async def _perform(backend: Backend, call: Call) -> bytes:
    verb = VERBS.get(call.verb)
    if verb is None:
        raise Unsupported(f"no backend has a verb {call.verb!r}", hint="are both of one version?")
    try:
        arguments = verb.arguments.decode(call.arguments)
    except Unreadable as error:
        raise Unsupported(f"the arguments of {call.verb} cannot be read: {error}") from None
    return encode(await getattr(backend, call.verb)(*arguments))


class Serving:
    """Serves one line: each call is a task of its own, so that none waits for another."""

    def __init__(self, backend: Backend, send: Callable[[Reply], None]) -> None:
        self._backend, self._send = backend, send
        self._calls: dict[int, asyncio.Task[None]] = {}

    def take(self, payload: bytes) -> None:
        """Take one frame. Raises one of `Unreadable` if it is none."""
        frame = decode_call(payload)
        if isinstance(frame, Forget):
            self._forget(frame.number)
        else:
            self._calls[frame.number] = task = asyncio.create_task(self._answer(frame))
            task.add_done_callback(lambda _: self._calls.pop(frame.number, None))

    def close(self) -> None:
        """Give up what is being done: the line is gone, so nobody would hear of it."""
        for number in list(self._calls):
            self._forget(number)

    def _forget(self, number: int) -> None:
        if number in self._calls:
            self._calls[number].cancel()

    async def _answer(self, call: Call) -> None:
        self._send(await serve(self._backend, call))
