"""Large arguments and results: as any others, to everybody who sends, runs, waits or looks."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ropeway import Ropeway, TaskFailed, Unique
from ropeway.errors import BodyLost, JobNotFound, MessageTooLarge
from ropeway.reference import HEADS, PIECES, reference_of
from ropeway.results import Job
from ropeway.states import State
from ropeway.stepping import step
from ropeway.transition import Drop, Transition
from tests.cli.support import process
from tests.conftest import Eventually
from tests.places import KINDS, url_of
from tests.worker.rig import Rig, opened

TASKS = """
import hashlib

@app.task
def digest(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()

@app.task
async def adigest(data: bytes, more: str = "") -> str:
    return hashlib.sha1(data).hexdigest()

@app.task(cpu=True)
def cdigest(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()

@app.task
def make(count: int) -> bytes:
    witness()
    return b"\\xfe" * count

@app.task
async def amake(count: int) -> bytes:
    return b"\\xfe" * count

@app.task(cpu=True)
def cmake(count: int) -> bytes:
    return b"\\xfe" * count

@app.task(retries=2)
def second_time(data: bytes) -> int:
    witness()
    if current.attempt == 1:
        raise Retry("once more", after=0)
    return len(data)

@app.task
def gated(data: bytes) -> int:
    witness("began")
    hold()
    return len(data)

@app.task(ack="early", store=False)
def early(data: bytes) -> None:
    witness(str(len(data)))

@app.task(keep=0)
def forgotten(data: bytes) -> bytes:
    witness(str(len(data)))
    return data
"""

DATA = os.urandom(3_000_000)
DIGEST = hashlib.sha1(DATA).hexdigest()


EVERYWHERE = pytest.mark.parametrize("rig", KINDS, indirect=True)


@pytest.fixture
def rig(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Rig]:
    """Return a place for tasks and workers: with SQLite, or what a test asks for."""
    kind = getattr(request, "param", "sqlite")
    monkeypatch.setenv("ROPEWAY_TEST_URL", url_of(kind, tmp_path, request))
    with opened(tmp_path, monkeypatch, request) as rig:
        yield rig


@pytest.fixture
def tasks(rig: Rig) -> Any:
    return rig.tasks(TASKS)


def kept(rig: Rig) -> tuple[int, int]:
    """How many bodies are kept apart, and in how many pieces."""
    store = rig.module.app.connection.blocking()
    heads, pieces = step(store.scan(HEADS)), step(store.scan(PIECES, limit=1_000))
    return len(heads), len(pieces)


def lose_a_piece(rig: Rig) -> None:
    """Remove one, as somebody might who tidies up by hand."""
    store = rig.module.app.connection.blocking()
    pieces = [each.key for each in step(store.scan(PIECES)) if each.key.endswith("/00002")]
    step(store.commit([Transition(drop=(Drop(pieces[0]),))]))


def rss(pid: int, field: str) -> int:
    """Return kilobytes of memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(field))


@EVERYWHERE
@pytest.mark.parametrize("codec", ["json", "msgpack"])
def test_arguments_and_results_of_every_kind(rig: Rig, codec: str) -> None:
    """Each kind of task is given what was sent, and what it returns comes back, byte for byte."""
    rig.set(codec=codec)
    tasks = rig.tasks(TASKS)
    rig.worker()
    jobs = [task.send(DATA) for task in (tasks.digest, tasks.adigest, tasks.cdigest)]
    made = [task.send(2_000_000) for task in (tasks.make, tasks.amake, tasks.cmake)]
    assert [job.result(20) for job in jobs] == [DIGEST] * 3
    assert [job.result(20) for job in made] == [b"\xfe" * 2_000_000] * 3
    assert all(reference_of(job.record().message.body) for job in jobs)
    assert all(reference_of(job.record().value) for job in made)
    assert all(len(job.record().message.body) < 500 for job in jobs)


async def test_from_async_code(rig: Rig) -> None:
    """The twins for async code send and wait as well, many at once."""
    tasks = rig.tasks(TASKS)
    rig.worker()
    job = await tasks.adigest.asend(DATA)
    made = await tasks.amake.asend(2_000_000)
    assert await job.aresult(20) == DIGEST
    assert await made.aresult(20) == b"\xfe" * 2_000_000
    jobs = await tasks.app.asend_many(
        [tasks.digest.call(DATA[:size]) for size in (10, 2_000_000, 20, 1_500_000)]
    )
    wanted = [hashlib.sha1(DATA[:size]).hexdigest() for size in (10, 2_000_000, 20, 1_500_000)]
    assert [await each.aresult(20) for each in jobs] == wanted
    await tasks.app.aclose()


def test_the_bounds(rig: Rig) -> None:
    """At `max_message` a body is in its message, a byte more is apart; over `max_blob` is refused."""
    rig.set(max_message=2000, max_blob=5000)
    tasks = rig.tasks("""
        @app.task
        def echo(value: str) -> str:
            return value * 3
    """)
    frame = len('{"value":""}')
    sent = {size: tasks.echo.send("x" * (size - frame)) for size in (2000, 2001)}
    assert {size: kept_apart(job) for size, job in sent.items()} == {2000: False, 2001: True}
    with pytest.raises(MessageTooLarge, match="max_blob=5,000"):
        tasks.echo.send("x" * (5001 - frame))
    rig.worker()
    assert tasks.echo.send("x" * 600).result(10) == "x" * 1800
    assert tasks.echo.send("x" * 1500).result(10) == "x" * 4500
    with pytest.raises(TaskFailed, match="max_blob=5,000"):
        tasks.echo.send("x" * 1700).result(10)


def kept_apart(job: Job[Any]) -> bool:
    """Whether the arguments of a job are apart from it."""
    return reference_of(job.record().message.body) is not None


def test_nothing_is_kept_apart_without_room_for_it(rig: Rig) -> None:
    """With a `max_blob` of 0 what does not fit into a message is refused."""
    rig.set(max_message=2000, max_blob=0)
    tasks = rig.tasks(TASKS)
    with pytest.raises(MessageTooLarge, match="max_message=2,000"):
        tasks.digest.send(bytes(2000))
    assert kept(rig) == (0, 0)


def test_the_supervisor_stays_small(rig: Rig) -> None:
    """Forty megabytes go to a child and forty come back: its supervisor holds a few at a time."""
    tasks = rig.tasks(TASKS)
    worker = rig.worker()
    assert tasks.digest.send(DATA).result(20) == DIGEST
    before = rss(worker.pid, "VmHWM")
    data = DATA * 13
    assert tasks.digest.send(data).result(30) == hashlib.sha1(data).hexdigest()
    assert len(tasks.make.send(40_000_000).result(30)) == 40_000_000
    assert rss(worker.pid, "VmHWM") - before < 20_000


def test_a_retry_has_the_arguments_too(rig: Rig, tasks: Any) -> None:
    """A call that failed, or whose process was killed, is given the same again."""
    rig.worker()
    assert tasks.second_time.send(DATA).result(20) == len(DATA)
    assert len(rig.marks()) == 2


@EVERYWHERE
def test_killed_while_it_runs(rig: Rig, tasks: Any, eventually: Eventually) -> None:
    """The next worker has the arguments, whichever process dies."""
    worker = rig.worker()
    job = tasks.gated.send(DATA)
    eventually(lambda: rig.marks() == ["began"])
    worker.kill()
    rig.open_gate()
    rig.worker()
    assert job.result(20) == len(DATA)


@EVERYWHERE
def test_nothing_is_left_of_what_is_not_kept(rig: Rig, tasks: Any, eventually: Eventually) -> None:
    """A task that keeps nothing leaves nothing, nor does one that is settled before it runs."""
    rig.worker()
    tasks.forgotten.send(DATA)
    tasks.early.send(DATA)
    eventually(lambda: sorted(rig.marks()) == [str(len(DATA))] * 2 and kept(rig) == (0, 0))
    assert rig.rows() == []


@EVERYWHERE
def test_a_job_that_is_removed(rig: Rig, tasks: Any) -> None:
    """With the job go its arguments and its result; who asks for that hears that it is gone."""
    rig.worker()
    job = tasks.make.send(2_000_000)
    job.result(20)
    other = tasks.digest.send(DATA)
    other.result(20)
    assert kept(rig)[0] == 2
    for each in (job, other):
        each.remove()
    assert kept(rig) == (0, 0)
    with pytest.raises(JobNotFound):
        job.result(1)


@EVERYWHERE
def test_a_job_that_runs_again(rig: Rig, tasks: Any) -> None:
    """The old result goes at once, the new one is there."""
    rig.worker()
    job = tasks.make.send(2_000_000)
    job.result(20)
    before = kept(rig)
    job.retry(succeeded=True)
    assert job.result(20) == b"\xfe" * 2_000_000
    assert (len(rig.marks()), kept(rig)) == (2, before)


@EVERYWHERE
def test_a_large_call_for_one_purpose(rig: Rig, tasks: Any) -> None:
    """Unique calls: the second finds the first, or gives it its arguments; nothing is left over."""
    once = tasks.digest.using(unique=True)
    first = once.send(DATA)
    one = kept(rig)
    assert once.send(DATA) == first
    assert kept(rig) == one
    keyed = tasks.adigest.using(unique=Unique(key="k", conflict="replace"))
    second = keyed.send(DATA)
    assert keyed.send(DATA[::-1]) == second
    assert keyed.send(DATA[::-1]) == second
    assert kept(rig) == (2, 2 * one[1])
    rig.worker()
    assert first.result(20) == DIGEST
    assert second.result(20) == hashlib.sha1(DATA[::-1]).hexdigest()


def test_what_is_sent_to_an_exchange_has_to_fit_into_its_message(rig: Rig, tasks: Any) -> None:
    """Each copy would need a body of its own: it is refused, and nothing is left behind."""
    logs = tasks.app.exchange("logs", "fanout")
    logs.bind("one")
    logs.bind("two")
    with pytest.raises(MessageTooLarge, match="exchange"):
        tasks.digest.using(exchange=logs).send(DATA)
    assert (kept(rig), rig.rows()) == ((0, 0), [])


@EVERYWHERE
def test_what_is_lost_goes_into_quarantine(rig: Rig, tasks: Any) -> None:
    """A job whose arguments are gone does not run: a person hears of it, and can give others."""
    job = tasks.digest.send(DATA)
    lose_a_piece(rig)
    rig.worker()
    with pytest.raises(TaskFailed, match="is gone"):
        job.result(20)
    assert job.status() is State.QUARANTINED
    with pytest.raises(BodyLost):
        tasks.app.quarantine.show(job.id)
    tasks.app.quarantine.edit(job.id, arguments={"data": "AA=="})
    assert job.result(20) == hashlib.sha1(b"\0").hexdigest()
    assert kept(rig) == (0, 0)


def test_a_result_that_is_lost(rig: Rig, tasks: Any) -> None:
    """Who asks for it hears that it is, not something else."""
    rig.worker()
    job = tasks.make.send(2_000_000)
    job.result(20)
    lose_a_piece(rig)
    with pytest.raises(BodyLost, match=job.id):
        job.result(1)


def test_put_right_by_hand(rig: Rig) -> None:
    """Large arguments of a job in quarantine are shown whole, and others, as large, take their place."""
    tasks = rig.tasks("""
        @app.task(retries=0)
        def total(numbers: list[int], divisor: int) -> int:
            return sum(numbers) // divisor
    """)
    rig.worker()
    job = tasks.total.send(list(range(300_000)), 0)
    with pytest.raises(TaskFailed):
        job.result(20)
    failed = tasks.app.quarantine.of(State.FAILED)
    assert len(failed.show(job.id).message.body) > 1_900_000
    failed.edit(job.id, arguments={"numbers": list(range(300_001)), "divisor": 1})
    assert job.result(20) == sum(range(300_001))
    assert kept_apart(job)
    assert kept(rig)[0] == 1
    with pytest.raises(MessageTooLarge):
        failed.edit(job.id, body=bytes(70_000_000))


@contextmanager
def in_folder(rig: Rig) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(rig.folder)
    try:
        yield
    finally:
        os.chdir(before)


def test_on_the_command_line(rig: Rig) -> None:
    """Shown by size and first bytes, whole when asked for, edited by one argument, and backed up."""
    tasks = rig.tasks("""
        @app.task
        def repeat(text: str, times: int) -> str:
            return text * times
    """)
    text = "abc" * 400_000
    job = tasks.repeat.send(text, 0)
    with in_folder(rig):
        shown = process("jobs", "show", job.id).stdout
        assert "1,200,021 bytes, kept apart" in shown
        assert '{"text":"abcabc' in shown
        assert len(shown) < 3_000
        told = process("jobs", "show", job.id, "--json").stdout
        assert len(told) < 5_000
        raw = process("quarantine", "show", "--raw", job.id).stdout
        assert raw == f'{{"text":"{text}","times":0}}'
        edited = process("jobs", "edit", "--set", "times=2", "--yes", job.id)
        assert edited.returncode == 0
        assert len(edited.stderr) < 6_000
        rig.worker()
        assert job.result(20) == text * 2
        assert "2,400,002 bytes, kept apart" in process("jobs", "show", job.id).stdout
        assert process("jobs", "result", job.id).stdout == f'"{text * 2}"\n'
        copy = rig.folder / "copy.db"
        assert process("backup", str(copy)).returncode == 0
    other = Ropeway(f"sqlite:///{copy}")
    assert other.job(job.id).result(1) == text * 2


def test_in_a_sandbox(rig: Rig, tasks: Any) -> None:
    """A test of an app sees what was sent, and what comes back, as with small ones."""
    with tasks.app.testing() as sandbox:
        job = tasks.digest.send(DATA)
        made = tasks.amake.send(2_000_000)
        sandbox.run_all()
        assert job.result() == DIGEST
        assert made.result() == b"\xfe" * 2_000_000
        assert sandbox.assert_sent(tasks.digest, DATA).arguments == {"data": DATA}
        with pytest.raises(AssertionError):
            sandbox.assert_sent(tasks.digest, DATA[:-1])
        sandbox.inject("killed", into=tasks.digest)
        job = tasks.digest.send(DATA)
        sandbox.run_all()
        assert job.result() == DIGEST
