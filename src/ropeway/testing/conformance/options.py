"""Queues with options, kept by a wrapper that needs no more of a backend than the contracts."""

from __future__ import annotations

from ropeway.bounds import Queue
from ropeway.claims import Claim
from ropeway.deadletters import deaths
from ropeway.decide import Keep
from ropeway.message import Message
from ropeway.states import State
from ropeway.store import Backend
from ropeway.testing.conformance.harness import Harness
from ropeway.testing.conformance.steps import claimer, ids, job, message, send
from ropeway.topology import declare, load
from ropeway.transition import Finish, Transition
from ropeway.wrappers.bounded import Bounded


async def bounded(harness: Harness, **options: object) -> Backend:
    """Return the backend under test with one queue that has options, and is its own "q"."""
    whole = isinstance(harness.backend, Bounded)
    backend = harness.backend if whole else Bounded(harness.backend)
    wanted = {"dead_letter_exchange": "", "dead_letter_key": "grave"} | options
    await declare(backend, queues=[Queue(name="q", **wanted)])  # type: ignore[arg-type]
    return backend


async def dead(harness: Harness) -> list[Message]:
    """Claim the dead letters."""
    return [each.message for each in await claimer(harness, "undertaker").take(50, "grave")]


class OptionCases:
    """What an app has of a queue that it declares with options."""

    async def test_the_oldest_is_dropped(self, harness: Harness) -> None:
        """The newest stay, however they come; each that goes is cancelled, and a dead letter once.

        Broken: the newest is dropped, or what is dropped is in two places or in none.
        """
        backend = await bounded(harness, max_length=2, overflow="drop_oldest")
        sent = [message(queue="q", body=b"%d" % n) for n in range(6)]
        for part in (sent[:1], sent[1:5], sent[5:]):
            await send(backend, *part)
        assert ids(await backend.peek("q")) == [each.id for each in sent[4:]]
        assert (await job(backend, sent[0].id)).state is State.CANCELLED
        letters = await dead(harness)
        assert sorted(each.body for each in letters) == [b"0", b"1", b"2", b"3"]
        assert {each["reason"] for letter in letters for each in deaths(letter)} == {"maxlen"}

    async def test_what_waits_too_long_is_a_dead_letter(self, harness: Harness) -> None:
        """Its time begins when it is due, nobody has to look at it, and there is one letter.

        Broken: it expires in silence, or each round of pruning sends another letter.
        """
        backend = await bounded(harness, message_ttl=2 * harness.unit)
        late, later = message(queue="q"), message(queue="q", delay=2 * harness.unit)
        await send(backend, late, later)
        await harness.advance(3 * harness.unit)
        for _ in range(2):
            await backend.prune(Keep(), 100)
        assert (await job(backend, late.id)).state is State.EXPIRED
        assert ids(await backend.peek("q")) == [later.id]
        letters = await dead(harness)
        assert len(letters) == 1
        (death,) = deaths(letters[0])
        assert (death["queue"], death["reason"], death["count"]) == ("q", "expired", 1)

    async def test_a_dead_letter_goes_with_the_settle(self, harness: Harness) -> None:
        """In its step: once if it is asked for again, and not if the lease is somebody else's.

        Broken: a job that failed for good leaves no letter, or a lost reply makes two of it.
        """
        backend = await bounded(harness)
        await send(backend, message(queue="q"))
        (held,) = await backend.receive([Claim("q", 1)], "first", harness.unit)
        step = Transition(fence=held.fence, settle=Finish(State.FAILED))
        told = [(await backend.commit([step]))[0].status for _ in range(2)]
        assert told == ["applied", "repeated"]
        letters = await dead(harness)
        told_of = [each["reason"] for letter in letters for each in deaths(letter)]
        assert told_of == ["rejected"]

    async def test_a_queue_goes_with_its_last_worker(self, harness: Harness) -> None:
        """Not before one has come, and with all that is on record of it.

        Broken: a queue that nobody needs any more fills for ever.
        """
        backend = await bounded(harness, auto_delete=True)
        await backend.prune(Keep(), 100)
        assert "q" in (await load(backend)).queues
        await send(backend, message(queue="q"), message(queue="q"))
        assert await backend.receive([Claim("q", 1)], "first", harness.unit)
        await harness.advance(31)
        await backend.prune(Keep(), 100)
        assert (await load(backend)).queues == {}
        assert await backend.peek("q") == []
        assert await backend.scan("serv") == []
