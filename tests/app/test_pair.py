"""Messages travel through one backend and records are kept in another: as users get it."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from ropeway import Ropeway
from ropeway.errors import BackendMissing, ConfigError, JobNotFound, Unsupported
from tests.cli.support import call
from tests.conftest import Eventually
from tests.worker.rig import Rig, results

CHAIN = """
@app.task(retries=2)
async def first(x: int) -> int:
    witness("first")
    await asyncio.sleep(0.02)
    second.send(x)
    return x

@app.task(retries=2)
def second(x: int) -> int:
    witness("second")
    if current.attempt == 1 and x % 7 == 0:
        raise ValueError("once")
    return x * 10
"""


PAIRS = [
    "file and file",
    "redis and file",
    "redis and postgresql",
    "postgresql and redis",
    "rabbitmq and file",
]


@pytest.fixture
def pair(rig: Rig) -> Rig:
    """Return a place where plain messages travel through a file of their own."""
    rig.set(broker=f"sqlite:///{rig.folder / 'broker.db'}")
    return rig


@pytest.fixture(params=PAIRS)
def any_pair(request: pytest.FixtureRequest, rig: Rig) -> Rig:
    """Return a place for each pair: where plain messages travel, and where records are kept."""
    names = request.param.split(" and ")
    for setting, name in zip(("broker", "url"), names, strict=True):
        if name == "file":
            rig.set(**{setting: f"sqlite:///{rig.folder / setting}.db"})
        elif name == "redis":
            url = request.getfixturevalue("valkey").url
            rig.set(**{setting: f"{url}?namespace={rig.folder.name}-{setting}"})
        elif name == "rabbitmq":
            rig.set(**{setting: request.getfixturevalue("rabbitmq").fresh()})
        else:
            rig.set(**{setting: request.getfixturevalue("postgres_url")})
    rig.database, rig.url = rig.folder / "url.db", os.environ["ROPEWAY_URL"]
    return rig


def test_what_a_task_promises_holds_for_a_pair(any_pair: Rig) -> None:
    """Results, retries, dates, bands and keys; the broker is empty at the end."""
    pair = any_pair
    tasks = pair.tasks(CHAIN)
    plain = [tasks.second.send(x) for x in range(20)]
    dated = tasks.second.using(delay=0.2).send(21)
    urgent = tasks.second.using(priority=9, key="k").send(23)
    pair.worker("--children", "2")
    assert results(plain) == [x * 10 for x in range(20)]
    assert results([dated, urgent]) == [210, 230]
    assert pair.row(plain[7]).failures == 1


@pytest.mark.timeout(150)  # twelve seconds; more where all that was running has to run alone
def test_workers_of_a_pair_are_killed(any_pair: Rig, eventually: Eventually) -> None:
    """Supervisors and children die between any two steps: everything is settled, once."""
    pair = any_pair
    tasks = pair.tasks(CHAIN)
    jobs = tasks.app.send_many(tasks.first.call(x) for x in range(200))
    for _ in range(3):
        before = len(pair.executions())
        worker = pair.worker("--children", "2", "--loop-slots", "10")
        eventually(lambda: len(pair.executions()) > before + 40)  # noqa: B023  called at once
        os.kill(worker.children[0], signal.SIGKILL)
        eventually(lambda: len(pair.executions()) > before + 60)  # noqa: B023  likewise
        worker.kill()
    last = pair.worker("--children", "2")
    assert results(jobs, 80) == list(range(200))

    def all_settled() -> bool:  # what is still in the broker is in none of the store's states
        states = pair.states()
        # A run whose worker died may have sent its second call, and is run again.
        return set(states) == {"succeeded"} and states["succeeded"] >= 400

    eventually(all_settled, 40)
    ran = Counter(each.mark for each in pair.executions())
    assert ran["first"] >= 200
    assert last.stop() == 0


def test_what_rests_in_the_broker_is_not_on_record_yet(pair: Rig) -> None:
    """It is said so, and one that is unique is refused: nobody could tell that it is there."""
    tasks = pair.tasks(CHAIN)
    job = tasks.second.send(1)
    with pytest.raises(JobNotFound):
        job.status()
    with pytest.raises(Unsupported, match="unique"):
        tasks.second.using(unique=True).send(1)


def test_people_see_both_halves(pair: Rig) -> None:
    """Queues are counted together; the doctor names both places."""
    tasks = pair.tasks(CHAIN)
    tasks.app.send_many(tasks.second.call(x) for x in range(3))
    tasks.second.using(priority=9).send(4)
    (queue,) = json.loads(call("queues", "ls", "--json").stdout)
    assert queue["ready"] == 4
    told = {each["name"]: each["fact"] for each in json.loads(call("doctor", "--json").stdout)}
    assert "broker.db and sqlite" in told["url"]
    assert "4 ready" in told["queues"]
    assert "broker.db and sqlite" in repr(tasks.app)


def test_how_a_pair_is_named(tmp_path: Path) -> None:
    """`store` is another word for `url`; both at once, or a broker that nobody speaks, are not."""
    app = Ropeway(broker="memory://", store=f"sqlite:///{tmp_path / 'x.db'}")
    assert app.settings.url.endswith("x.db")
    with pytest.raises(ConfigError, match="the same"):
        Ropeway("memory://", store="memory://")
    with pytest.raises(BackendMissing, match="carrier"):
        Ropeway("memory://", broker="carrier://pigeon")
    shown = repr(Ropeway("memory://", broker="memory://u:secret@host"))
    assert "secret" not in shown
