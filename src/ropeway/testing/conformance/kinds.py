"""Claims that ask for some kinds of messages."""

from __future__ import annotations

import asyncio

from ropeway.claims import AGEING, Claim, Limit
from ropeway.message import DEFAULT_QUEUE, Kind
from ropeway.states import State
from ropeway.testing.conformance.harness import Harness
from ropeway.testing.conformance.steps import (
    LONG,
    Claimer,
    claimer,
    ids,
    message,
    promptly,
    send,
    sent,
    waiting,
)
from ropeway.transition import Finish

_DONE = Finish(State.SUCCEEDED)


def _for(*kinds: Kind, n: int = 9, lowest: int = 0) -> Claim:
    return Claim(DEFAULT_QUEUE, n, lowest=lowest, kinds=kinds)


class KindCases:
    """`Claim.kinds`: only messages of these are handed out, as if there were no others."""

    async def test_a_claim_takes_the_kinds_it_asks_for(self, harness: Harness) -> None:
        """One kind, several or none: what is not asked for stays; without `kinds` all are.

        Broken: a worker whose threads are all busy gets calls for threads, and sits on them.
        """
        kinds: tuple[Kind, ...] = ("threads", "loop", "cpu")
        messages = [message(kind=kind) for kind in kinds * 2]
        await send(harness.backend, *messages)
        first = claimer(harness)
        assert await first.claim(_for()) == []
        found = await first.claim(_for("loop", n=1), _for("cpu", "loop"))
        assert ids(found) == ids([messages[i] for i in (1, 2, 4, 5)])
        assert [each.message.kind for each in found] == ["loop", "cpu", "loop", "cpu"]
        assert ids(await first.take(9)) == ids([messages[0], messages[3]])

    async def test_what_is_not_asked_for_holds_nothing_back(self, harness: Harness) -> None:
        """A long and urgent backlog of other kinds is as good as none.

        Broken: a claim looks at the first `n` that wait, and finds nothing of what it may have.
        """
        await sent(harness.backend, 300, band=9, kind="threads")
        (wanted,) = await sent(harness.backend, band=0, kind="loop")
        assert ids(await claimer(harness).claim(_for("loop", n=1))) == [wanted.id]

    async def test_several_kinds_come_in_one_order(self, harness: Harness) -> None:
        """Among the kinds asked for bands, ageing, due times and publishing order all alike.

        Broken: one kind after the other, so that the last has to wait for the first to run dry.
        """
        now = await harness.backend.now()
        orders: list[tuple[Kind, int, float]] = [
            ("loop", 5, now - 1),
            ("threads", 5, now - 1),
            ("cpu", 5, now - 2),
            ("loop", 5, now - 1),
            ("threads", 7, now),
            ("loop", 5, now - 3 - 2 * AGEING),
            ("cpu", 9, now),
            ("loop", 7, now),
        ]
        messages = [message(kind=kind, band=band, due=due) for kind, band, due in orders]
        await send(harness.backend, *messages)
        first = claimer(harness)
        expected = ids([messages[i] for i in (6, 5, 4, 7, 2, 0, 1, 3)])
        found = await first.claim(_for("threads", "loop", "cpu", n=3))
        found += await first.claim(_for("cpu", "threads", "loop", n=4))
        assert ids(found) == expected[:7]
        assert ids(await first.take(9)) == expected[7:]

    async def test_a_key_spans_kinds(self, harness: Harness) -> None:
        """The head of a key keeps its place though nobody asks for its kind.

        Broken: the order of a key is that of each kind, and an update runs before its insert.
        """
        head, follower = message(kind="threads", key="k"), message(kind="loop", key="k")
        await send(harness.backend, head, follower)
        first = claimer(harness)
        assert await first.claim(_for("loop", "cpu")) == []
        found = await first.claim(_for("threads"))
        assert ids(found) == [head.id]
        assert await first.claim(_for("loop")) == []
        await first.settle(found[0], _DONE)
        assert ids(await first.claim(_for("loop"))) == [follower.id]

    async def test_expired_leases_are_taken_by_kind(self, harness: Harness) -> None:
        """What a dead worker left behind goes to those who ask for its kind.

        Broken: recovery hands a worker what it has no place for.
        """
        messages = [message(kind="threads"), message(kind="loop"), message(kind="cpu")]
        await send(harness.backend, *messages)
        await claimer(harness, "dead").take(9)
        (waits,) = await sent(harness.backend, kind="loop")
        await harness.advance(harness.unit)
        heir = claimer(harness, "heir")
        assert ids(await heir.claim(_for("loop"))) == [messages[1].id, waits.id]
        assert ids(await heir.claim(_for("cpu", "loop"))) == [messages[2].id]
        assert ids(await heir.take(9)) == [messages[0].id]

    async def test_a_limit_spans_kinds(self, harness: Harness) -> None:
        """A limit counts all kinds, and what waits for it goes to whoever asks for its kind.

        Broken: the first in line is of a kind that nobody can take, and the limit lets none pass.
        """
        await harness.backend.declare([Limit(name="l", in_flight=1)])
        kinds: tuple[Kind, ...] = ("cpu", "threads", "loop")
        held, *others = [message(kind=kind, limits=("l",)) for kind in kinds]
        await send(harness.backend, held, *others)
        first = claimer(harness)
        found = await first.claim(_for("cpu"))
        assert ids(found) == [held.id]
        assert await first.take(9) == []
        await first.settle(found[0], _DONE)
        found = await first.claim(_for("loop"))
        assert ids(found) == [others[1].id]
        assert await first.claim(_for("threads")) == []
        await first.settle(found[0], _DONE)
        assert ids(await first.take(9)) == [others[0].id]


class KindWaitingCases:
    """The same, for who waits."""

    async def test_waiting_for_a_kind(self, harness: Harness) -> None:
        """A worker that waits for one kind gets it soon, while others come that nobody takes.

        Broken: it wakes for the first message that comes, which is not its own, and sleeps on.
        """
        await sent(harness.backend, 3, kind="threads")
        async with waiting(_wait_for(claimer(harness), "loop")) as waiter:
            await sent(harness.backend, 3, kind="threads")
            await asyncio.wait({waiter}, timeout=0.05)
            (wanted,) = await sent(harness.backend, kind="loop")
            async with promptly("the message of the kind that was asked for"):
                assert await waiter == [wanted.id]


async def _wait_for(worker: Claimer, kind: Kind) -> list[str]:
    while not (found := await worker.claim(_for(kind), wait=LONG)):  # noqa: ASYNC110  it waits
        await asyncio.sleep(0)
    return ids(found)
