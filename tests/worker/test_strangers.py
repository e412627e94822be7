"""Messages that cannot be run are kept, bytes intact, with a reason; the worker lives on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ropeway.ids import new_id
from ropeway.message import Message
from ropeway.retry import RetryPolicy
from tests.conftest import Eventually
from tests.worker.rig import Rig

SUM = """
@app.task(retries=0)
def add(x: int, y: int = 0) -> int:
    witness()
    return x + y

@app.task(retries=0)
async def text(value: str) -> int:
    witness()
    return len(value)

@app.task(retries=0)
def anything(value) -> str:
    witness()
    return type(value).__name__
"""

DEEP = b'{"value":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
UNREADABLE = {
    "empty": ("add", b""),
    "garbage": ("add", bytes(range(256))),
    "cut off": ("add", b'{"x": 1'),
    "a list": ("add", b"[1, 2]"),
    "null": ("add", b"null"),
    "a missing argument": ("add", b'{"y": 1}'),
    "an unknown argument": ("add", b'{"x": 1, "z": 2}'),
    "a wrong type": ("add", b'{"x": "one"}'),
    "a fraction": ("add", b'{"x": 1.5}'),
    "an infinite number": ("add", b'{"x": 1e999}'),
    "a huge number": ("add", b'{"x": ' + b"9" * 100_000 + b"}"),
    "not a number": ("add", b'{"x": NaN}'),
    "more than one value": ("add", b'{"x": 1} {"x": 2}'),
    "deep": ("anything", DEEP),
    "deep and not read": ("add", DEEP.replace(b"value", b"x")),
    "bytes that are no text": ("text", b'{"value": "\xff\xfe"}'),
    "another encoding": ("text", '{"value": "ü"}'.encode("utf-16")),
    "half a pair": ("text", b'{"value": "\\ud800"}'),
    "nul bytes": ("text", b'{"value": "\0"}'),
    "not a number, deep": ("anything", b'{"value": [[NaN]]}'),
}


LARGE = {
    "ten megabytes of digits": ("add", b'{"x": ' + b"9" * 10_000_000 + b"}"),
    "megabytes of what nobody asked for": ("add", b'{"x":1,"z":[' + b"[1,2]," * 500_000 + b"0]}"),
    "a body without an end": ("text", b'{"value": "' + b"x" * 5_000_000),
}


def rss(pid: int) -> int:
    """The largest memory that a process has had, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) // 1024


def test_arguments_that_cannot_be_read(rig: Rig, eventually: Eventually) -> None:
    """Bytes that are no arguments go to quarantine at once, unchanged and unexecuted."""
    tasks = rig.tasks(SUM)
    bad = {
        name: rig.publish(Message(id=new_id(), task=f"tasks.{task}", body=body))
        for name, (task, body) in UNREADABLE.items()
    }
    good = [tasks.add.send(i, 1) for i in range(20)]
    worker = rig.worker()
    (child,) = worker.children
    eventually(rig.settled)
    assert [job.result(1) for job in good] == [i + 1 for i in range(20)]
    for name, job in bad.items():
        record = rig.record(job)
        assert (record.state, record.attempt, record.failures) == ("quarantined", 1, 0), name
        assert record.error is not None
        assert record.error.type == "bad_arguments", name
        assert record.error.message, name
        assert record.message.body == UNREADABLE[name][1], name
    assert set(rig.times_run()) == {job.id for job in good}
    assert worker.children == [child]
    assert rss(worker.pid) < 120
    assert rss(child) < 120


def test_large_bodies_that_cannot_be_read(rig: Rig, eventually: Eventually) -> None:
    """Bodies far beyond `max_message` cost a few times their size, once, and end like any other."""
    tasks = rig.tasks(SUM)
    bad = [
        rig.publish(Message(id=new_id(), task=f"tasks.{task}", body=body))
        for _ in range(4)
        for task, body in LARGE.values()
    ]
    worker = rig.worker()
    (child,) = worker.children
    eventually(rig.settled, 20)
    assert {row.state for row in rig.rows(bad)} == {"quarantined"}
    assert tasks.add.send(1, 1).result(5) == 2
    assert worker.children == [child]
    for pid in (worker.pid, child):
        assert rss(pid) < 400, "80 MB of bodies"


def test_odd_but_readable_arguments(rig: Rig, eventually: Eventually) -> None:
    """What JSON allows and the task takes is run, odd as it is; nobody dies of it."""
    rig.tasks(SUM)
    odd = {
        b'{"value": ' + b"9" * 400 + b"}": None,
        b'{"value": 1e308}': "float",
        b'{"value": -0}': "int",
        b' \t\r\n{"value" : [ ] } \n': "list",
        b'{"value": 1, "value": "the last counts"}': "str",
        b'{"value": "\\ud83d\\ude00"}': "str",
    }
    jobs = {
        rig.publish(Message(id=new_id(), task="tasks.anything", body=body)): wanted
        for body, wanted in odd.items()
    }
    worker = rig.worker()
    (child,) = worker.children
    eventually(rig.settled)
    for job, wanted in jobs.items():
        if wanted is not None:
            assert job.result(1) == wanted
        else:
            assert rig.row(job).state in {"succeeded", "quarantined"}
    assert worker.children == [child]


def test_a_codec_that_nobody_has(rig: Rig, eventually: Eventually) -> None:
    """A content type that the task's process does not know is a reason, not a crash."""
    rig.tasks(SUM)
    kinds = ["application/x-python-pickle", "", "application/json; charset=utf-8", "x" * 10_000]
    jobs = [
        rig.publish(Message(id=new_id(), task="tasks.add", body=b'{"x":1}', content_type=kind))
        for kind in kinds
    ]
    packed = rig.publish(
        Message(
            id=new_id(), task="tasks.add", body=b"\x81\xa1x\x05", content_type="application/msgpack"
        )
    )
    rig.worker()
    eventually(rig.settled)
    assert packed.result(1) == 5
    for job in jobs:
        record = rig.record(job)
        assert record.state == "quarantined"
        assert record.error is not None
        assert "content type" in record.error.message


