"""Looking for jobs in SQLite: by an index, or as far as a moment goes, and then it says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.search import START, fill
from ropeway import pace
from ropeway.backends.sqlite import Database, SqliteBackend, search, statements
from ropeway.backends.sqlite.transport import Blocking
from ropeway.states import State
from ropeway.stepping import step
from ropeway.store import Filter

ROWS = 20_000


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database with many jobs; nobody changes it."""
    path = tmp_path_factory.mktemp("search") / "jobs.db"
    fill(path, ROWS)
    return path


@pytest.fixture
def backend(path: Path) -> Iterator[SqliteBackend]:
    """Return a backend on it."""
    database = Database(path)
    yield SqliteBackend(database, Blocking(database))
    database.close()


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("search", "sqlite_autoindex_job_1 (id>? AND id<?)"),
        ("far_id", "COVERING INDEX sqlite_autoindex_job_1 (id>? AND id<?)"),
        ("search_ended", "INDEX ended (state=? AND id>? AND id<?)"),
        ("far_ended", "COVERING INDEX ended (state=? AND id>? AND id<?)"),
        ("search_caused", "INDEX caused (state=? AND cause=? AND id>? AND id<?)"),
        ("far_caused", "COVERING INDEX caused (state=? AND cause=? AND id>? AND id<?)"),
        ("next_cause", "COVERING INDEX caused (state=? AND cause>?)"),
        ("oldest_caused", "COVERING INDEX caused (state=? AND cause=? AND id>? AND id<?)"),
    ],
)
def test_looks_go_along_an_index(backend: SqliteBackend, name: str, index: str) -> None:
    """In the order asked for, so that no row is read or sorted that is not wanted."""
    statement = statements.ALL[name]

    def explain(execute: Any) -> list[str]:
        values = (0,) * statement.count("?")
        return [row[3] for row in execute("explain query plan " + statement, values)]

    (line,) = backend.database.read(explain)
    assert index in line


def everything(backend: SqliteBackend, **fields: Any) -> tuple[list[str], int]:
    """Go through all pages of a search; return the ids and the number of pages that were cut."""
    ids, cut, before = list[str](), 0, None
    while True:
        page = step(backend.search(Filter(**fields), before, 50))
        ids += [job.message.id for job in page.jobs]
        assert page.total == ROWS
        before = page.older
        if before is None:
            return ids, cut
        if len(page.jobs) < 50:
            cut += 1
            assert 0 < page.examined < ROWS


@pytest.mark.parametrize("moment", [0.0, 10.0])
@pytest.mark.parametrize(
    "fields",
    [
        {"task": "tasks.rare"},
        {"queue": "q3", "state": State.SUCCEEDED},
        {"task": "tasks.t0", "state": State.FAILED},
        {"task": "tasks.t0", "error": f"{0:012x}"},
        {"queue": "q1", "error": f"{1:012x}"},
        {"task": "tasks.t33", "state": State.FAILED, "error": f"{1:012x}"},
        {"error": f"{2:012x}"},
        {"state": State.QUEUED, "queue": "q3"},
        {"state": State.RUNNING},
        {"queue": "q3", "since": START + 3, "until": START + 9},
    ],
)
def test_pages_that_are_cut_leave_nothing_out(
    backend: SqliteBackend, fields: dict[str, Any], moment: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However soon a look is stopped, its pages together are all there is, newest first."""
    monkeypatch.setattr(search, "MOMENT", 60.0)
    whole, cuts = everything(backend, **fields)
    assert whole == sorted(whole, reverse=True)
    assert cuts == 0
    monkeypatch.setattr(search, "MOMENT", moment)
    monkeypatch.setattr(pace, "FIRST", 3)
    monkeypatch.setattr(pace, "MOST", 3)
    monkeypatch.setattr(search, "FEW", 2)
    again, _ = everything(backend, **fields)
    assert again == whole
    assert len(set(whole)) == len(whole) > 0
    count = step(backend.count(Filter(**fields)))
    assert count.whole or count.number <= len(whole)


def test_a_look_that_is_stopped_says_so(
    backend: SqliteBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells how many it has examined, of about how many, and where to go on."""
    monkeypatch.setattr(search, "MOMENT", 0.0)
    page = step(backend.search(Filter(task="tasks.none")))
    assert (page.jobs, page.examined, page.total) == ([], pace.FIRST, ROWS)
    assert page.older is not None
    assert step(backend.count(Filter(task="tasks.none"))).whole is False
    rest = step(backend.search(Filter(task="tasks.none"), page.older))
    assert rest.older is not None and rest.older < page.older


def test_causes_are_counted_up_to_a_number(
    backend: SqliteBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each cause of each state once, with the newest and the oldest of its jobs."""
    found = step(backend.causes(Filter(), 1000))
    assert found.whole
    assert sum(each.number for each in found.found) == ROWS // 100 * 2 + ROWS // 1000
    for each in found.found:
        fields = {"state": each.newest.state}
        cause = each.newest.error.fingerprint if each.newest.error else ""
        if cause:
            ids, _ = everything(backend, error=cause, **fields)
            assert (ids[0], ids[-1]) == (each.newest.message.id, each.oldest_id)
            assert len(ids) == each.number
    monkeypatch.setattr(search, "MOST_COUNTED", 3)
    few = step(backend.causes(Filter(state=State.FAILED), 5)).found
    assert {(each.number, each.whole) for each in few} == {(3, False)}
    oldest = {each.newest.message.id: each.oldest_id for each in found.found}
    assert all(each.oldest_id == oldest[each.newest.message.id] for each in few)


def test_success_is_in_no_index_for_people() -> None:
    """What nearly every job does must not pay for what is seldom asked."""
    lines = [line for line in statements.SCHEMA.splitlines() if line.startswith("create index")]
    people = [line for line in lines if " ended " in line or " caused " in line]
    assert len(people) == 2
    assert all(line.endswith("where state >= 3;") for line in people)
