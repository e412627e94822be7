"""What is sent in a transaction of PostgreSQL is run by workers of another place: or neither."""

from __future__ import annotations

import psycopg
import pytest

from ropeway.errors import RopewayError, Unsupported
from ropeway.outbox import OUTBOX_QUEUE
from tests.conftest import Eventually
from tests.servers.valkey import Valkey
from tests.worker.rig import Rig

TASKS = """
everybody = app.exchange("everybody", "fanout")
everybody.bind("one")
everybody.bind("two")

@app.task
def note(n: int) -> str:
    witness(str(n))
    return current.queue
"""


@pytest.fixture
def outbox(rig: Rig, postgres_url: str) -> str:
    """Return an outbox, and have everything else go where it goes without one."""
    rig.set(outbox=postgres_url)
    return postgres_url


def test_a_call_goes_with_the_transaction(
    rig: Rig, outbox: str, valkey: Valkey, eventually: Eventually
) -> None:
    """What is rolled back never runs; what is committed runs on Redis, once, keys and all."""
    rig.set(url=f"{valkey.url}?namespace=outbox")
    tasks = rig.tasks(TASKS)
    rig.worker()
    eventually(lambda: _there(outbox))
    with psycopg.connect(outbox) as connection:
        connection.execute("create table mine (n int)")
        connection.commit()
        for n in range(20):
            connection.execute("insert into mine values (%s)", [n])
            tasks.note.using(connection=connection, key="k").send(n)
            connection.rollback() if n % 2 else connection.commit()
        connection.execute("insert into mine values (100)")
        tasks.note.using(connection=connection, exchange=tasks.everybody).send(100)
        connection.commit()
        eventually(lambda: len(rig.marks()) == 12)
        rows = {row[0] for row in connection.execute("select n from mine")}
    assert sorted(map(int, rig.marks())) == sorted([*rows, 100])
    assert [int(mark) for mark in rig.marks() if mark != "100"] == [*range(0, 20, 2)]
    eventually(lambda: _left(outbox) == 0)


def test_an_outbox_without_tables_is_told(rig: Rig, outbox: str) -> None:
    """With what to do about it; the caller's transaction is the caller's to end."""
    tasks = rig.tasks(TASKS)
    with psycopg.connect(outbox) as connection, pytest.raises(RopewayError) as raised:
        tasks.note.using(connection=connection).send(1)
    assert "ropeway" in raised.value.hint


def test_without_an_outbox_it_is_refused(rig: Rig, postgres_url: str) -> None:
    """A call cannot join a transaction of another database."""
    tasks = rig.tasks(TASKS)
    with psycopg.connect(postgres_url) as connection, pytest.raises(Unsupported, match="joint"):
        tasks.note.using(connection=connection).send(1)


def _there(outbox: str) -> bool:
    with psycopg.connect(outbox) as connection:
        found = connection.execute("select to_regclass('ropeway.job')").fetchone()
    return found is not None and found[0] is not None


def _left(outbox: str) -> int:
    with psycopg.connect(outbox) as connection:
        found = connection.execute(
            "select count(*) from ropeway.job where queue = %s", [OUTBOX_QUEUE]
        ).fetchone()
    assert found is not None
    return int(found[0])
