"""A full queue, and then a worker: rate and processor time for each task."""

from __future__ import annotations

import time

from benchmarks.contenders import Contender
from benchmarks.figures import Measure
from benchmarks.processes import cpu_each
from benchmarks.scenarios.scenario import Plan, Scenario
from benchmarks.session import Session

_WARM_UP = 1  # the task that the client sends before it is timed
_SETTLING = 0.25
"""Seconds after the last run in which its result is stored; an idle worker uses next to nothing."""


def run(contender: Contender, plan: Plan) -> dict[str, float]:
    """Fill, start, wait for the last run, then read every result back."""
    n = plan.tasks(contender)
    with Session(contender, plan.base) as session:
        session.ask("fill", session.jobs, n)
        total = n + _WARM_UP
        records = session.records
        worker = session.worker()

        def in_full_swing() -> bool:
            # From here on no process is still importing: what is used is used for tasks.
            done = records.poll()
            return records.processes >= contender.processes or done >= total // 2

        session.wait(in_full_swing, "the first run")
        before, since, at = cpu_each(worker.tree()), len(records.stamps), time.time()
        session.hits(total)
        time.sleep(_SETTLING)
        records.poll()
        after = cpu_each(worker.tree())
        read = session.ask("check", session.jobs)
    stamps = sorted(records.stamps)
    count = max(1, total - since)
    used = {pid: after[pid] - before.get(pid, 0.0) for pid in after}
    supervisor = used[worker.pid] / count * 1e6
    return {
        "per_s": (total - 1) / (stamps[-1] - stamps[0]),
        "swing_per_s": count / (stamps[-1] - at),
        "cpu_us": sum(used.values()) / count * 1e6,
        **({"supervisor_cpu_us": supervisor} if contender.ours else {}),
        "start_s": stamps[0] - worker.started_at,
        "read_us": read["us"],
        "again": float(len(stamps) - total),
    }


SCENARIO = Scenario(
    name="drain",
    words="add(i, i) queued, then one worker is started; all results are kept and read back",
    measures=(
        Measure("per_s", "tasks per second, from the first run to the last", compared=True),
        Measure("swing_per_s", "the same from when every process of the worker runs tasks"),
        Measure("cpu_us", "processor time of all worker processes, us per task", compared=True),
        Measure("supervisor_cpu_us", "of it in the supervisor"),
        Measure("start_s", "seconds from the worker's start to the first run"),
        Measure("read_us", "reading a result back, us", compared=True),
        Measure("again", "tasks that ran more than once"),
    ),
    run=run,
)
