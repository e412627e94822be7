"""The loop that schedules: whoever is there fires what is due, and one of them first."""

from __future__ import annotations

import asyncio
import hashlib
import time

from ropeway.control import holders
from ropeway.errors import RopewayError
from ropeway.schedules.firing import fire
from ropeway.schedules.record import DUE, due_at
from ropeway.store import Backend
from ropeway.worker.patience import Patience
from ropeway.worker.ticks import until

POLL = 1.0
"""Seconds after which it looks by itself, for a hint may be lost."""

STEP_IN, APART = 0.15, 0.01
"""Seconds after which others do what the owner of a schedule has not done, and between two others."""

_LATEST, _PAGE, _MOST_OWNERS, _MEMBERS_EVERY = 0.5, 200, 32, 5.0


class Scheduler:
    """Fires what is due for one worker; any number may, and exactly one message comes of it.

    Of the workers on record one is the owner of a schedule, by a hash of both names. It fires at
    once, and the others only look whether it has: so many workers make no more commits than one.
    """

    def __init__(self, store: Backend, holder: str) -> None:
        self._store, self._holder = store, holder
        self._members: list[str] = []
        self._delays: dict[str, float] = {}
        self._looked = float("-inf")
        self._rung = asyncio.Event()
        self.patience = Patience("schedules are fired")

    async def run(self) -> None:
        """Fire for ever."""
        while True:
            try:
                wait = await self.run_once()
            except RopewayError as error:
                await self.patience.rest(error)
            else:
                await self._sleep(wait)

    def ring(self) -> None:
        """Look now: schedules have been changed."""
        self._rung.set()

    async def run_once(self) -> float:
        """Fire what is due and this worker's to fire; return after how long to look again."""
        after, wait = DUE, until(POLL)
        while True:
            now = await self.patience.ask(self._store.now())
            page = await self.patience.ask(self._store.scan(DUE, after, _PAGE))
            soon = [each.key for each in page if due_at(each.key)[0] <= now + POLL]
            if soon:
                await self._know_members()
            begins = {key: self._from(key) for key in soon}
            mine = [key for key, begin in begins.items() if begin <= now]
            others = [begin for begin in begins.values() if begin > now]
            wait = min([wait, *(begin - now for begin in others)])
            if mine:
                fired = await self.patience.ask(fire(self._store, mine, now))
                wait = min(wait, max(0.0, fired.soonest - now))
            if len(soon) < _PAGE:
                return wait
            after = soon[-1]

    def _from(self, key: str) -> float:
        """Return from when on it is this worker's to fire what is due by a key."""
        due, name = due_at(key)
        delay = self._delays.get(name)
        if delay is None:
            delay = self._delays[name] = delay_of(self._holder, self._members, name)
        return due + delay

    async def _know_members(self) -> None:
        if time.monotonic() - self._looked > _MEMBERS_EVERY:
            # The first by name: of many workers not every one has to be an owner of something.
            self._members = await self.patience.ask(holders(self._store, _MOST_OWNERS))
            self._delays.clear()
            self._looked = time.monotonic()

    async def _sleep(self, wait: float) -> None:
        try:
            async with asyncio.timeout(wait):
                await self._rung.wait()
        except TimeoutError:
            pass
        self._rung.clear()


def delay_of(holder: str, members: list[str], name: str) -> float:
    """Return how long a worker leaves a schedule to others: those who come before it by a hash."""
    if holder not in members and members:
        # One that is not on record yet, or one of too many.
        return _LATEST + _rank(holder, name) % 1000 / 1000.0
    own = _rank(holder, name)
    before = sum(_rank(each, name) < own for each in members)
    return 0.0 if before == 0 else min(_LATEST, STEP_IN + APART * (before - 1))


def _rank(holder: str, name: str) -> int:
    told = hashlib.blake2b(f"{holder}\0{name}".encode(), digest_size=8).digest()
    return int.from_bytes(told, "big")
