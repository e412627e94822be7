"""What a person does to jobs, from a program: cancel, retry, edit, remove; one, or many by cause."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ropeway import Ropeway, State, TaskFailed, Unique, jobs
from ropeway.claims import Claim
from ropeway.errors import BadArguments, JobCancelled, JobNotFound, NotUnique, Refused
from ropeway.ids import new_id
from ropeway.message import Delivery, Failure, Message, fingerprint
from ropeway.results import Job
from ropeway.stepping import step
from ropeway.transition import Finish, Reject, Settle, Transition


class World:
    """An app in memory whose jobs are taken and settled by the test."""

    def __init__(self) -> None:
        self.app = Ropeway("memory://")
        self.store = self.app.connection.blocking()

        @self.app.task(name="add", expires="1h")
        def add(x: int, y: int = 0) -> int:
            return x + y

        self.add = add

    def publish(self, **fields: Any) -> Job[Any]:
        """Send a message that no task would."""
        message = Message(**{"id": new_id(), "task": "add", **fields})
        step(self.store.commit([Transition(publish=(message,))]))
        return self.app.job(message.id)

    def take(self, n: int = 1000) -> list[Delivery]:
        """Take what is due."""
        return step(self.store.receive([Claim("default", n)], "me", 60.0))

    def settle(self, settle: Settle) -> None:
        """Settle all that is due."""
        wanted = [Transition(fence=each.fence, settle=settle) for each in self.take()]
        assert all(answer.ok for answer in step(self.store.commit(wanted)))

    def fail(self, text: str = "x", kind: str = "E") -> str:
        """Have all that is due fail for one cause; return its fingerprint."""
        cause = fingerprint("add", kind)
        error = Failure(type=kind, message=text, fingerprint=cause)
        self.settle(Finish(State.FAILED, None, error, 1000.0))
        return cause

    def reject(self, reason: str = "bad_arguments") -> str:
        """Put all that is due into quarantine."""
        cause = fingerprint("add", reason)
        self.settle(Reject(reason, "no", fingerprint=cause))
        return cause


@pytest.fixture
def world() -> World:
    """Return an app with nothing in it."""
    return World()


# -- one job ---------------------------------------------------------------------------------------


def test_cancelling_says_what_became_of_it(world: World) -> None:
    """A job that waits is cancelled, one that runs is asked to stop, one that has ended stays."""
    waits, runs, done = world.add.using(delay=60).send(1), world.add.send(2), world.add.send(3)
    assert len(world.take(1)) == 1
    assert (waits.cancel(), runs.cancel()) == ("cancelled", "asked")
    world.fail()
    assert done.cancel() == waits.cancel() == "ended"
    assert [each.status() for each in (waits, runs, done)] == ["cancelled", "running", "failed"]
    with pytest.raises(JobNotFound):
        world.app.job(new_id()).cancel()


def test_waiting_for_a_cancelled_job(world: World) -> None:
    """Whoever waits for its result is told that it was cancelled, as a kind of failure."""
    job = world.add.send(1)
    job.cancel()
    with pytest.raises(JobCancelled, match="was cancelled") as caught:
        job.result(5)
    assert isinstance(caught.value, TaskFailed)
    assert f"ropeway jobs retry {job.id}" in caught.value.hint


def test_a_failed_job_runs_again_under_its_id(world: World) -> None:
    """Its handle, and whoever has its id, gets the result of the run that was asked for."""
    job = world.add.send(1)
    world.fail()
    with pytest.raises(TaskFailed):
        job.result(0)
    job.retry()
    (again,) = world.take()
    assert (again.fence.id, again.failures, again.abandoned) == (job.id, 0, 0)
    step(world.store.commit([Transition(fence=again.fence, settle=Finish(State.SUCCEEDED, b"9"))]))
    assert job.result(0) == 9


def test_a_retry_can_be_delayed(world: World) -> None:
    """With a delay it is due then."""
    job = world.add.send(1)
    world.fail()
    job.retry(delay="1h")
    assert world.take() == []
    assert 3500 < job.record().due - step(world.store.now()) < 3601


def test_only_what_has_ended_runs_again(world: World) -> None:
    """A job that waits or runs is refused with its state, one that succeeded unless asked for."""
    job = world.add.send(1)
    with pytest.raises(Refused, match="it is queued"):
        job.retry()
    world.take()
    with pytest.raises(Refused, match="it is running"):
        job.retry()
    done = world.add.send(2)
    world.settle(Finish(State.SUCCEEDED, b"1"))
    with pytest.raises(Refused, match="it succeeded"):
        done.retry()
    done.retry(succeeded=True)
    assert done.status() == "queued"
    with pytest.raises(JobNotFound):
        world.app.job(new_id()).retry()


def test_what_expired_may_run_after_all(world: World) -> None:
    """A date that is over does not end it again, one ahead stays, and a duration begins anew."""
    now = step(world.store.now())
    over = world.publish(expires=now - 5)
    ahead = world.publish(expires=now + 500)
    world.settle(Finish(State.EXPIRED))
    again = world.add.send(1)
    world.settle(Finish(State.EXPIRED))
    for job in (over, ahead, again):
        job.retry(delay=7200 if job is again else 0.0)
    assert (over.record().message.expires, ahead.record().message.expires) == (None, now + 500)
    record = again.record()
    expiry = record.message.expiry(record.enqueued)
    assert expiry is not None
    assert 3599 < expiry - record.due < 3601


def test_a_job_is_removed(world: World) -> None:
    """Nothing is kept of it; one that has not ended is refused."""
    job = world.add.send(1)
    with pytest.raises(Refused, match="is queued"):
        job.remove()
    job.cancel()
    job.remove()
    with pytest.raises(JobNotFound):
        job.record()


def test_two_people_retry_one_job(world: World) -> None:
    """The second one is told that it has changed, and it runs once."""
    job = world.add.send(1)
    world.fail()
    seen = step(jobs.see(world.store, job.id))
    job.retry()
    with pytest.raises(Refused, match="has changed since"):
        step(jobs.retry(world.store, seen, delay=0.0, succeeded=False))
    assert len(world.take()) == 1


def test_a_unique_job_is_revived_alone(world: World) -> None:
    """Where another job has taken its purpose it does not run beside it; else it takes it back."""
    first = world.add.using(unique=True).send(1)
    world.fail()
    second = world.add.using(unique=True).send(1)
    assert second.id != first.id
    with pytest.raises(Refused, match=f"job {second.id} is there for the same purpose"):
        first.retry()
    assert world.app.quarantine.of(State.FAILED).retry(first.id).skipped == {
        "another job is there for its purpose": 1
    }
    second.cancel()
    first.retry()
    assert world.add.using(unique=True).send(1) == first
    with pytest.raises(NotUnique):
        world.add.using(unique=Unique(conflict="refuse")).send(1)
    world.fail()
    assert world.add.using(unique=True).send(1) != first


# -- putting right ---------------------------------------------------------------------------------


def test_wrong_arguments_are_put_right(world: World) -> None:
    """What is in quarantine gets other arguments and runs; the rest of the message stays."""
    job = world.publish(body=b'{"x": "one"}', headers={"a": "b"}, band=2)
    world.reject()
    world.app.quarantine.edit(job.id, arguments={"x": 1}, priority=7)
    (again,) = world.take()
    assert (again.message.body, again.message.band) == (b'{"x":1}', 7)
    assert again.message.headers == {"a": "b"}


def test_bytes_stay_until_they_are_changed(world: World) -> None:
    """Bytes that nobody can read are shown, and run again, as they came; or are replaced."""
    body = b'\xff\xfe{"x": 1'
    job = world.publish(body=body, content_type="image/gif")
    world.reject("undecodable")
    assert world.app.quarantine.show(job.id).message.body == body
    world.app.quarantine.retry(job.id)
    assert world.take(1)[0].message.body == body
    world.app.job(job.id).cancel()
    other = world.publish(body=body, content_type="image/gif")
    world.reject("undecodable")
    world.app.quarantine.edit(other.id, arguments={"x": 1})
    message = other.record().message
    assert (message.body, message.content_type) == (b'{"x":1}', "application/json")
    third = world.publish(body=body, task="gone")
    world.reject("unknown_task")
    world.app.quarantine.edit(third.id, body=b"{}", task="elsewhere", queue="q", headers={})
    message = third.record().message
    assert (message.task, message.queue, message.body) == ("elsewhere", "q", b"{}")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"arguments": {"x": "one"}}, "Expected `int`, got `str`"),
        ({"arguments": {}}, "missing required field `x`"),
        ({"arguments": {"x": 1}, "body": b"{}"}, "both arguments and body"),
        ({"arguments": [1]}, "Expected `object`"),
        ({"queue": ""}, "is not a name"),
        ({"priority": 10}, "is not from 0 to 9"),
        ({"body": "text"}, "cannot be changed so"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_correction_changes_nothing(
    world: World, changes: dict[str, Any], said: str
) -> None:
    """It is refused with its reason, and the job stays where it is."""
    job = world.publish(body=b"{")
    world.reject()
    with pytest.raises(BadArguments, match=said):
        world.app.quarantine.edit(job.id, **changes)
    assert (job.status(), job.record().message.body) == ("quarantined", b"{")


# -- many ------------------------------------------------------------------------------------------


def test_failures_are_grouped_and_found(world: World) -> None:
    """By cause, the largest first; and listed by task, queue, cause and time."""
    bad = [world.add.send(i).id for i in range(3)]
    cause = world.reject()
    world.add.send(4)
    world.reject("worker_lost")
    failed = world.add.send(5)
    other = world.fail()
    groups = world.app.quarantine.groups()
    assert [(group.number, group.newest.error.type) for group in groups if group.newest.error] == [
        (3, "bad_arguments"),
        (1, "worker_lost"),
    ]
    assert [job.message.id for job in world.app.quarantine.ls(error=cause).jobs] == bad[::-1]
    assert world.app.quarantine.ls(error=other).jobs == []
    found = world.app.quarantine.of(State.FAILED).ls(error=other, task="add", since="1h").jobs
    assert [job.message.id for job in found] == [failed.id]
    quarantine = world.app.quarantine
    later = datetime.now(UTC) + timedelta(hours=1)
    assert len(quarantine.ls(since=timedelta(hours=1), until=later, queue="default").jobs) == 4
    assert quarantine.ls(since=datetime(2100, 1, 1, tzinfo=UTC)).jobs == []
    page = quarantine.ls(limit=3)
    assert (len(page.jobs), len(quarantine.ls(before=page.older).jobs)) == (3, 1)


def test_a_bulk_retry(world: World) -> None:
    """All that a filter says runs again, nothing else; a dry run says how many, and does nothing."""
    bad = [world.add.send(i) for i in range(450)]
    cause = world.reject()
    world.add.send(0)
    world.reject("worker_lost")
    failed = world.add.send(1)
    world.fail()
    dry = world.app.quarantine.retry(error=cause, dry_run=True)
    assert (dry.found, dry.done, dry.dry_run) == (450, 450, True)
    assert dry.sample == tuple(job.id for job in bad[:5])
    assert world.take(1) == []
    done = world.app.quarantine.retry(error=cause)
    assert (done.found, done.done, done.skipped) == (450, 450, {})
    assert [each.fence.id for each in world.take(1000)] == [job.id for job in bad]
    assert failed.status() == "failed"
    assert world.app.quarantine.retry(everything=True).done == 1


def test_a_rate_spreads_them(world: World) -> None:
    """With a rate so many are due a second, the oldest first; not all at once."""
    bad = [world.add.send(i) for i in range(300)]
    world.reject()
    now = step(world.store.now())
    assert world.app.quarantine.retry(everything=True, rate="600/m").done == 300
    dues = [job.record().due - now for job in bad]
    assert dues == sorted(dues)
    assert dues[299] - dues[0] == pytest.approx(29.9)
    assert len(world.take(1000)) <= 10


def test_what_changed_meanwhile_is_left_alone(world: World) -> None:
    """Jobs that are named and are not in quarantine, or gone, are counted with the reason."""
    bad, good = world.add.send(1), world.add.using(delay=60).send(2)
    world.reject()
    gone = new_id()
    done = world.app.quarantine.retry(bad.id, good.id, gone, bad.id)
    assert (done.found, done.done) == (3, 1)
    assert done.skipped == {"it is queued": 1, "it is not kept any more": 1}


def test_a_bulk_removal(world: World) -> None:
    """What is removed is gone; a limit takes the newest."""
    bad = [world.add.send(i) for i in range(5)]
    world.reject()
    assert world.app.quarantine.remove(task="add", limit=2).done == 2
    assert [len(world.app.quarantine.ls(limit=n).jobs) for n in (9, 2)] == [3, 2]
    assert bad[0].status() == "quarantined"
    with pytest.raises(JobNotFound):
        bad[4].status()


@pytest.mark.parametrize(
    ("ids", "options", "said"),
    [
        ((), {}, "which jobs are meant"),
        ((), {"error": None}, "which jobs are meant"),
        (("a",), {"task": "t"}, "which jobs are meant"),
        ((), {"task": "t", "everything": True}, "which jobs are meant"),
        ((), {"tusk": "t"}, "chosen by 'tusk'"),
        ((), {"since": datetime(2030, 1, 1)}, "no time zone"),  # noqa: DTZ001  the point
        ((), {"since": "yesterday"}, "not a duration"),
        (("a",), {"rate": "10/fortnight"}, "not a rate"),
        (("a",), {"rate": 0}, "not a rate"),
        (("a",), {"rate": "nan/s"}, "not a rate"),
    ],
)
def test_what_is_not_clear_changes_nothing(
    world: World, ids: tuple[str, ...], options: dict[str, Any], said: str
) -> None:
    """An empty filter is never taken for everything."""
    job = world.add.send(1)
    world.reject()
    with pytest.raises(BadArguments, match=said):
        world.app.quarantine.retry(*ids, **options)
    assert job.status() == "quarantined"


def test_a_quarantine_of_what_goes_on() -> None:
    """Only states that are ends have one."""
    with pytest.raises(BadArguments, match="has not ended"):
        Ropeway("memory://").quarantine.of(State.RUNNING)


def test_all_of_it_for_async_code(world: World) -> None:
    """Each verb has its twin."""

    async def run() -> None:
        app = Ropeway("memory://")

        @app.task(name="add")
        def add(x: int) -> int:
            return x

        sent = [await add.asend(i) for i in range(4)]
        taken = await app.store.receive([Claim("default", 4)], "me", 60.0)
        await app.store.commit([Transition(fence=t.fence, settle=Reject("r")) for t in taken])
        quarantine = app.quarantine
        assert len((await quarantine.als()).jobs) == 4
        assert [group.number for group in await quarantine.agroups()] == [4]
        assert (await quarantine.ashow(sent[0].id)).state is State.QUARANTINED
        await quarantine.aedit(sent[0].id, arguments={"x": 5})
        assert (await quarantine.aretry(sent[1].id)).done == 1
        assert (await quarantine.aremove(sent[2].id)).done == 1
        await sent[3].aretry()
        assert await sent[3].acancel() == "cancelled"
        await sent[3].aremove()
        with pytest.raises(JobNotFound):
            await sent[2].astatus()

    asyncio.run(run())
