"""Nothing to do: a worker without work, and a process that waits for a result."""

from __future__ import annotations

import time

from benchmarks import tracing
from benchmarks.contender import Contender
from benchmarks.figures import Measure
from benchmarks.processes import Failed, Started, cpu_seconds
from benchmarks.scenarios.scenario import Plan, Scenario
from benchmarks.session import Session

_AT_REST = 2.0


def run(contender: Contender, plan: Plan) -> dict[str, float]:
    """Processor time first; then, since counting slows what is counted, the system calls."""
    with Session(contender, plan.base) as session:
        worker = session.warm_up()
        waiter = session.begin("block", 2 * (plan.idle_seconds + plan.strace_seconds) + 60)
        time.sleep(_AT_REST)
        start, before = time.monotonic(), [_used(worker), _used(waiter)]
        time.sleep(plan.idle_seconds)
        took = time.monotonic() - start
        used = [now - then for now, then in zip(map(_used, (worker, waiter)), before, strict=True)]
        values = {
            "worker_percent": used[0] / took * 100,
            "waiter_percent": used[1] / took * 100,
        }
        values |= _system_calls(session, worker, waiter, plan.strace_seconds)
        if not waiter.alive():
            raise Failed(f"{contender.name}: it did not wait\n{waiter.said()}")
    return values


def _used(started: Started) -> float:
    return cpu_seconds(started.tree())


def _system_calls(
    session: Session, worker: Started, waiter: Started, seconds: float
) -> dict[str, float]:
    if not tracing.available():
        return {}
    found: dict[str, float] = {}
    for key, started in (("worker_calls", worker), ("waiter_calls", waiter)):
        count = tracing.watch(started.tree(), seconds / 2, session.folder / "calls")
        if count is not None:
            found[key] = count / (seconds / 2)
    return found


SCENARIO = Scenario(
    name="idle",
    words="an idle worker, and a process that is blocked in result()",
    measures=(
        Measure("worker_percent", "worker, all processes: per cent of a core", compared=True),
        Measure("waiter_percent", "the waiting process: per cent of a core", compared=True),
        Measure("worker_calls", "worker, all processes: system calls a second (counted apart)"),
        Measure("waiter_calls", "the waiting process: system calls a second (counted apart)"),
    ),
    run=run,
    most_rounds=1,
)
