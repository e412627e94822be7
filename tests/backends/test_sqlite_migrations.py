"""Files of older and newer schemas, and code of two versions on one file."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import apsw
import pytest

from ropeway.backends.sqlite import Blocking, Database, SqliteBackend, migrations
from ropeway.claims import Claim
from ropeway.decide import Keep
from ropeway.errors import BackendUnavailable
from ropeway.ids import new_id
from ropeway.message import Kind, Message, job_key
from ropeway.states import State
from ropeway.stepping import step
from ropeway.transition import Finish, Transition

FIRST = Path(__file__).with_name("schema_1.sql").read_text(encoding="utf-8")
THIRD = Path(__file__).with_name("schema_3.sql").read_text(encoding="utf-8")

NEWER = migrations.known() + 1
NEXT = migrations.Step(
    NEWER,
    needs=migrations.known(),
    sql="alter table job add column later text; create index later on job (later);",
)
BREAKING = migrations.Step(NEWER, needs=NEWER, sql="alter table job rename column key to ordering;")

_TABLES = "select name from sqlite_schema where type = 'table'"

UPGRADE = """
import sys
from pathlib import Path
from ropeway.backends.sqlite import Database, migrations
migrations.STEPS = (*migrations.STEPS, migrations.Step(*{step!r}))
Database(Path(sys.argv[1])).open()
"""


def backend_on(path: Path) -> SqliteBackend:
    database = Database(path)
    return SqliteBackend(database, Blocking(database))


def upgrade(path: Path, later: migrations.Step) -> None:
    """Open the file with code of the version that comes next."""
    program = UPGRADE.format(step=(later.version, later.needs, later.sql))
    subprocess.run([sys.executable, "-c", program, path], check=True)


def first_schema(path: Path) -> None:
    """Make a file as the first version did, with a job in each place that later steps look at."""
    connection = apsw.Connection(str(path))
    connection.execute("pragma journal_mode = wal")
    connection.execute(FIRST)
    insert = (
        "insert into job (id, task, queue, band, due, enqueued, state, finished, purge, head, body)"
        " values (?, 't', 'default', 5, 1, 1, ?, ?, ?, ?, x'7b7d')"
    )
    connection.execute(insert, ("waits", 0, None, None, None))
    connection.execute(insert, ("expires", 0, None, None, b'{"expires":2.5}'))
    connection.execute(insert, ("broken", 0, None, None, b"\xff{"))
    connection.execute(insert, ("done", 2, 3, 4, None))
    connection.execute("pragma user_version = 1")
    connection.close()


def shape(path: Path) -> dict[str, list[str]]:
    """Tell the columns and the indexes of a file, whatever their order."""
    connection = apsw.Connection(str(path))
    try:
        return {
            "columns": sorted(
                f"{table}.{row[1]} {row[2]} {row[3]} {row[4]} {row[5]}"
                for (table,) in connection.execute(_TABLES).fetchall()
                for row in connection.execute(f"pragma table_info({table})")
            ),
            "indexes": sorted(
                str(row[0])
                for row in connection.execute("select sql from sqlite_schema where type = 'index'")
                if row[0]
            ),
        }
    finally:
        connection.close()


def test_an_older_file_is_brought_up_to_date(tmp_path: Path) -> None:
    """A file of the first schema gets the shape of a new one, and its jobs are all there."""
    first_schema(tmp_path / "old.db")
    backend = backend_on(tmp_path / "old.db")
    step(backend.open())
    step(backend_on(tmp_path / "new.db").open())
    assert shape(tmp_path / "old.db") == shape(tmp_path / "new.db")
    kept = step(backend.get([job_key(name) for name in ("waits", "expires", "broken", "done")]))
    assert None not in kept
    # What was sent before the upgrade expires and is pruned by the new rules.
    assert step(backend.prune(Keep(), 100)) == 2
    found = step(backend.receive([Claim("default", 9)], "me", 60))
    assert [each.fence.id for each in found] == ["waits", "broken"]
    backend.database.close()


def test_keys_that_waited_in_an_older_file(tmp_path: Path) -> None:
    """After the upgrade the messages of a key come one at a time, in the order they were sent."""
    path = tmp_path / "old.db"
    first_schema(path)
    connection = apsw.Connection(str(path))
    insert = (
        "insert into job (id, task, queue, band, key, due, enqueued, body)"
        " values (?, 't', 'keys', 5, ?, ?, 1, x'7b7d')"
    )
    for job_id, key, due in (("a1", "a", 9.0), ("a2", "a", 1.0), ("b1", "b", 5.0)):
        connection.execute(insert, (job_id, key, due))
    connection.close()
    backend, order = backend_on(path), list[tuple[str, float]]()
    while found := step(backend.receive([Claim("keys", 9)], "me", 60)):
        order += [(each.fence.id, each.due) for each in found]
        settle = Finish(State.SUCCEEDED)
        step(backend.commit([Transition(fence=each.fence, settle=settle) for each in found]))
    assert order == [("b1", 5.0), ("a1", 9.0), ("a2", 1.0)]
    backend.database.close()


def test_code_that_knows_no_keys_cannot_go_on(tmp_path: Path) -> None:
    """What an older version says to a file that it had open when it was upgraded is an error."""
    path = tmp_path / "old.db"
    first_schema(path)
    older = apsw.Connection(str(path))
    step(backend_on(path).open())
    with pytest.raises(apsw.ConstraintError, match=r"job\.place"):
        older.execute(
            "insert into job (id, task, queue, band, due, enqueued, body)"
            " values ('new', 't', 'default', 5, 1, 1, x'7b7d')"
        )
    with pytest.raises(apsw.SQLError, match="no such index: ready"):
        older.execute("select serial from job indexed by ready where state = 0 and queue = 'q'")
    older.close()


def third_schema(path: Path) -> apsw.Connection:
    """Make a file of the third schema with one job of each kind that waits, and one for a limit."""
    connection = apsw.Connection(str(path))
    connection.execute("pragma journal_mode = wal")
    connection.execute(THIRD)
    for job_id, head in (("t", None), ("l", b'{"kind":"loop"}'), ("c", b'{"kind":"cpu"}')):
        connection.execute(OF_THE_THIRD, (job_id, None, 10, head))
    connection.execute(OF_THE_THIRD, ("p", '["l"]', -2, b'{"kind":"loop","limits":["l"]}'))
    connection.execute("insert into parked values ('q', 'l', 0, 4)")
    connection.execute("insert into wake values ('q', 'l', null)")
    connection.execute("pragma user_version = 3")
    return connection


OF_THE_THIRD = (
    "insert into job (id, task, queue, band, place, enqueued, limited_by, lane, head, body)"
    " values (?, 't', 'q', 5, 1, 1, ?, ?, ?, x'7b7d')"
)


def test_kinds_that_waited_in_an_older_file(tmp_path: Path) -> None:
    """After the upgrade each message is found by its kind, also one that waited for a limit."""
    third_schema(tmp_path / "old.db").close()
    step(backend_on(tmp_path / "new.db").open())
    backend = backend_on(tmp_path / "old.db")
    step(backend.open())
    assert shape(tmp_path / "old.db") == shape(tmp_path / "new.db")
    expectations: list[tuple[Kind, list[str]]] = [
        ("cpu", ["c"]),
        ("loop", ["l", "p"]),
        ("threads", ["t"]),
    ]
    for kind, expected in expectations:
        found = step(backend.receive([Claim("q", 9, kinds=(kind,))], "me", 60))
        assert [(each.fence.id, each.message.kind) for each in found] == [
            (job_id, kind) for job_id in expected
        ]
    backend.database.close()


def test_code_that_knows_no_kinds_may_send_and_not_claim(tmp_path: Path) -> None:
    """What it sends to an upgraded file is found; its claims end with an error, not with nothing."""
    older = third_schema(tmp_path / "old.db")
    backend = backend_on(tmp_path / "old.db")
    step(backend.open())
    older.execute(OF_THE_THIRD, ("late", None, 10, b'{"kind":"loop"}'))
    with pytest.raises(apsw.SQLError, match="no such index: waiting"):
        older.execute("select serial from job indexed by waiting where state = 0 and queue = 'q'")
    older.close()
    found = step(backend.receive([Claim("q", 9, kinds=("threads",))], "me", 60))
    assert [(each.fence.id, each.message.kind) for each in found] == [
        ("t", "threads"),
        ("late", "loop"),
    ]
    backend.database.close()


def test_an_upgrade_that_fails_changes_nothing(tmp_path: Path) -> None:
    """The steps are one transaction: a file is never left between two schemas."""
    path = tmp_path / "old.db"
    first_schema(path)
    connection = apsw.Connection(str(path))
    connection.execute("create index expiring on job (task)")  # in the way of the second step
    connection.close()
    before = shape(path)
    with pytest.raises(apsw.SQLError, match="expiring"):
        Database(path).open()
    assert shape(path) == before


def test_many_upgrade_at_once(tmp_path: Path) -> None:
    """Processes that meet at an old file upgrade it once."""
    path = tmp_path / "old.db"
    first_schema(path)
    program = (
        "import sys; from pathlib import Path; from ropeway.backends.sqlite import Database;"
        "Database(Path(sys.argv[1])).open()"
    )
    openers = [subprocess.Popen([sys.executable, "-c", program, path]) for _ in range(6)]
    assert [opener.wait(30) for opener in openers] == [0] * 6


def test_this_version_and_the_next_share_a_file(tmp_path: Path) -> None:
    """While a newer version upgrades the file, and after, this one goes on, also newly started."""
    path = tmp_path / "shared.db"
    here = backend_on(path)
    step(here.open())
    ids = [new_id() for _ in range(400)]
    upgrading = threading.Thread(target=upgrade, args=(path, NEXT))
    upgrading.start()
    done = 0
    for job_id in ids:
        step(here.commit([Transition(publish=(Message(id=job_id, task="t"),))]))
        (delivery,) = step(here.receive([Claim("default", 1)], "me", 60))
        settle = Transition(fence=delivery.fence, settle=Finish(State.SUCCEEDED, b"1"))
        done += step(here.commit([settle]))[0].status == "applied"
    upgrading.join()
    assert done == len(ids)
    started_later = backend_on(path)
    step(started_later.commit([Transition(publish=(Message(id=new_id(), task="t"),))]))
    assert len(step(started_later.receive([Claim("default", 1)], "me", 60))) == 1
    assert started_later.database.read(lambda execute: execute("pragma user_version").get) == NEWER
    assert None not in step(here.get([job_key(job_id) for job_id in ids]))
    here.database.close()
    started_later.database.close()


def test_a_schema_that_needs_newer_code_is_refused(tmp_path: Path) -> None:
    """Code that a step has left behind does not touch the file, and says what to do."""
    path = tmp_path / "newer.db"
    step(backend_on(path).open())
    upgrade(path, BREAKING)
    with pytest.raises(BackendUnavailable, match=f"schema {NEWER}, which needs a newer") as caught:
        Database(path).open()
    assert "install the newer ropeway" in str(caught.value)
