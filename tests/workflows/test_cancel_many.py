"""A run with much that waits and much that runs is over soon after somebody cancels it."""

from __future__ import annotations

import time

from ropeway.runs.changes import sent_items
from ropeway.runs.records import see
from ropeway.states import State
from ropeway.store import Filter
from tests.conftest import AsyncEventually
from tests.workflows.shop import Shop


async def test_cancel_of_a_thousand(shop: Shop, aeventually: AsyncEventually) -> None:
    """1,000 queued nodes and 50 running ones are over within 2 s, and nothing follows.

    Broken: somebody goes through them one by one, or what runs is waited for.
    """
    with shop.app.workflow("many") as wf:
        wf.map(shop.wait_for_gate, list(range(1_050)), name="hold")
        wf.add(shop.say.call("after"), after="hold")
    run = await wf.asend()
    async with shop.app.worker(loop_slots=50):
        await aeventually(lambda: sum(shop.ran.values()) == 50)
        record, _ = await see(shop.app.store, run.id)
        assert await sent_items(shop.app.store, record, 1) == 1_050
        began = time.monotonic()
        assert await run.acancel() == "cancelled"

        async def over() -> bool:
            looked = [Filter(state=each) for each in (State.QUEUED, State.RUNNING)]
            counts = [(await shop.app.store.count(each, 1)).number for each in looked]
            return not any(counts)

        await aeventually(over)
        assert time.monotonic() - began < 2
    assert await run.astatus() == "cancelled"
    assert sum(shop.ran.values()) == 50
