"""A server that has forgotten a claim, as a standby may that took over, gives the same attempt again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from ropeway.backends.memory import MemoryBackend
from ropeway.claims import Claim
from ropeway.decide import Keep, Rules
from ropeway.ids import new_id
from ropeway.message import Delivery, Message, Outcome
from ropeway.transition import Answer, Transition
from ropeway.worker.held import Held
from ropeway.worker.settle import Settler
from tests.conftest import AsyncEventually

RETURNED = Outcome(ending="returned", value=b"7")


class Forgetful(MemoryBackend):
    """Refuses the first settle, of what it has forgotten, and by the next has given it away again."""

    def __init__(self, refusals: int) -> None:
        super().__init__()
        self._refusals = refusals
        self.asked = 0

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        settles = [each for each in transitions if each.settle is not None]
        self.asked += len(settles)
        if settles and self.asked <= self._refusals:
            return [Answer(status="refused", reason="lost") for _ in transitions]
        return await super().commit(transitions)


async def _claimed(backend: Forgetful) -> tuple[Held, Settler, Delivery]:
    held = Held()
    settler = Settler(backend, {}, held, Rules(keep=Keep(60, 60, 100), unknown_grace=1))
    await backend.commit([Transition(publish=(Message(id=new_id(), task="t"),))])
    (delivery,) = held.add(await backend.receive([Claim("default", 1)], "me", 60))
    return held, settler, delivery


@pytest.mark.parametrize("refused_first", [True, False])
async def test_what_it_runs_already_is_not_run_again(
    refused_first: bool, aeventually: AsyncEventually
) -> None:
    """Whether the settle is refused before it is claimed again or after: the result holds, once."""
    backend = Forgetful(refusals=1)
    held, settler, delivery = await _claimed(backend)
    loop = asyncio.create_task(settler.run())
    settler.add(delivery, RETURNED)
    if refused_first:
        await aeventually(lambda: settler.lost == 1)
        assert settler.taken_over(held.add([delivery])) == []
    else:
        assert held.add([delivery]) == []
    await aeventually(lambda: settler.settled == 1)
    loop.cancel()
    assert len(held) == 0
    (stats,) = await backend.stats(["default"])
    assert stats.ready == stats.leased == 0


async def test_what_has_come_again_before_it_is_settled_is_settled_once() -> None:
    """Nothing is given back, and nothing is settled anew."""
    backend = Forgetful(refusals=0)
    held, settler, delivery = await _claimed(backend)
    settler.add(delivery, RETURNED)
    assert held.add([delivery]) == []
    assert await settler.run_once() == 1
    assert not settler.pending
    assert (backend.asked, settler.settled, settler.lost) == (1, 1, 0)
    assert not await backend.receive([Claim("default", 1)], "me", 60)
