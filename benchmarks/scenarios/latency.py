"""From send to result, in another process than the worker's: idle, or with its hands full."""

from __future__ import annotations

import shutil

from benchmarks.contender import Contender
from benchmarks.figures import Measure, percentiles
from benchmarks.processes import Failed
from benchmarks.scenarios.scenario import Plan, Scenario
from benchmarks.session import Session
from benchmarks.stock import stocked

_BACKLOG = 1_000_000
"""Jobs that ropeway drains meanwhile; they last for a quarter of a minute."""


def run(contender: Contender, plan: Plan) -> dict[str, float]:
    """One round trip at a time, with random gaps in which everything falls asleep."""
    with Session(contender, plan.base, results=True) as session:
        session.warm_up()
        asynchronous = contender.task == "add_async"
        answer = session.ask("alatency" if asynchronous else "latency", plan.latency_rounds)
    return percentiles(answer["seconds"])


def run_start(contender: Contender, plan: Plan) -> dict[str, float]:
    """From before a send to the begin of its run, which needs no results."""
    with Session(contender, plan.base) as session:
        session.warm_up(by="starts")
        answer = session.ask("starts", plan.latency_rounds)
    return percentiles(answer["seconds"])


def run_loaded(contender: Contender, plan: Plan) -> dict[str, float]:
    """The same past a queue so long that it is not drained when the last one is back."""
    with Session(contender, plan.base) as session:
        queued = _fill(session, plan)
        session.worker()
        session.hits(1)
        answer = session.ask("latency", plan.latency_rounds // 6, "overtake")
        ran = session.records.poll()
        stamps = session.records.stamps
        if ran >= queued:
            raise Failed(f"{contender.name}: the queue was empty before the last round trip")
    return {**percentiles(answer["seconds"]), "ran": ran / (max(stamps) - min(stamps))}


def _fill(session: Session, plan: Plan) -> int:
    if session.contender.ours:
        path = stocked(session.contender, plan.base, "queued", _BACKLOG)
        shutil.copyfile(path, session.database)
        return _BACKLOG
    queued = 10_000 + 50 * plan.latency_rounds
    session.ask("fill", session.jobs, queued)
    return queued


_MEASURES = (
    Measure("p50_ms", "p50, ms", compared=True),
    Measure("p95_ms", "p95, ms"),
    Measure("p99_ms", "p99, ms", compared=True),
    Measure("max_ms", "the longest, ms"),
)
SCENARIO = Scenario(
    name="latency",
    words="send and wait for the result, one at a time, gaps of 5 to 25 ms, idle worker",
    measures=_MEASURES,
    run=run,
)
START = Scenario(
    name="start",
    words="from before a send to the begin of its run, one at a time, gaps of 5 to 25 ms, idle worker",
    measures=_MEASURES,
    run=run_start,
)
LOADED = Scenario(
    name="loaded",
    words="the same beside a drain: in a second queue (huey, potatoq: with a priority)",
    measures=(*_MEASURES, Measure("ran", "tasks run meanwhile, a second")),
    run=run_loaded,
)
