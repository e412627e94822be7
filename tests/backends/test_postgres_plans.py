"""Whatever PostgreSQL believes of its tables, each claim and settle goes by the index made for it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from ropeway.backends.postgres import Address, Link, PostgresBackend, statements
from ropeway.backends.postgres.sessions import Connection
from ropeway.backends.postgres.statements import SQL
from ropeway.claims import Claim
from ropeway.states import State
from ropeway.testing.conformance.steps import Claimer, ids, message, settled
from ropeway.transition import Finish, Release, Transition
from tests.backends.postgres_rig import database, schema_url, side
from tests.conftest import AsyncEventually

__all__ = ["database", "schema_url", "side"]

_BACKLOG = 200_000
_CLAIM = Claim("default", 9)
_FILL = """
insert into job (serial, place, enqueued, band, kind, lane, id, task, queue, body)
select n, clock() + {ahead}, clock(), 5, 0, 10, '{prefix}' || n, 't', 'default', '' from
generate_series(1, {count}) n
"""

_SCHEMA = (Path(statements.__file__).parent / "schema.sql").read_text(encoding="utf-8")


def _within(function: str, begin: str, end: str, **names: str) -> str:
    """Return a statement of a function of the schema, with parameters for its variables."""
    body = _SCHEMA.partition(f" {function}(")[2].partition("begin\n")[2]
    found = begin + body.partition(begin)[2].partition(end)[0]
    for name, parameter in names.items():
        found = re.sub(rf"\b{name}\b", parameter, found)
    return found


_STATEMENTS = {
    **SQL,
    "finish_unkept_and_tell": _within(
        "finish_unkept_and_tell",
        "delete from job",
        "returning",
        ids="$1::text[]",
        number="$2::int",
        lessee="$3::text",
    ),
    "known_of": _within("known_of", "delete from job", ";", ended="$1::text[]"),
}

# Statement -> the indexes that it may go by; no table may be read through.
_PLANS: dict[str, set[str]] = {
    "look": {"lanes", "leased", "waking"},
    "look_from": {"lanes", "leased", "waking"},
    "look_and_claim": {"lanes", "leased", "waking"},
    "claim_due": {"lanes"},
    "claim_expired": {"leased", "record_pkey"},
    "candidates": {"lanes"},
    "unpark": {"parked"},
    "extend": {"job_pkey"},
    "finish_unkept": {"job_pkey"},
    "finish_unkept_and_tell": {"job_pkey"},
    "known_of": {"job_pkey"},
    "finish": {"job_pkey"},
    "release": {"job_pkey"},
    "load_open": {"job_pkey"},
    "load_finished": {"finished_pkey"},
    "open_lines": {"keyed"},
    "free_next": {"job_pkey", "keyed"},
    "flagged_over": {"flagged"},
    "late": {"expiring"},
    "prune": {"kept"},
    "bounds": {"kept"},
    "prune_records": {"record_expiring"},
    "peek": {"lanes"},
    "lanes": {"lanes"},
    "queue_names": {"lanes", "leased"},
    "count_queue": {"lanes", "leased"},
    "search_open": {"job_pkey"},
    "search_finished": {"finished_pkey"},
    "search_ended": {"ended"},
    "search_caused": {"caused"},
    "causes": {"caused"},
    "scan": {"record_pkey"},
    "read": {"entry_pkey", "log_name_key", "arrival_pkey"},
}


async def _plan(connection: Connection, name: str) -> list[dict[str, Any]]:
    """Return the nodes of the plan that a session of ropeway's would go by, for any values."""
    nulls = ", ".join("null" for _ in {*re.findall(r"\$\d+", _STATEMENTS[name])})
    await connection.execute(f"prepare {name} as {_STATEMENTS[name]}")
    call = f"execute {name}({nulls})" if nulls else f"execute {name}"
    told = await connection.fetchval(f"explain (format json) {call}")
    await connection.execute(f"deallocate {name}")
    return [*_nodes(json.loads(told)[0]["Plan"])]


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


@pytest.fixture
async def filled(schema_url: str, side: Connection) -> AsyncIterator[PostgresBackend]:
    """A backend with a long queue that nobody has ever analysed."""
    backend = PostgresBackend(Link(Address.of(schema_url)))
    await backend.open()
    await side.execute("alter table job set (autovacuum_enabled = off)")
    yield backend
    await backend.close()


async def test_the_plans_of_a_table_that_was_never_analysed(
    filled: PostgresBackend, side: Connection
) -> None:
    """No statement of daily work reads a table through, or sorts one, however long the queue."""
    await side.execute(_FILL.format(ahead=0, prefix="a", count=20_000))
    await _assert_plans(filled)


