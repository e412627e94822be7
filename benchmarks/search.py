"""How long people wait who look for jobs among a million: `python -m benchmarks.search [ROWS]`.

The rows are written by SQL into a file of its own, so that they are there within a minute: nearly
all have succeeded, some failed or are in quarantine for one of fifty causes, a few wait or run.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import apsw

from ropeway.backends.sqlite import Database, SqliteBackend
from ropeway.backends.sqlite.transport import Blocking
from ropeway.ids import first_id
from ropeway.message import job_key
from ropeway.states import State
from ropeway.stepping import step
from ropeway.store import Filter

START = 1_750_000_000
"""When the first job was made; there is one each millisecond from then on."""

ROWS = """
with recursive n (i) as (select 0 union all select i + 1 from n where i + 1 < :rows),
t (i, ms, state, task) as (
    select i, :start * 1000 + i,
        case when i % 100 = 1 then 3 when i % 100 = 2 then 6 when i % 5000 = 3 then 0
            when i % 50000 = 4 then 1 when i % 1000 = 5 then 4 else 2 end,
        case when i = 1000 then 'tasks.rare' else 'tasks.t' || (i / 3 % 200) end
    from n)
insert into job (id, task, queue, band, state, place, enqueued, attempt, body, lane, holder,
    lease_until, started, finished, purge, cause, error)
select printf('%08x-%04x-7%03x-8%03x-%012x', ms >> 16, ms & 65535, i % 4096, i % 4096, i),
    task, 'q' || (i % 20), 5, state, ms / 1000.0, ms / 1000.0, 1, cast('{"x":' || i || '}' as blob), 10, 'me',
    iif(state = 1, 1e12, null), ms / 1000.0, iif(state > 1, ms / 1000.0, null),
    iif(state > 1, 4e9, null), iif(state in (3, 6), printf('%012x', i / 100 % 50), null),
    iif(state in (3, 6), cast(printf('{"type":"E","message":"m","traceback":"%s",'
        || '"fingerprint":"%012x"}', printf('%.600c', 'x'), i / 100 % 50) as blob), null)
from t
"""


def fill(path: Path, rows: int) -> None:
    """Make a database of so many jobs."""
    Database(path).open()
    connection = apsw.Connection(str(path))
    connection.execute("pragma synchronous = off")
    connection.execute(ROWS, {"rows": rows, "start": START})
    connection.close()


def looks(backend: SqliteBackend, rows: int) -> dict[str, Callable[[], object]]:
    """Return what people ask for, by what it is called."""

    def find(**fields: object) -> Callable[[], object]:
        which = Filter(**fields)  # type: ignore[arg-type]  # the fields are named below
        return lambda: step(backend.search(which))

    middle = START + rows / 2000
    some_id = first_id(middle)[:13]
    found = step(backend.search(Filter(), None, 1)).jobs[0].message.id
    searches = {str(state): find(state=state) for state in State}
    return searches | {
        "everything": find(),
        "a task of 200": find(task="tasks.t7"),
        "a task sent once, long ago": find(task="tasks.rare"),
        "that, and when": find(task="tasks.rare", since=START, until=START + 2),
        "a queue": find(queue="q3"),
        "a task that there is not": find(task="tasks.none"),
        "a second in the middle": find(since=middle, until=middle + 1),
        "the start of an id": find(id_prefix=some_id),
        "a cause": find(error=f"{1:012x}"),
        "a cause of a state": find(error=f"{2:012x}", state=State.QUARANTINED),
        "failed, of a task": find(state=State.FAILED, task="tasks.t0"),
        "failed, a task that there is not": find(state=State.FAILED, task="tasks.none"),
        "succeeded, a task that there is not": find(state=State.SUCCEEDED, task="tasks.none"),
        "queued, of a queue": find(state=State.QUEUED, queue="q3"),
        "count of all": lambda: step(backend.count(Filter())),
        "count of what failed": lambda: step(backend.count(Filter(state=State.FAILED))),
        "causes": lambda: step(backend.causes(Filter())),
        "causes of a task": lambda: step(backend.causes(Filter(task="tasks.t0"))),
        "queues ls": lambda: step(backend.stats(cap=100_000)),
        "jobs show": lambda: step(backend.get([job_key(found)])),
    }


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "jobs.db"
        start = time.perf_counter()
        fill(path, rows)
        size = path.stat().st_size / 1e6
        print(f"{rows:,} jobs in {time.perf_counter() - start:.0f} s, {size:,.0f} MB\n")
        database = Database(path)
        backend = SqliteBackend(database, Blocking(database))
        print("| Look | Median | Worst of 15 |\n|---|--:|--:|")
        for name, look in looks(backend, rows).items():
            taken = [_seconds(look) for _ in range(15)]
            print(f"| {name} | {statistics.median(taken):.1f} ms | {max(taken):.1f} ms |")
        database.close()


def _seconds(look: Callable[[], object]) -> float:
    start = time.perf_counter()
    look()
    return (time.perf_counter() - start) * 1000


if __name__ == "__main__":
    main()
