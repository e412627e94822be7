"""Schedules as an app has them: in code and at run time, in a sandbox whose clock the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from ropeway import Ropeway, current
from ropeway.cron.timetable import Overlap
from ropeway.errors import (
    BadArguments,
    BadSchedule,
    MessageTooLarge,
    Refused,
    ScheduleNotFound,
)
from ropeway.schedules.declaring import bring_into_force
from ropeway.stepping import step
from ropeway.testing.sandbox import Sandbox

START = datetime(2027, 3, 27, tzinfo=UTC)


class World:
    """An app in a sandbox, and which calls ran when."""

    def __init__(self) -> None:
        self.app = Ropeway("memory://")
        self.ran: list[tuple[str, str]] = []

        @self.app.task(name="note")
        def note(text: str = "") -> str:
            self.ran.append((text, current.headers["ropeway-instant"][11:16]))
            return text

        self.note = note


@pytest.fixture
def world() -> World:
    """Return an app with one task."""
    return World()


@pytest.fixture
def sandbox(world: World) -> Iterator[Sandbox]:
    """Return its sandbox, at midnight."""
    with world.app.testing(start=START) as sandbox:
        sandbox.run()
        yield sandbox


def test_time_fires_schedules(world: World, sandbox: Sandbox) -> None:
    """Of code and added: each at its instant, in order, and the job knows which."""
    schedules = world.app.schedules
    schedules.add("quarter", world.note.call("a"), "*/15 * * * *")
    schedules.add("half", world.note.call("b"), every="30m")
    jobs = sandbox.advance("1h")
    assert sorted(world.ran) == [
        ("a", "00:15"),
        ("a", "00:30"),
        ("a", "00:45"),
        ("a", "01:00"),
        ("b", "00:30"),
        ("b", "01:00"),
    ]
    assert len({job.id for job in jobs}) == 6
    kept = schedules.history("quarter")
    assert [each.at.minute for each in kept] == [0, 45, 30, 15]
    assert {each.state for each in kept} == {"succeeded"}
    assert {each.job for each in kept} < {job.id for job in jobs}
    assert all(0 <= each.late < 0.01 for each in kept)


def test_one_after_the_other_is_over(world: World, sandbox: Sandbox) -> None:
    """A date, a list of dates, a number of runs and an end: then it has finished, and is cleared."""
    schedules, call = world.app.schedules, world.note.call("x")
    schedules.add("once", call, at=START + timedelta(hours=1))
    schedules.add("twice", call, at=[START + timedelta(hours=each) for each in (3, 2)])
    schedules.add("three", call, every="1h", max_runs=3)
    schedules.add("ends", call, every="1h", start=START + timedelta(hours=2, minutes=5),
                  end=START + timedelta(hours=3, minutes=5))  # fmt: skip
    sandbox.run_all()
    assert world.ran == []  # schedules alone give `run_all` nothing to do
    sandbox.advance("10h")
    assert {each.name: each.runs for each in schedules.ls()} == {
        "once": 1, "twice": 2, "three": 3, "ends": 2
    }  # fmt: skip
    assert {each.state for each in schedules.ls()} == {"finished"}
    assert schedules.next("once") == []
    assert schedules.clear() == 8
    assert schedules.ls() == []
    with pytest.raises(BadSchedule, match="would never fire"):
        schedules.add("late", call, at=START)


def test_pause_edit_and_resume_fire_nothing_at_once(world: World, sandbox: Sandbox) -> None:
    """Neither what was due meanwhile nor what was due before."""
    schedules = world.app.schedules
    schedules.add("tick", world.note.call("a"), "*/10 * * * *")
    version = schedules.pause("tick", why="too many").version
    sandbox.advance("25m")
    assert world.ran == []
    assert (schedules.get("tick").state, schedules.get("tick").why) == ("paused", "too many")
    assert [each.at.minute for each in schedules.next("tick", 2)] == [10, 20]
    assert schedules.resume("tick").version > version
    assert schedules.resume("tick") == schedules.get("tick")  # once more changes nothing
    sandbox.advance("10m")
    assert world.ran == [("a", "00:30")]
    schedules.edit("tick", world.note.call("b"), every="1h")
    sandbox.advance("20m")
    assert world.ran == [("a", "00:30")]
    sandbox.advance("10m")
    assert world.ran[1:] == [("b", "01:00")]
    with pytest.raises(BadSchedule, match="would never fire"):
        schedules.edit("tick", max_runs=2)
    edited = schedules.edit("tick", overlap="skip", max_runs=3)
    assert (edited.timetable.every, edited.timetable.overlap) == (3600.0, "skip")
    schedules.remove("tick")
    sandbox.advance("3h")
    assert len(world.ran) == 2
    for verb in (schedules.get, schedules.pause, schedules.resume, schedules.remove):
        with pytest.raises(ScheduleNotFound):
            verb("tick")


def test_by_hand(world: World, sandbox: Sandbox) -> None:
    """`run_now` also while it is paused; what has not ended is not cleared."""
    schedules = world.app.schedules
    schedules.add("tick", world.note.call("a"), "0 3 * * *")
    schedules.pause("tick")
    job = schedules.run_now("tick")
    assert schedules.clear("tick") == 0
    assert job.result() == "a"
    assert [each.decision for each in schedules.history("tick")] == ["by_hand"]
    assert schedules.clear("tick") == 1
    assert schedules.history("tick") == []
    assert [each.name for each in schedules.ls()] == ["tick"]


def test_history_ends(world: World, sandbox: Sandbox) -> None:
    """After the time it is kept for; of a schedule that fires often the newest thousand stay."""
    schedules = world.app.schedules
    schedules.add("ten", world.note.call(), every="10m", history="2h")
    schedules.add(
        "often", world.note.call(), every="1m", history="7d", end=START + timedelta(hours=20)
    )
    sandbox.advance("20h")
    sandbox.advance("1m")
    assert len(schedules.history("ten", 1_000)) == 12
    assert 990 < len(schedules.history("often", 2_000)) <= 1_000


def test_a_backfill_sends_each_instant_once(world: World, sandbox: Sandbox) -> None:
    """Asked first, within a bound, and not what has its job already."""
    schedules = world.app.schedules
    schedules.add("tick", world.note.call("a"), "0 * * * *")
    sandbox.advance("2h")
    since, until = START - timedelta(hours=3), START + timedelta(hours=9)
    planned = schedules.backfill("tick", since, until, dry_run=True)
    assert (len(planned.instants), planned.jobs, planned.there) == (4, (), 2)
    assert len(world.ran) == 2
    with pytest.raises(Refused, match="more than 5 instants"):
        schedules.backfill("tick", since, until, limit=5)
    assert len(schedules.backfill("tick", since, until).jobs) == 4
    assert schedules.backfill("tick", since, until).jobs == ()
    sandbox.run()
    assert sorted(each[1] for each in world.ran) == [
        "00:00",
        "01:00",
        "02:00",
        "21:00",
        "22:00",
        "23:00",
    ]
    with pytest.raises(BadArguments):
        schedules.backfill("tick", datetime(2027, 1, 1), until)  # noqa: DTZ001  # the test


def test_what_is_next_tells_of_changed_clocks(world: World, sandbox: Sandbox) -> None:
    """In the zone of the schedule."""
    world.app.schedules.add("tick", world.note.call(), "30 2 * * *", timezone="Europe/Berlin")
    first, second, _ = world.app.schedules.next("tick", 3)
    assert (first.at.isoformat(), first.note) == ("2027-03-27T02:30:00+01:00", "")
    assert second.at.isoformat() == "2027-03-28T03:00:00+02:00"
    assert second.note == "02:30 does not exist on 2027-03-28: runs at 03:00"


def test_code_is_followed(world: World, sandbox: Sandbox) -> None:
    """A deploy changes and removes what the code declares; a pause survives it."""
    one = world.app.schedules
    world.app.schedule("*/10 * * * *", name="kept")(world.note)
    world.app.schedule(every="1h", name="gone")(world.note)
    assert one.declare("app") == ["kept", "gone"]
    assert one.declare("app") == []
    one.add("by.hand", world.note.call(), every="1h")
    one.pause("kept", why="for now")
    one.edit("gone", every="2h")
    assert one.declare("app") == []  # what people changed holds until the code says otherwise
    with pytest.raises(Refused, match="declared by the code of app"):
        one.remove("kept")
    other = Ropeway("memory://")
    note = other.task(name="note")(of_another_version)
    other.schedule("*/5 * * * *", name="kept")(note)
    backend = world.app.connection.blocking()
    assert sorted(step(bring_into_force(backend, other.schedules.declared, "app"))) == [
        "gone",
        "kept",
    ]
    assert [each.name for each in one.ls()] == ["by.hand", "kept"]
    kept = one.get("kept")
    assert (kept.timetable.cron, kept.state, kept.why) == ("*/5 * * * *", "paused", "for now")
    one.remove("kept", force=True)


def of_another_version() -> None:
    """Do nothing: the task of another version of the code."""


def test_wrong_uses_are_refused(world: World) -> None:
    """Where they are written, with what to write instead."""
    app = world.app

    @app.task
    def needs(x: int) -> None: ...

    def plain() -> None: ...

    with pytest.raises(BadSchedule, match="nobody gives it arguments"):
        app.schedule("0 2 * * *")(needs)  # type: ignore[type-var]  # it is refused here too
    with pytest.raises(BadSchedule, match="is no task yet"):
        app.schedule("0 2 * * *")(plain)  # type: ignore[type-var]
    with pytest.raises(BadSchedule, match="hour '25'"):
        app.schedule("0 25 * * *")
    app.schedule("0 2 * * *", name="same")(world.note)
    with pytest.raises(BadSchedule, match="two schedules are called 'same'"):
        app.schedule("0 3 * * *", name="same")(world.note)
    with app.testing():
        add, call = app.schedules.add, world.note.call()
        add("there", call, every=60)
        with pytest.raises(Refused, match="there is a schedule 'there' already"):
            add("there", call, every=60)
        with pytest.raises(BadSchedule, match="no name of a schedule"):
            add("a/b", call, every=60)
        with pytest.raises(BadSchedule, match="no option 'cronn'"):
            add("x", call, cronn="* * * * *")  # type: ignore[call-arg]
        with pytest.raises(BadSchedule, match="no date with a time zone"):
            add("x", call, at=datetime(2030, 1, 1))  # noqa: DTZ001  # the test
        with pytest.raises(BadSchedule, match="unique="):
            add("x", world.note.using(unique=True).call(), every=60)
        with pytest.raises(BadSchedule, match="at="):
            add("x", world.note.using(at=datetime(2030, 1, 1, tzinfo=UTC)).call(), every=60)
        with pytest.raises(BadArguments, match="is no call of a task"):
            add("x", world.note, every=60)  # type: ignore[arg-type]
        with pytest.raises(MessageTooLarge):
            add("x", world.note.call("x" * 2_000_000), every=60)


@pytest.mark.parametrize(
    ("overlap", "wanted"),
    [
        ("allow", ["00:10", "00:20", "00:30"]),
        ("skip", ["00:10"]),
        ("queue_one", ["00:10", "00:20"]),
        ("cancel_running", ["00:10", "00:20", "00:30"]),
    ],
)
async def test_overlap(world: World, overlap: Overlap, wanted: list[str]) -> None:
    """What happens at 00:20 and 00:30 while the job of 00:10 runs until 00:35."""
    app, begun, open_now, most = world.app, list[str](), set[str](), 0

    @app.task(name="slow", retries=0)
    async def slow() -> None:
        nonlocal most
        begun.append(current.headers["ropeway-instant"][11:16])
        open_now.add(current.job_id)
        most = max(most, len(open_now))
        try:
            await app.store.now()
            if begun[-1] == "00:10":
                await holding.aresult()
        finally:
            open_now.discard(current.job_id)

    async with app.testing(start=START, concurrency=10) as sandbox:
        await sandbox.arun()
        holding = await world.note.using(delay="35m", headers={"ropeway-instant": "x" * 20}).asend()
        await app.schedules.aadd(
            "slow",
            slow.call(),
            "*/10 * * * *",
            overlap=overlap,
            end=START + timedelta(minutes=31),
        )
        await sandbox.aadvance("36m")
        # Where one is cancelled, the next may be so before it begins.
        assert begun == wanted or (overlap == "cancel_running" and begun == [wanted[0], wanted[-1]])
        assert most == 1 if overlap in {"queue_one", "skip"} else most >= 1
        kept = await app.schedules.ahistory("slow")
        assert [each.decision for each in kept].count("fired") == len(wanted)