async def test_the_plans_of_a_table_that_was_analysed_when_it_was_empty(
    filled: PostgresBackend, side: Connection
) -> None:
    """The server believes that one look at the whole table is cheap; it is not."""
    for table in ("job", "finished", "record", "wake", "join_point"):
        await side.execute(f"vacuum analyze {table}")
    await side.execute(_FILL.format(ahead=0, prefix="a", count=20_000))
    await _assert_plans(filled)


async def _assert_plans(backend: PostgresBackend) -> None:
    async def work(connection: Connection) -> dict[str, list[dict[str, Any]]]:
        return {name: await _plan(connection, name) for name in _PLANS}

    for name, nodes in (await backend.link.run(work, write=False)).items():
        kinds = {node["Node Type"] for node in nodes}
        assert not kinds & {"Seq Scan", "Hash Join", "Merge Join", "Bitmap Heap Scan"}, name
        assert {node["Index Name"] for node in nodes if "Index Name" in node} <= _PLANS[name]
        whole = [n for n in nodes if "Index Name" in n and "Index Cond" not in n]
        assert name == "queue_names" or not whole, f"{name} reads {whole} from end to end"


async def test_a_claim_beside_a_long_queue_reads_what_it_takes(
    filled: PostgresBackend, side: Connection
) -> None:
    """The pages that a claim and a settle touch do not grow with what waits, or is delayed."""
    await side.execute(_FILL.format(ahead=0, prefix="a", count=_BACKLOG))
    await side.execute(_FILL.format(ahead=9e6, prefix="b", count=_BACKLOG))
    touched = [await _touched(side, SQL["claim_due"], n) for n in (1, 100)]
    assert touched[0] < 30
    assert touched[1] < 30 * 100


async def _touched(side: Connection, statement: str, n: int) -> int:
    await side.execute("set enable_seqscan = off")
    explained = f"explain (analyze, buffers, format json) {statement}"
    now = await side.fetchval("select clock()")
    told = await side.fetchval(explained, "w", 60.0, "default", 0, 10, now, n, -1.0)
    plan = json.loads(told)[0]["Plan"]
    assert plan["Actual Rows"] == n
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


async def test_claims_beside_a_snapshot_that_is_held_open(
    filled: PostgresBackend, side: Connection, database: str
) -> None:
    """What others may still see of rows that are gone is not read at every claim."""
    other = await asyncpg.connect(database)
    await other.execute("begin isolation level repeatable read; select 1")
    await side.execute(_FILL.format(ahead=0, prefix="gone", count=20_000))
    await side.execute(
        "update job set state = 1, lease_until = clock() - 1, holder = 'w'; delete from job"
    )
    me = Claimer(filled, "me", 60.0)
    read: list[int] = []
    for _ in range(40):
        new = [message() for _ in range(3)]
        await filled.commit([Transition(publish=(each,)) for each in new])
        looked = await filled.link.run(lambda c: filled._since.look(c, [_CLAIM]), write=False)
        read.append(looked.entries)
        found = await me.take(9)
        assert ids(found) == ids(new)
        await filled.commit([settled(each, Finish(State.SUCCEEDED, keep=0.0)) for each in found])
    await other.close()
    assert max(read) > 20_000
    assert sorted(read)[len(read) // 2] < 1_000


async def test_what_comes_back_beside_a_snapshot_is_found(
    filled: PostgresBackend, side: Connection, database: str, aeventually: AsyncEventually
) -> None:
    """Given back to its old place, where claims do not look any more, a message is found later."""
    other = await asyncpg.connect(database)
    await other.execute("begin isolation level repeatable read; select 1")
    first, second = message(), message()
    await filled.commit([Transition(publish=(each,)) for each in (first, second)])
    me = Claimer(filled, "me", 60.0)
    held = await me.take(1)
    await side.execute(_FILL.format(ahead=0, prefix="gone", count=20_000))
    await side.execute("delete from job where id like 'gone%'")
    assert ids(await me.take(1)) == [second.id]
    await filled.commit([settled(held[0], Release("releases"))])

    async def found() -> list[str]:
        return ids(await me.take(1))

    assert await aeventually(found) == [first.id]
    await other.close()


async def test_the_plans_of_a_table_with_nothing_in_it(
    filled: PostgresBackend, side: Connection
) -> None:
    """A plan that is made when there is nothing is kept by its session when there is much."""
    await _assert_plans(filled)
    await filled.commit([Transition(publish=(message(),))])
    await _assert_plans(filled)
    await side.execute("truncate job, finished, unkept")
    await _assert_plans(filled)
    await side.execute("vacuum analyze job")
    await _assert_plans(filled)
