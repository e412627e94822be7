"""Queues that go with those who take from them: who does is on record, and who was the first."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from ropeway import topology
from ropeway.bounds import Queue
from ropeway.claims import Claim
from ropeway.errors import RopewayError
from ropeway.store import WORKERS, Backend
from ropeway.transition import Cancel, Drop, Put, Record, Transition, Update
from ropeway.wrappers.known import Known

SILENT = 30.0
"""Seconds without a claim after which one that has no record of a worker counts as gone."""

_NOTED_EVERY = 10.0
_PAGE = 500
_GOING = b"going"


class Tenants:
    """Notes who takes from tied queues, keeps others from exclusive ones, and ends deserted ones."""

    def __init__(self, backend: Backend, known: Known) -> None:
        self._backend, self._known = backend, known
        self._noted: dict[tuple[str, str], float] = {}

    async def admit(self, claims: Sequence[Claim], holder: str) -> Sequence[Claim]:
        """Return the claims that this holder may make."""
        queues = await self._known.queues(self._backend)
        asked = {each.queue for each in claims} & queues.keys()
        tied = [queues[name] for name in sorted(asked) if queues[name].tied]
        kept_out = {each.name for each in tied if not await self._takes(each, holder)}
        return [each for each in claims if each.queue not in kept_out] if kept_out else claims

    async def leave(self) -> None:
        """Say that those who have taken from tied queues through here do not any more."""
        gone = [Drop(_serving(queue, holder)) for queue, holder in self._noted]
        self._noted.clear()
        if gone:
            with suppress(RopewayError):  # else it is found out later
                await self._backend.commit([Transition(drop=tuple(gone))])

    async def end_deserted(self) -> int:
        """Remove tied queues that nobody takes from any more; return how many."""
        tied = [each for each in self._known.topology.queues.values() if each.tied]
        return sum([await self._end_if_deserted(each.name) for each in tied])

    async def _takes(self, queue: Queue, holder: str) -> bool:
        if queue.exclusive and not await self._is_first(queue.name, holder):
            return False
        noted = self._noted.get((queue.name, holder), -_NOTED_EVERY)
        if time.monotonic() - noted >= _NOTED_EVERY:
            now = repr(await self._backend.now()).encode()
            puts = Put(_serving(queue.name, holder), now), Put(_served(queue.name), b"")
            await self._backend.commit([Transition(put=puts)])
            self._noted[queue.name, holder] = time.monotonic()
        return True

    async def _is_first(self, queue: str, holder: str) -> bool:
        (owner,) = await self._backend.get([_owner(queue)])
        if owner is not None:
            return owner.value == holder.encode()
        put = Put(_owner(queue), holder.encode())
        (answer,) = await self._backend.commit([Transition(expect={put.key: 0}, put=(put,))])
        return answer.ok

    async def _end_if_deserted(self, queue: str) -> bool:
        (served,) = await self._backend.get([_served(queue)])
        if served is None:
            return False
        taking = await self._backend.scan(_serving(queue, ""), "", _PAGE)
        if served.value != _GOING:
            if await self._any_alive(taking):
                return False
            # Whoever comes from now on makes another version of it: then it stays.
            going = Put(served.key, _GOING)
            step = Transition(expect={served.key: served.version}, put=(going,))
            if not (await self._backend.commit([step]))[0].ok:
                return False
        await topology.delete(self._backend, queues=[queue])
        self._known.forget()
        await self._cancel_all(queue)
        gone = [Drop(each.key) for each in taking]
        keys = Drop(served.key), Drop(_owner(queue)), *gone
        await self._backend.commit([Transition(drop=keys)])
        return True

    async def _any_alive(self, taking: Sequence[Record]) -> bool:
        if not taking:
            return False
        now = await self._backend.now()
        workers = [WORKERS + each.key.rpartition("//")[2] for each in taking]
        there = await self._backend.get(workers)
        return any(
            record is not None or now - float(each.value) < SILENT
            for each, record in zip(taking, there, strict=True)
        )

    async def _cancel_all(self, queue: str) -> None:
        while jobs := await self._backend.peek(queue, _PAGE):
            ids = [each.message.id for each in jobs]
            # The update changes nothing, and is refused if the job does not wait any more.
            steps = [Transition(update=(Update(each),), cancel=(Cancel(each),)) for each in ids]
            if not any(each.ok for each in await self._backend.commit(steps)):
                return


def _serving(queue: str, holder: str) -> str:
    return f"serving/{len(queue)}/{queue}//{holder}"


def _served(queue: str) -> str:
    return f"served/{queue}"


def _owner(queue: str) -> str:
    return f"owner/{queue}"
