"""What a loop does while its backend fails, is slow, or never answers: it waits, bounded, and says so."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Sequence

import msgspec
import pytest

from ropeway.backends.memory import MemoryBackend
from ropeway.claims import Claim
from ropeway.decide import Keep, Rules
from ropeway.errors import BackendUnavailable, Indeterminate
from ropeway.ids import new_id
from ropeway.message import Failure, JobRecord, Message, Outcome, job_key
from ropeway.transition import Answer, Transition
from ropeway.worker import patience
from ropeway.worker.held import Held
from ropeway.worker.patience import LONGEST_PAUSE, Patience
from ropeway.worker.settle import Settler
from tests.conftest import AsyncEventually

AWAY = BackendUnavailable("process 7 keeps it locked")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make everything that is slow on purpose quick."""
    monkeypatch.setattr(patience, "NOTICE", 0.02)
    monkeypatch.setattr(patience, "DEADLINE", 0.05)


async def never() -> None:
    """Stand for a backend whose answer never comes."""
    await asyncio.Event().wait()


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the lines of the log."""
    return [record.getMessage() for record in caplog.records]


@pytest.mark.usefixtures("quick")
async def test_an_answer_that_never_comes(caplog: pytest.LogCaptureFixture) -> None:
    """It is told of, given up, and the loop can try again; the verb hears that it is given up."""
    waiting = Patience("jobs are fetched")
    ended: list[str] = []

    async def verb() -> None:
        try:
            await never()
        finally:
            ended.append("cancelled")

    with pytest.raises(Indeterminate):
        await asyncio.wait_for(waiting.ask(verb()), 5)
    assert ended == ["cancelled"]
    assert said(caplog) == [
        "no jobs are fetched: the backend does not answer; trying again until it works"
    ]
    assert waiting.silent > 0.05


@pytest.mark.usefixtures("quick")
async def test_a_loop_that_is_cancelled_is_not_given_up() -> None:
    """Who cancels the loop sees it cancelled, not failed."""
    task = asyncio.create_task(Patience("x").ask(never()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.usefixtures("quick")
async def test_what_is_expected_to_take_long_is_no_silence(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A wait that was asked for is not told of."""
    waiting = Patience("x")
    assert await waiting.ask(asyncio.sleep(0.1, "late"), expected=5) == "late"
    assert said(caplog) == []
    assert waiting.silent == 0.0


async def test_a_timeout_of_the_verb_itself_is_the_verbs() -> None:
    """It is not taken for the deadline."""

    async def verb() -> None:
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        await Patience("x").ask(verb())


async def test_a_long_outage_is_few_lines(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour of tries is a line at its start, some on the way, one at its end; pauses stay short."""
    now, pauses = 1000.0, list[float]()

    async def sleep(seconds: float) -> None:
        nonlocal now
        pauses.append(seconds)
        now += seconds

    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    waiting = Patience("jobs are fetched")
    while now < 4600:
        await waiting.rest(AWAY)
    monkeypatch.undo()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    assert len(pauses) > 3600
    assert max(pauses) <= LONGEST_PAUSE
    assert min(pauses[-100:]) >= LONGEST_PAUSE / 2
    assert len(set(pauses)) > 100  # many workers do not come back in one instant
    assert waiting.silent > 3500
    await waiting.ask(asyncio.sleep(0))
    assert waiting.silent == 0.0
    lines = said(caplog)
    assert lines[0] == "no jobs are fetched: process 7 keeps it locked; trying again until it works"
    assert re.fullmatch(r"no jobs are fetched for 3\d s: process 7 keeps it locked", lines[1])
    assert lines[-1].startswith("jobs are fetched again, after 36")
    assert len(lines) < 16
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


@pytest.mark.usefixtures("quick")
async def test_after_a_pause_of_the_machine_an_answer_is_still_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A worker that was stopped for longer than any deadline takes the answer that lies there."""

    async def verb() -> str:
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[str] = loop.create_future()
        time.sleep(0.3)  # noqa: ASYNC251  as SIGSTOP would: nothing of this process runs
        loop.call_later(0.001, reply.set_result, "it was there")
        return await reply

    assert await Patience("x").ask(verb()) == "it was there"
    assert said(caplog) == []


class Half(MemoryBackend):
    """A backend whose commits are done, and whose first answers never come."""

    def __init__(self, silent: int) -> None:
        super().__init__()
        self.left = silent

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        answers = await super().commit(transitions)
        if transitions[0].settle and self.left:
            self.left -= 1
            await never()
        return answers


@pytest.mark.usefixtures("quick")
async def test_a_settle_without_an_answer_is_repeated(
    aeventually: AsyncEventually, caplog: pytest.LogCaptureFixture
) -> None:
    """Over a half-open connection a result is settled once, and nothing piles up meanwhile."""
    backend, held = Half(silent=3), Held()
    settler = Settler(backend, {}, held, Rules(keep=Keep(60, 60, 100), unknown_grace=1))
    await backend.commit([Transition(publish=(Message(id=new_id(), task="t"),))])
    (delivery,) = held.add(await backend.receive([Claim("default", 1)], "me", 60))
    settler.add(delivery, Outcome(ending="returned", value=b"7"))
    loop = asyncio.create_task(settler.run())
    await aeventually(lambda: not len(held))
    loop.cancel()
    assert (settler.settled, settler.lost, backend.left) == (1, 0, 0)
    assert said(caplog)[-1].startswith("results are settled again, after ")
    assert len(said(caplog)) == 2


@pytest.mark.usefixtures("quick")
async def test_what_was_given_back_without_an_answer_is_charged_once(
    aeventually: AsyncEventually,
) -> None:
    """Also when this very worker has claimed it again before it repeats what it asked for."""
    backend, held = Half(silent=1), Held()
    settler = Settler(backend, {}, held, Rules(keep=Keep(60, 60, 100), unknown_grace=1))
    job_id = new_id()
    await backend.commit([Transition(publish=(Message(id=job_id, task="t"),))])
    (delivery,) = held.add(await backend.receive([Claim("default", 1)], "me", 60))
    failure = Failure(type="Failed", message="as planned")
    settler.add(delivery, Outcome(ending="raised", error=failure, after=0.0))
    loop = asyncio.create_task(settler.run())
    await aeventually(lambda: not backend.left)
    again = await backend.receive([Claim("default", 1)], "me", 60)
    assert [(each.fence.attempt, each.failures) for each in again] == [(2, 1)]
    assert held.add(again) == []
    await aeventually(lambda: not len(held))
    loop.cancel()
    (record,) = await backend.get([job_key(job_id)])
    assert record is not None
    job = msgspec.msgpack.decode(record.value, type=JobRecord)
    assert (job.state, job.failures, job.releases) == ("queued", 1, 1)
