"""A full queue, and then a worker: rate, processor time and bytes for each task."""

from __future__ import annotations

import time

from benchmarks.contender import Contender
from benchmarks.figures import Measure
from benchmarks.scenarios.scenario import Plan, Scenario
from benchmarks.session import Session
from benchmarks.swing import Swing

_WARM_UP = 1  # the task that the client sends before it is timed
_SETTLING = 0.25
"""Seconds after the last run in which its result is stored; an idle worker uses next to nothing."""


def run(contender: Contender, plan: Plan) -> dict[str, float]:
    """Drain a queue of the usual task."""
    return drain(contender, plan, plan.tasks(contender))


def run_io(contender: Contender, plan: Plan) -> dict[str, float]:
    """Drain a queue of tasks that wait: fewer, for no processor makes them quicker."""
    return drain(contender, plan, plan.tasks(contender) // 3)


def drain(contender: Contender, plan: Plan, n: int) -> dict[str, float]:
    """Fill, start, wait for the last run, then read every result back if they are kept."""
    with Session(contender, plan.base) as session:
        session.ask("fill", session.jobs, n)
        total, records = n + _WARM_UP, session.records
        worker = session.worker()
        swing = Swing(session, worker, at_latest=total // 2)
        session.hits(total)
        time.sleep(_SETTLING)
        swing.end()
        read = {"read_us": session.ask("check", session.jobs)["us"]} if _readable(contender) else {}
        stored = {"server_cpu_us": swing.server_cpu_us} if session.server else {}
    stamps = sorted(records.stamps)
    ours = {"supervisor_cpu_us": swing.cpu_us_each[worker.pid]} if contender.ours else {}
    return {
        "per_s": (total - 1) / (stamps[-1] - stamps[0]),
        "swing_per_s": swing.count / (stamps[-1] - swing.at),
        "cpu_us": swing.cpu_us,
        **stored,
        **ours,
        "bytes": swing.bytes,
        "start_s": stamps[0] - worker.started_at,
        **read,
        "again": float(len(stamps) - total),
    }


def _readable(contender: Contender) -> bool:
    return contender.kept and not contender.coroutines


_RATES = (
    Measure("per_s", "tasks per second, from the first run to the last", compared=True),
    Measure("swing_per_s", "the same from when every process of the worker runs tasks"),
    Measure("cpu_us", "processor time of all worker processes, µs per task", compared=True),
)
_MEASURES = (
    *_RATES,
    Measure("supervisor_cpu_us", "of it in the supervisor"),
    Measure("bytes", "bytes written to the disk by the worker, per task"),
    Measure("start_s", "seconds from the worker's start to the first run"),
    Measure("read_us", "reading a result back, µs", compared=True),
    Measure("again", "tasks that ran more than once"),
)
SCENARIO = Scenario(
    name="drain",
    words="add(i, i) queued, then one worker is started; all results are kept and read back",
    measures=_MEASURES,
    run=run,
)
IO = Scenario(
    name="io",
    words="the same with a task that waits 20 ms: ropeway awaits, as many at once as by default",
    measures=_MEASURES,
    run=run_io,
)
SERVED = Scenario(
    name="drain",
    words="add(i, i) queued, then one worker is started",
    measures=(
        *_RATES,
        Measure("server_cpu_us", "processor time of the server, µs per task", compared=True),
        Measure("again", "tasks that ran more than once"),
    ),
    run=run,
)
