"""What a task asks of SQLite and of the disk, counted in runs where nothing is timed."""

from __future__ import annotations

import time

from benchmarks import census, tracing
from benchmarks.contender import Contender
from benchmarks.figures import Measure
from benchmarks.processes import Failed
from benchmarks.scenarios.scenario import Plan, Scenario
from benchmarks.session import Session

_FLUSHES = "fsync,fdatasync"
_SETTLING = 0.5


def run(contender: Contender, plan: Plan) -> dict[str, float]:
    """A drain, sends one by one, and sends in bulk."""
    if not tracing.available():
        return {}
    few = max(2_000, plan.tasks(contender) // 10)
    return {
        **_named("drain", _drain(contender, plan, few)),
        **_named("send", _more(contender, plan, "send", 200)),
        **_named("bulk", _more(contender, plan, "fill", few)),
    }


def _drain(contender: Contender, plan: Plan, n: int) -> dict[str, float]:
    """All that a worker does in its life, which is to drain a queue."""
    with Session(contender, plan.base, counted=True) as session:
        session.ask("fill", session.jobs, n)
        before = census.read(session.counts)
        report = session.folder / "calls"
        worker = session.worker(tracing.prefix(report, _FLUSHES, apart=True))
        session.hits(n)
        time.sleep(_SETTLING)
        worker.stop()
        session.wait(lambda: bool(tracing.counts(report)), "the report of strace")
        after = census.read(session.counts)
        flushes, synced = tracing.total(report), tracing.counts(report).get("fdatasync", 0)
    done = {name: float(after[name] - before[name]) for name in census.NAMES}
    per_task = {name: done[name] / n for name in ("statements", "commits")}
    per_task["flushes"] = flushes / n
    if contender.ours:
        _check_durable(done, synced, n)
        per_task["settling"] = done["settling"] / n
        per_task["per_settling"] = synced / done["settling"]
    return per_task


def _check_durable(done: dict[str, float], synced: int, n: int) -> None:
    """Results are on the disk before anyone sees them, so no such commit goes without a flush."""
    if done["settles"] < n:
        raise Failed(f"only {done['settles']:.0f} settles were seen of {n}: the count is wrong")
    if synced < done["settling"]:
        raise Failed(f"{done['settling']:.0f} commits with settles, but fdatasync {synced} times")


def _more(contender: Contender, plan: Plan, action: str, n: int) -> dict[str, float]:
    """What twice as much asks more, so that opening the database is left out."""
    once, twice = (_client(contender, plan, action, count) for count in (n, 2 * n))
    return {name: (twice[name] - once[name]) / n for name in twice}


def _client(contender: Contender, plan: Plan, action: str, n: int) -> dict[str, int]:
    with Session(contender, plan.base, counted=True) as session:
        report = session.folder / "calls"
        arguments = (session.jobs, n) if action == "fill" else (n,)
        session.ask(action, *arguments, prefix=tracing.prefix(report, _FLUSHES))
        done = census.read(session.counts)
        return {
            "statements": done["statements"],
            "commits": done["commits"],
            "flushes": tracing.total(report),
        }


def _named(part: str, values: dict[str, float]) -> dict[str, float]:
    return {f"{part}_{name}": value for name, value in values.items()}


SCENARIO = Scenario(
    name="effort",
    words="statements, transactions and flushes of the disk, counted apart, nothing timed",
    measures=(
        Measure("drain_statements", "drain: SQL statements a task"),
        Measure("drain_commits", "drain: transactions that write, a task"),
        Measure("drain_settling", "drain: of them with results in them, a task"),
        Measure("drain_flushes", "drain: flushes (fdatasync, fsync) a task"),
        Measure(
            "drain_per_settling", "drain: fdatasync for each transaction with results (1 or more)"
        ),
        Measure("send_statements", "send, one by one: SQL statements each"),
        Measure("send_commits", "send, one by one: transactions each"),
        Measure("send_flushes", "send, one by one: flushes each"),
        Measure("bulk_statements", "send_many: SQL statements a message"),
        Measure("bulk_commits", "send_many: transactions a message"),
        Measure("bulk_flushes", "send_many: flushes a message"),
    ),
    run=run,
    most_rounds=1,
)
