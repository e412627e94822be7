"""What is published to an exchange gets to the queues bound to it: on every backend, at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from ropeway import Ropeway, current
from ropeway.backends.memory import MemoryBackend
from ropeway.backends.sqlite import Database, SqliteBackend
from ropeway.claims import Claim
from ropeway.errors import BadArguments, Refused, TopologyConflict, Unroutable
from ropeway.ids import derived_id, new_id
from ropeway.message import Fence, Message
from ropeway.routing import Binding, Exchange
from ropeway.states import State
from ropeway.store import Backend, Filter
from ropeway.topology import declare, delete, load, stamp
from ropeway.transition import Finish, Transition
from ropeway.wrappers.routed import Routed
from tests.worker.rig import Rig, opened


@pytest.fixture(params=["memory", "sqlite"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    """Return each backend, routed."""
    if request.param == "memory":
        return Routed(MemoryBackend())
    return Routed(SqliteBackend(Database(tmp_path / "jobs.db")))


def published(exchange: str, key: str = "", *, mandatory: bool = True) -> Message:
    """Return a message for an exchange."""
    return Message(
        id=new_id(), task="t", exchange=exchange, routing_key=key, mandatory=mandatory, body=b"{}"
    )


TOPIC = Exchange(name="logs", type="topic")
ERRORS = Binding(source="logs", to="errors", key="*.error.#")
ALL = Binding(source="logs", to="all", key="#")


async def waiting(backend: Backend) -> dict[str, list[Message]]:
    """Return what waits, by queue."""
    found: dict[str, list[Message]] = {}
    for each in (await backend.search(Filter(state=State.QUEUED))).jobs:
        found.setdefault(each.message.queue, []).append(each.message)
    return found


async def test_a_copy_for_each_queue_in_one_step(backend: Backend) -> None:
    """Each is a job of its own; it tells where it was published."""
    await backend.open()
    await declare(backend, [TOPIC], [ERRORS, ALL])
    message = published("logs", "eu.error.disk")
    (answer,) = await backend.commit([Transition(publish=(message,))])
    assert answer.ok
    found = await waiting(backend)
    assert found.keys() == {"errors", "all"}
    assert found["all"][0].id == message.id
    assert found["errors"][0].id == derived_id(message.id, "errors")
    for (each,) in found.values():
        assert (each.exchange, each.routing_key) == ("logs", "eu.error.disk")
        assert each.mandatory is None
    await backend.close()


async def test_a_commit_may_be_repeated(backend: Backend) -> None:
    """As one whose reply was lost: no copy is there twice."""
    await backend.open()
    await declare(backend, [TOPIC], [ERRORS, ALL])
    transition = Transition(publish=(published("logs", "eu.error"),))
    await backend.commit([transition])
    (answer,) = await backend.commit([transition])
    assert answer.status == "repeated"
    assert sum(map(len, (await waiting(backend)).values())) == 2
    await backend.close()


async def test_what_nobody_wants(backend: Backend) -> None:
    """It is refused if it is mandatory, and its neighbours are not; else it is dropped."""
    await backend.open()
    await declare(backend, [TOPIC, Exchange(name="inner", internal=True)], [ERRORS])
    answers = await backend.commit(
        [
            Transition(publish=(published("logs", "eu.info"),)),
            Transition(publish=(published("logs", "eu.info", mandatory=False),)),
            Transition(publish=(published("nowhere", mandatory=False),)),
            Transition(publish=(published("inner", mandatory=False),)),
            Transition(publish=(published("logs", "eu.error"),)),
            Transition(publish=(Message(id=new_id(), task="t", queue="plain"),)),
        ]
    )
    assert [(each.status, each.reason) for each in answers] == [
        ("refused", "unroutable"),
        ("applied", None),
        ("refused", "unroutable"),
        ("refused", "unroutable"),
        ("applied", None),
        ("applied", None),
    ]
    assert (await waiting(backend)).keys() == {"errors", "plain"}
    await backend.close()


async def test_a_settle_publishes_to_an_exchange(backend: Backend) -> None:
    """In the step of the settle: a stale attempt publishes nothing."""
    await backend.open()
    await declare(backend, [TOPIC], [ALL])
    await backend.commit([Transition(publish=(Message(id=new_id(), task="t"),))])
    (delivery,) = await backend.receive([Claim("default", 1)], "me", 60)
    fence = delivery.fence
    follow = (published("logs", "done"),)
    stale = Fence(fence.id, fence.attempt, "another")
    done = Finish(State.SUCCEEDED)
    (answer,) = await backend.commit([Transition(fence=stale, publish=follow, settle=done)])
    assert answer.reason == "lost"
    assert await waiting(backend) == {}
    await backend.commit([Transition(fence=fence, publish=follow, settle=done)])
    assert (await waiting(backend)).keys() == {"all"}
    await backend.close()


async def test_a_binding_counts_in_the_next_send_of_everybody(tmp_path: Path) -> None:
    """Whoever has made it or removed it: each handle is that of another process."""
    one, two = (Routed(SqliteBackend(Database(tmp_path / "jobs.db"))) for _ in range(2))
    await one.open()
    await two.open()
    await declare(one, [TOPIC], [ALL])
    for bound, queues in (
        (declare(two, bindings=[ERRORS]), {"all", "errors"}),
        (delete(one, bindings=[ALL]), {"errors"}),
        (delete(two, bindings=[ERRORS]), set[str]()),
    ):
        await bound
        for backend in (one, two):
            before = await waiting(one)
            await backend.commit([Transition(publish=(published("logs", "a.error"),))])
            after = await waiting(one)
            assert {q for q in after if len(after[q]) > len(before.get(q, []))} == queues
    await one.close()
    await two.close()


async def test_declaring_twice_changes_nothing(backend: Backend) -> None:
    """Also not the stamp, so nobody reads everything anew."""
    await backend.open()
    await declare(backend, [TOPIC], [ERRORS])
    before = await stamp(backend)
    await declare(backend, [TOPIC], [ERRORS])
    assert await stamp(backend) == before
    await backend.close()


async def test_what_conflicts_names_both(backend: Backend) -> None:
    """And nothing of the declaration is there."""
    await backend.open()
    await declare(backend, [TOPIC])
    with pytest.raises(TopologyConflict, match=r"type='topic'.*type='direct'"):
        await declare(backend, [Exchange(name="new"), Exchange(name="logs", type="direct")])
    with pytest.raises(Refused, match="no exchange 'gone'"):
        await declare(backend, bindings=[Binding(source="gone", to="q")])
    assert (await load(backend)).exchanges.keys() == {"logs"}
    await backend.close()


async def test_what_goes_along(backend: Backend) -> None:
    """An exchange takes its bindings; the last binding takes an exchange that is auto_delete."""
    await backend.open()
    passing = Exchange(name="passing", type="fanout", auto_delete=True)
    onward = Binding(source="passing", to="logs", to_exchange=True)
    await declare(backend, [TOPIC, passing], [ALL, onward])
    await delete(backend, ["logs"])
    found = await load(backend)
    assert (found.exchanges, found.bindings) == ({}, [])
    await backend.close()


async def test_many_bindings_are_read(backend: Backend) -> None:
    """More than a page of them."""
    await backend.open()
    many = [Binding(source="logs", to=f"q{n}", key=f"k{n}") for n in range(1100)]
    await declare(backend, [TOPIC], many)
    await backend.commit([Transition(publish=(published("logs", "k1099"),))])
    assert (await waiting(backend)).keys() == {"q1099"}
    await backend.close()


# -- as users get it -------------------------------------------------------------------------------


@pytest.fixture
def app(tmp_path: Path) -> Ropeway:
    """Return an app with an exchange."""
    return Ropeway(f"sqlite:///{tmp_path / 'jobs.db'}")


async def test_the_page_of_the_design(app: Ropeway) -> None:
    """A task is sent to an exchange, and runs once for each queue that wants it."""
    ran: list[tuple[str, str, str, str]] = []
    logs = app.exchange("logs", "topic")
    logs.bind("errors", "*.error.#")
    logs.bind("everything", "#")

    @app.task
    async def archive(record: str) -> str:
        ran.append((current.queue, current.exchange, current.routing_key, record))
        return record

    async with app.worker():
        job = await archive.using(exchange=logs, routing_key="eu.error.disk").asend("x")
        assert await job.aresult(10) == "x"
        other = app.job(derived_id(job.id, "everything"))
        assert await other.aresult(10) == "x"
    assert sorted(ran) == [
        ("errors", "logs", "eu.error.disk", "x"),
        ("everything", "logs", "eu.error.disk", "x"),
    ]
    await app.aclose()


def test_a_send_that_goes_nowhere_raises(app: Ropeway) -> None:
    """One error says what is missing; with mandatory=False it is no error."""
    logs = app.exchange("logs", "topic")
    task = app.task(name="t")(lambda_like)
    with pytest.raises(Unroutable, match="routing key 'eu\\.info'"):
        task.using(exchange=logs, routing_key="eu.info").send()
    task.using(exchange=logs, routing_key="eu.info", mandatory=False).send()
    with pytest.raises(Unroutable, match="'elsewhere'"):
        task.using(exchange="elsewhere").send()


def lambda_like() -> None:
    """Do nothing."""


def test_headers_and_other_exchanges(app: Ropeway) -> None:
    """A headers exchange goes by the headers of the call; what nobody wants has another way."""
    rest = app.exchange("rest", "fanout")
    rest.bind("rest")
    regions = app.exchange("regions", "headers", alternate=rest)
    regions.bind("eu", headers={"region": "eu", "kind": "disk"}, match="any")
    task = app.task(name="t")(lambda_like)
    to = task.using(exchange=regions)
    to.using(headers={"region": "eu"}).send()
    to.using(headers={"region": "us"}).send()
    (one,) = app.exchanges.route("regions", headers={"region": "eu"})
    (two,) = app.exchanges.route("regions")
    assert (one.queue, two.queue, two.alternates) == ("eu", "rest", ("rest",))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"exchange": ""}, "none is named"),
        ({"routing_key": "x"}, "none is named"),
        ({"exchange": 5}, "none is named"),
        ({"exchange": "x", "routing_key": 5}, "routing_key=5"),
        ({"exchange": "x", "routing_key": "k" * 300}, "255 bytes"),
        ({"exchange": "x", "mandatory": "no"}, "mandatory='no'"),
        ({"exchange": "x", "queue": "q"}, "chooses the queues"),
        ({"exchange": "x", "unique": True}, "chooses the queues"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    app: Ropeway, options: dict[str, object], told: str
) -> None:
    """Where it is written."""
    task = app.task(name="t")(lambda_like)
    with pytest.raises(BadArguments, match=told):
        task.using(**options)  # type: ignore[arg-type]


def test_code_that_contradicts_itself_is_refused(app: Ropeway) -> None:
    """Before anything is stored."""
    app.exchange("logs", "topic")
    app.exchange("logs", "topic")
    with pytest.raises(BadArguments, match="differently"):
        app.exchange("logs", "direct")
    with pytest.raises(BadArguments, match="cannot be"):
        app.exchange("x", "tropic")  # type: ignore[arg-type]


def test_workers_bring_it_into_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Processes of their own: what the code declares is there before anybody has sent."""
    with opened(tmp_path, monkeypatch, request) as rig:
        routed(rig)


def routed(rig: Rig) -> None:
    """Publish from within a task, as well."""
    tasks = rig.tasks("""
        logs = app.exchange("logs", "topic")
        logs.bind("one", "a.*")
        logs.bind("two", "#")

        @app.task
        def note(x: int) -> int:
            witness(current.queue)
            return x

        @app.task
        def start(x: int) -> int:
            return note.using(exchange=logs, routing_key="a.b").send(x).result(10)
    """)
    rig.worker()
    assert tasks.app.exchanges.ls().exchanges.keys() == {"logs"}
    assert tasks.start.send(3).result(10) == 3
    rig.worker()  # nothing to declare any more
    assert set(rig.marks()) <= {"one", "two"}
