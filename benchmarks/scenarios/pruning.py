"""A drain during which as many records are removed as are settled: the state that lasts."""

from __future__ import annotations

import shutil
import time

from msgspec.structs import replace

from benchmarks.contender import Contender
from benchmarks.figures import Measure
from benchmarks.scenarios.scenario import Plan, Scenario
from benchmarks.session import Session
from benchmarks.stock import rows, stocked
from benchmarks.swing import Swing

_QUEUED = 1_000_000
_KEPT = "20000"


def run(contender: Contender, plan: Plan) -> dict[str, float]:
    """The same stretch of a long queue twice: nearly all records go, or all are kept."""
    pruning = replace(contender, env={"ROPEWAY_KEEP_COUNT": _KEPT})
    keeping = replace(contender, env={"ROPEWAY_KEEP_COUNT": str(10 * _QUEUED)})
    pruned, kept = _drain(pruning, plan), _drain(keeping, plan)
    return {
        **pruned,
        "kept_per_s": kept["per_s"],
        "kept_cpu_us": kept["cpu_us"],
        "costs": pruned["cpu_us"] / kept["cpu_us"],
    }


def _drain(contender: Contender, plan: Plan) -> dict[str, float]:
    with Session(contender, plan.base) as session:
        shutil.copyfile(stocked(contender, plan.base, "queued", _QUEUED), session.database)
        worker = session.worker()
        # The first records go some seconds after the start; from then on the state lasts.
        warm = plan.pruned // 3
        swing = Swing(session, worker, at_latest=warm, after=warm)
        before = rows(session.database)
        session.hits(swing.first + plan.pruned)
        swing.end()
        took = time.time() - swing.at
        removed = before - rows(session.database)
    return {
        "per_s": swing.count / took,
        "cpu_us": swing.cpu_us,
        "bytes": swing.bytes,
        "removed": removed / swing.count,
    }


SCENARIO = Scenario(
    name="pruning",
    words=f"a long drain that keeps the newest {int(_KEPT):,} records, and one that keeps all",
    measures=(
        Measure("per_s", "tasks per second"),
        Measure("kept_per_s", "the same when all are kept"),
        Measure("removed", "records removed for each that is settled"),
        Measure("cpu_us", "processor time of all worker processes, µs per task"),
        Measure("kept_cpu_us", "the same when all are kept"),
        Measure("costs", "the former by the latter"),
        Measure("bytes", "bytes written to the disk by the worker, per task"),
    ),
    run=run,
)
