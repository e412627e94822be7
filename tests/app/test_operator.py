"""What is done by hand, through one place, and on record."""

from __future__ import annotations

import asyncio

import pytest

from ropeway import Ropeway
from ropeway.config import load
from ropeway.errors import BadRole, JobNotFound
from ropeway.operate.audit import Entry, entries, noted
from ropeway.operate.operator import Operator
from ropeway.operate.roles import ACTIONS, NEEDS, ROLES, allows, rights
from ropeway.store import Backend


@pytest.fixture
async def store() -> Backend:
    """Return a store in memory."""
    return Ropeway("memory://").connection.looped()


def an_operator(store: Backend) -> Operator:
    """Return somebody who acts on the store."""
    return Operator(store, load({"url": "memory://"}), by="kim", via="test")


async def on_record(store: Backend) -> list[Entry]:
    """Return the whole log, newest first."""
    return (await entries(store)).entries


async def test_a_deed_is_on_record(store: Backend) -> None:
    """With who, why and what came of it; the newest comes first."""
    operator = an_operator(store)
    await operator.pause("mail", "the provider is down")
    assert await operator.resume("mail")
    resumed, paused = await on_record(store)
    assert (paused.action, paused.target, paused.by) == ("queues.pause", "mail", "kim")
    assert (paused.why, paused.outcome) == ("the provider is down", "done")
    assert (resumed.action, resumed.outcome) == ("queues.resume", "done")


async def test_a_deed_that_fails_is_on_record(store: Backend) -> None:
    """As refused, with the reason; what was asked for raises as it would without the log."""
    with pytest.raises(JobNotFound):
        await an_operator(store).cancel("no-such-job")
    (entry,) = await on_record(store)
    assert entry.outcome == "refused"
    assert "nothing is kept of job no-such-job" in entry.told


async def test_a_deed_whose_program_died_has_begun(store: Backend) -> None:
    """What was cut off between the deed and its completion is not hidden."""
    with pytest.raises(asyncio.CancelledError):
        async with noted(store, "queues.purge", "mail", by="kim", via="test"):
            raise asyncio.CancelledError
    (entry,) = await on_record(store)
    assert entry.outcome == "begun"


async def test_pages_of_the_log(store: Backend) -> None:
    """Each entry is on exactly one page."""
    operator = an_operator(store)
    for number in range(5):
        await operator.resume(f"q{number}")
    first = await entries(store, limit=2)
    second = await entries(store, first.older, limit=2)
    third = await entries(store, second.older, limit=2)
    told = [each.target for page in (first, second, third) for each in page.entries]
    assert told == ["q4", "q3", "q2", "q1", "q0"]
    assert third.older == ""


async def test_run_now_and_its_preview(store: Backend) -> None:
    """What waits for its time is due at once; the preview says so and changes nothing."""
    app = Ropeway("memory://")

    @app.task
    def later() -> None: ...

    early = await later.using(delay=3600).asend()
    due = await later.asend()
    operator = an_operator(app.store)
    plan = await operator.plan("run_now")
    told = await operator.preview([early.id, due.id], plan)
    assert (told.done, told.skipped) == (1, {"it is due already": 1})
    assert (await early.asnapshot()).view == "scheduled"
    assert (await operator.change("run_now", [early.id, due.id], plan)).done == 1
    assert (await early.asnapshot()).view == "queued"
    (entry,) = await on_record(app.store)
    assert entry.told == "1 of 2; 1 left: it is due already"


def test_each_action_needs_a_role() -> None:
    """Nobody who only looks can act, and an admin can do everything."""
    assert set(NEEDS) == set(ACTIONS)
    assert [action for action in ACTIONS if allows("view", action)] == ["jobs.payload"]
    assert all(allows("admin", action) for action in ACTIONS)
    losing = {"jobs.remove", "jobs.edit", "queues.purge", "workers.stop"}
    assert not any(allows("operate", action) for action in ACTIONS if action in losing)
    assert ROLES == ("view", "operate", "admin")


@pytest.mark.parametrize(
    ("role", "with_it", "without_it"),
    [
        ("view+jobs.retry", {"jobs.retry", "jobs.payload"}, {"jobs.cancel", "audit.view"}),
        ("operate-workflows.*", {"jobs.retry", "audit.view"}, {"workflows.signal"}),
        ("view + queues.* - queues.purge", {"queues.pause"}, {"queues.purge", "jobs.retry"}),
        ("view-*+audit.view", {"audit.view"}, {"jobs.payload", "jobs.retry"}),
        ("admin-*", set(), set(ACTIONS)),
    ],
)
def test_more_or_fewer_rights_than_a_role_has(
    role: str, with_it: set[str], without_it: set[str]
) -> None:
    """They are named after it, each or by a pattern; what comes later counts more."""
    assert with_it <= rights(role)
    assert not without_it & rights(role)


@pytest.mark.parametrize("role", ["", "root", "view+", "view+job.retry", "view-queues.*s", "+view"])
def test_what_is_no_role_is_refused(role: str) -> None:
    """A misspelt right is not one that nobody has, but an error that says so."""
    with pytest.raises(BadRole, match=r"is no (role|action)"):
        rights(role)