HEADS = {
    "bytes": b"\xff",
    "empty": b"",
    "a list": b"[]",
    "a wrong policy": json.dumps({"policy": {"retries": "many"}}).encode(),
    "a wrong kind": json.dumps({"kind": "rocket"}).encode(),
    "deep": b'{"unknown":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "not a number": b'{"delay": NaN}',
}


def test_a_head_that_cannot_be_read(rig: Rig, eventually: Eventually) -> None:
    """A message whose head is damaged is not run: it goes to quarantine, its neighbours run."""
    tasks = rig.tasks(SUM)
    jobs = {name: tasks.add.send(1, 2) for name in HEADS}
    for name, job in jobs.items():
        rig.sql("update job set head = ? where id = ?", HEADS[name], job.id)
    good = [tasks.add.send(i, 1) for i in range(20)]
    worker = rig.worker()
    eventually(rig.settled)
    assert [job.result(1) for job in good] == [i + 1 for i in range(20)]
    for name, job in jobs.items():
        row = rig.row(job)
        assert (row.state, row.attempt) == ("quarantined", 1), name
        assert "undecodable" in row.error, name
    assert set(rig.times_run()) == {job.id for job in good}
    assert worker.stop() == 0


def test_an_unknown_task_waits_and_is_then_put_away(rig: Rig, eventually: Eventually) -> None:
    """A task that no worker knows is given back, and after the grace quarantined with what is known."""
    rig.set(unknown_grace=1)
    rig.tasks(SUM)
    body = b'{"x":  1, "y": [null]}'
    job = rig.publish(Message(id=new_id(), task="tasks.removed", body=body))
    rig.worker()
    eventually(lambda: rig.row(job).releases == 1 and rig.row(job).state == "queued")
    eventually(rig.settled, 8)
    record = rig.record(job)
    assert (record.state, record.failures, record.losses) == ("quarantined", 0, 0)
    assert record.message.body == body
    assert record.error is not None
    assert record.error.type == "unknown_task"
    assert "tasks.removed" in record.error.message
    for name in ("tasks.add", "tasks.text", "tasks.anything"):
        assert name in record.error.message
    # It was tried for the whole of the grace, not less.
    assert record.finished is not None
    assert record.finished - record.enqueued >= 1


def test_an_unknown_task_is_done_by_who_knows_it(rig: Rig, eventually: Eventually) -> None:
    """During a rolling deploy a job of a new task waits for the worker that has it."""
    rig.set(unknown_grace=60)
    rig.tasks(SUM)
    job = rig.publish(Message(id=new_id(), task="tasks.new", body=b'{"x": 4}'))
    old = rig.worker()
    eventually(lambda: rig.row(job).releases == 1)
    rig.write(SUM + "\n@app.task\ndef new(x: int) -> int:\n    return x * x\n")
    rig.worker()
    assert old.stop() == 0
    assert job.result(8) == 16
    row = rig.row(job)
    assert (row.state, row.failures, row.losses) == ("succeeded", 0, 0)


def test_releases_do_not_use_up_the_grace(rig: Rig, eventually: Eventually) -> None:
    """A job that was given back at many shutdowns still has the whole grace of a deploy."""
    rig.tasks(SUM)
    job = rig.publish(Message(id=new_id(), task="tasks.new", body=b'{"x": 4}'))
    rig.sql("update job set releases = 30, attempt = 30 where id = ?", job.id)
    rig.worker()
    eventually(lambda: rig.row(job).attempt == 31 and rig.row(job).state != "running")
    assert rig.row(job).state == "queued"


def test_unknown_tasks_do_not_stop_the_known(rig: Rig, eventually: Eventually) -> None:
    """Thousands of unknown jobs in front do not keep a known job from being run."""
    tasks = rig.tasks(SUM)
    module = tasks.app.connection.blocking()
    from ropeway.stepping import step
    from ropeway.transition import Transition

    step(
        module.commit(
            [
                Transition(publish=(Message(id=new_id(), task="nobody.knows", band=9),))
                for _ in range(2000)
            ]
        )
    )
    job = tasks.add.send(1, 2)
    rig.worker()
    assert job.result(8) == 3
    assert rig.states() == {"queued": 2000, "succeeded": 1}


def test_the_policy_of_the_message_counts(rig: Rig, eventually: Eventually) -> None:
    """A message may bring its own policy, and it wins over that of the task."""
    rig.tasks("""
        @app.task(retries=0)
        def fail() -> None:
            witness()
            raise ValueError("always")
    """)
    policy = RetryPolicy(retries=2, base=0.01)
    job = rig.publish(Message(id=new_id(), task="tasks.fail", body=b"{}", policy=policy))
    rig.worker()
    eventually(rig.settled)
    assert rig.row(job).failures == 3
    assert len(rig.executions()) == 3


@pytest.mark.parametrize("queue", ["", "x" * 255, "ü/\n\t'\";--", "..", "a b"])
def test_odd_names_of_queues(rig: Rig, queue: str) -> None:
    """Any text can name a queue; a message in it is found and run."""
    tasks = rig.tasks(SUM)
    job = rig.publish(Message(id=new_id(), task="tasks.add", body=b'{"x": 1}', queue=queue))
    rig.worker()
    assert job.result(5) == 1
    again = rig.publish(Message(id=new_id(), task="tasks.add", body=b'{"x": 2}', queue=queue))
    assert again.result(5) == 2
    assert tasks.add.send(3).result(5) == 3
