"""How SQLite keeps what has a name: what its statements read, and what the disk is asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ropeway.backends.sqlite import Blocking, Database, SqliteBackend, commit, statements
from ropeway.claims import Claim
from ropeway.ids import new_id
from ropeway.message import Message
from ropeway.stepping import step
from ropeway.transition import Append, Arrive, Drop, Join, Put, Transition

ONE_SEARCH = {
    "record_version": "record USING PRIMARY KEY (key=?)",
    "get_record": "record USING PRIMARY KEY (key=?)",
    "drop": "record USING PRIMARY KEY (key=?)",
    "scan": "record USING PRIMARY KEY (key>? AND key<?)",
    "prune_records": "record USING COVERING INDEX record_expiring (expires>? AND expires<?)",
    "earliest_record_expiry": "record USING COVERING INDEX record_expiring (expires>?)",
    "read": "entry USING INDEX sqlite_autoindex_entry_1 (log=? AND offset>?)",
    "join_point": "join_point USING PRIMARY KEY (name=?)",
    "fire": "join_point USING PRIMARY KEY (name=?)",
    "take_then": "join_then USING INDEX sqlite_autoindex_join_then_1 (name=?)",
    "joins_over": "join_point USING COVERING INDEX join_over (purge<?)",
    "earliest_join_purge": "join_point USING COVERING INDEX join_over",
    "drop_members": "join_member USING PRIMARY KEY (name=?)",
    "drop_then": "join_then USING INDEX sqlite_autoindex_join_then_1 (name=?)",
    "drop_join": "join_point USING PRIMARY KEY (name=?)",
}

ARRIVALS = """
import json, sys
from pathlib import Path
from ropeway.backends.sqlite import Blocking, Database, SqliteBackend
from ropeway.stepping import step
from ropeway.transition import Arrive, Transition

database = Database(Path(sys.argv[1]))
backend, members = SqliteBackend(database, Blocking(database)), json.load(sys.stdin)
step(backend.open())
fired = refused = 0
for start in range(0, len(members), 100):
    part = members[start : start + 100]
    answers = step(backend.commit([Transition(arrive=(Arrive("j", each),)) for each in part]))
    fired += sum(answer.fired == ("j",) for answer in answers)
    refused += sum(not answer.ok for answer in answers)
database.close()
json.dump([fired, refused], sys.stdout)
"""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "ropeway.db")
    made.open()
    yield made
    made.close()


def blocking(database: Database) -> SqliteBackend:
    return SqliteBackend(database, Blocking(database))


@pytest.mark.parametrize("name", ONE_SEARCH)
def test_statements_search_an_index(database: Database, name: str) -> None:
    """None reads a whole table or sorts, however many records, entries and members there are."""
    statement = statements.ALL[name]

    def explain(execute: Any) -> list[str]:
        values = (0,) * statement.count("?")
        return [row[3] for row in execute("explain query plan " + statement, values)]

    plan = [line for line in database.read(explain) if line != "SCAN CONSTANT ROW"]
    assert f"SEARCH {ONE_SEARCH[name]}" in plan
    assert not [line for line in plan if "SCAN" in line or "TEMP B-TREE" in line]


@pytest.mark.parametrize(
    "more",
    [
        {"put": (Put("r", b""),)},
        {"drop": (Drop("r"),)},
        {"append": (Append("l", b""),)},
        {"join": (Join("j", 1),)},
        {"arrive": (Arrive("j", "a"),)},
        {"expect": {"r": 0}},
    ],
)
def test_only_messages_may_be_seen_before_they_are_flushed(more: dict[str, Any]) -> None:
    """Nobody may act on a record, an entry or an arrival that a power cut undoes."""
    message = Message(id=new_id(), task="t")
    assert commit.durability([Transition(publish=(message,))]) == "after"
    assert commit.durability([Transition(publish=(message,), **more)]) == "before"
    assert commit.durability([Transition(**more)]) == "before"


def test_a_join_of_ten_thousand_from_eight_processes(database: Database) -> None:
    """Each member arrives twice, in another process the second time: it fires once, all stand."""
    backend, then = blocking(database), Message(id=new_id(), task="t")
    members = [f"member {number}" for number in range(10_000)]
    step(backend.commit([Transition(join=(Join("j", len(members), (then,)),))]))
    command = [sys.executable, "-c", ARRIVALS, os.fspath(database.path)]
    arriving = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    for number, process in enumerate(arriving):
        assert process.stdin is not None
        json.dump([*members[number::8], *members[(number + 1) % 8 :: 8]], process.stdin)
        process.stdin.close()
        process.stdin = None
    told = [json.loads(process.communicate(timeout=60)[0]) for process in arriving]
    fired, refused = map(sum, zip(*told, strict=True))
    print(f"fired: {fired}; refused: {refused}")
    assert (fired, refused) == (1, 0)
    (delivery,) = step(backend.receive([Claim("default", 9)], "me", 60))
    assert delivery.message == then
