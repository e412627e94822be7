"""What carries the scripts to the server: the contract, and what both of its faces share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NoReturn, Protocol

from msgspec import Struct

from ropeway.backends.redis.address import Address
from ropeway.backends.redis.dialling import Word, pack
from ropeway.backends.redis.hearing import Seen
from ropeway.backends.redis.refusals import refusal, word
from ropeway.backends.redis.script import Script
from ropeway.backends.redis.wire import Lost, Reply, Wire
from ropeway.errors import BackendUnavailable, Indeterminate

_ELSEWHERE = frozenset({"MOVED", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS"})
"""Replies after which it is asked anew who the master is."""

_AGAIN = _ELSEWHERE | {"NOSCRIPT"}
_LEFT = (4, 3, 2, 1, 0)
"""How many tries are left in each of them."""


RunOf = tuple[Script, Sequence[Word]]
"""A script, and its arguments."""


class Link(Protocol):
    """The way to one namespace. `LoopedLink` and `BlockingLink` are the two that there are."""

    @property
    def address(self) -> Address:
        """Where it leads."""
        ...

    async def open(self) -> None:
        """Connect, and see that the server is one to rely on. May be called again."""
        ...

    async def close(self) -> None:
        """Give up every connection. Another use opens them again."""
        ...

    async def run(self, script: Script, keys: Sequence[str | bytes], args: Sequence[Word]) -> Any:
        """Run a script on the server, and return its reply; texts come as bytes.

        Raises `BackendUnavailable` where it was not run, `Backpressure` where it was refused for
        want of room, and `Indeterminate` where it may have been run and its reply was lost. What
        is repeatable is asked for once more before that.
        """
        ...

    async def run_all(self, keys: Sequence[str | bytes], calls: Iterator[RunOf]) -> list[Any]:
        """Run scripts that are repeatable in their order, and return their replies; raises as `run` does.

        Nothing waits for a reply before the next is sent, nor for the next to be sent.
        """
        ...

    async def command(self, *words: Word) -> Any:
        """Run a plain command that changes nothing, and return its reply; raises as `run` does."""
        ...

    def seen(self, names: Sequence[str]) -> Seen:
        """Return what has been heard of `names` by now, for a `wait` that begins later."""
        ...

    async def wait(
        self, names: Sequence[str], timeout: float, seen: Seen | None = None
    ) -> list[str]:
        """Wait for a hint about any of `names`, which may have come since `seen`; see `Store.wait`."""
        ...

    def stir(self, names: Sequence[str]) -> None:
        """Have those who wait for `names` on this event loop look, as if a hint had come."""
        ...


class Lender(Protocol):
    """Has connections to the master, and lends them."""

    async def take(self) -> Wire:
        """Lend one for the time of a call; raises `BackendUnavailable`."""
        ...

    def give(self, wire: Wire) -> None:
        """Take back what was lent."""
        ...

    def elsewhere(self, wire: Wire, reply: Exception) -> None:
        """Hear that the server behind `wire` is no master, or not of this namespace."""
        ...


class _Request(Struct, frozen=True):
    """What is asked of the server, and what may be done when the reply is lost.

    A server that does not know the script is sent its `source`, with the same words after it.
    """

    packed: bytes
    doing: str
    writes: bool
    repeatable: bool
    source: bytes = b""
    words: tuple[Word, ...] = ()


class Runner:
    """Runs scripts over connections that it is lent: what is tried again, and what is raised."""

    def __init__(self, lender: Lender, address: Address) -> None:
        self._lender, self._replicas = lender, address.replicas
        # A server that waits for replicas says so before the reply is given up.
        patience = int(500 * address.timeout)
        self._wait = pack("WAIT", address.replicas, patience) if address.replicas else b""

    async def run(self, script: Script, keys: Sequence[str | bytes], args: Sequence[Word]) -> Any:
        """See `Link.run`."""
        words = (len(keys), *keys, *args)
        packed = pack(b"EVALSHA", script.sha, *words)
        return await self._ask(
            _Request(packed, script.name, script.writes, script.repeatable, script.source, words)
        )

    async def run_all(self, keys: Sequence[str | bytes], calls: Iterator[RunOf]) -> list[Any]:
        """See `Link.run_all`."""
        if self._wait:
            return [await self.run(script, keys, args) for script, args in calls]
        asked: list[RunOf] = []

        def packed() -> Iterator[bytes]:
            for script, args in calls:
                asked.append((script, args))
                yield pack(b"EVALSHA", script.sha, len(keys), *keys, *args)

        wire = await self._lender.take()
        try:
            replies = await wire.call_all(packed())
        except Lost as lost:
            asked += calls
            replies = [lost] * len(asked)
        finally:
            self._lender.give(wire)
        return [
            await self._run_again(script, keys, args, reply)
            if isinstance(reply, Exception)
            else reply
            for (script, args), reply in zip(asked, replies, strict=True)
        ]

    async def _run_again(
        self, script: Script, keys: Sequence[str | bytes], args: Sequence[Word], wrong: Exception
    ) -> Any:
        """Run by itself what had no answer, or one that was none."""
        try:
            return await self.run(script, keys, args)
        except BackendUnavailable as error:
            _raise(script.writes, wrong if isinstance(wrong, Lost) and wrong.sent else None, error)

    async def command(self, *words: Word) -> Any:
        """See `Link.command`."""
        return await self._ask(_Request(pack(*words), str(words[0]), False, True))

    async def _ask(self, request: _Request) -> Reply:
        packed = request.packed
        lost: Lost | None = None
        for left in _LEFT:
            try:
                wire = await self._lender.take()
            except BackendUnavailable as error:
                _raise(request.writes, lost, error)
            try:
                reply = await self._call(wire, packed, request)
            except Lost as now:
                # What was not even sent costs nothing; what was lost is repeated once.
                again = not now.sent or (request.repeatable and lost is None)
                lost = now if now.sent else lost
                if again and left:
                    continue
                _raise(request.writes, lost, _silent(wire, now))
            finally:
                self._lender.give(wire)
            if not isinstance(reply, Exception):
                return reply
            if word(reply) == "NOSCRIPT":
                packed = pack(b"EVAL", request.source, *request.words)
            elif word(reply) in _ELSEWHERE:
                self._lender.elsewhere(wire, reply)
            if not left or word(reply) not in _AGAIN:
                _raise(request.writes, lost, refusal(reply, str(wire.host), request.doing))
        raise AssertionError("the last try returns or raises")

    async def _call(self, wire: Wire, packed: bytes, request: _Request) -> Reply:
        if not self._wait or not request.writes:
            return await wire.call(packed)
        reply, have = await wire.call_all((packed, self._wait))
        if not isinstance(reply, Exception) and (
            isinstance(have, Exception) or have < self._replicas
        ):
            raise Indeterminate(
                f"{wire.host} has made the change, and {have} of {self._replicas} replicas have it",
                hint="bring the replicas back; then repeat it unchanged",
            )
        return reply


def _raise(writes: bool, lost: Lost | None, error: Exception) -> NoReturn:
    """Raise `error`, or, if a reply was lost before it, that nobody knows what was done."""
    if lost is None or not writes:
        raise error from None
    raise Indeterminate(f"a reply was lost: {lost}", hint="repeat it unchanged") from error


def _silent(wire: Wire, lost: Lost) -> BackendUnavailable:
    return BackendUnavailable(
        f"the Redis server {wire.host} did not answer: {lost}", hint="is it running?", away=True
    )
