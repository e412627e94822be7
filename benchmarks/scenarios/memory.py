"""What a worker's memory is after very many tasks: a leak of a few bytes a task would show."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.contender import Contender
from benchmarks.figures import Measure
from benchmarks.processes import Started
from benchmarks.scenarios.scenario import Plan, Scenario
from benchmarks.session import Session
from benchmarks.stock import stocked

_FEW, _MANY = 100_000, 1_000_000


def run(contender: Contender, plan: Plan) -> dict[str, float]:
    """Look at one worker twice."""
    with Session(contender, plan.base) as session:
        shutil.copyfile(stocked(contender, plan.base, "queued", _MANY), session.database)
        worker = session.worker()
        session.hits(_FEW)
        few = _own_memory(worker)
        session.hits(_MANY)
        many = _own_memory(worker)
    return {"few_mb": few / 2**20, "many_mb": many / 2**20, "growth": many / few}


def _own_memory(worker: Started) -> int:
    """The bytes that belong to its processes alone: what is mapped from files is the benchmark's."""
    return sum(_anonymous(pid) for pid in worker.tree())


def _anonymous(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


SCENARIO = Scenario(
    name="memory",
    words=f"one worker, looked at after {_FEW:,} and after {_MANY:,} tasks",
    measures=(
        Measure("few_mb", f"memory of all worker processes after {_FEW:,}, MiB"),
        Measure("many_mb", f"after {_MANY:,}"),
        Measure("growth", "the latter by the former"),
    ),
    run=run,
    most_rounds=2,
)
