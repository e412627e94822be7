"""Nothing to do: a worker without work, and a process that waits for a result."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence

from benchmarks.contenders import Contender
from benchmarks.figures import Measure
from benchmarks.processes import Started, cpu_seconds
from benchmarks.scenarios.scenario import Plan, Scenario
from benchmarks.session import Session

_TOTAL = re.compile(r"^100\.00\s+\S+\s+\S+\s+(\d+)\b.*\btotal$", re.MULTILINE)
_AT_REST = 2.0


def run(contender: Contender, plan: Plan) -> dict[str, float]:
    """Processor time first; then, since counting slows what is counted, the system calls."""
    with Session(contender, plan.base) as session:
        worker = session.warm_up()
        whole = plan.idle_seconds + plan.strace_seconds + 4 * _AT_REST
        waiter = session.begin("block", whole)
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
        session.end(waiter)
    return values


def _used(started: Started) -> float:
    return cpu_seconds(started.tree())


def _system_calls(
    session: Session, worker: Started, waiter: Started, seconds: float
) -> dict[str, float]:
    if shutil.which("strace") is None:
        print("  strace is not installed: system calls are not counted")
        return {}
    counts: dict[str, float] = {}
    for key, started in (("worker_calls", worker), ("waiter_calls", waiter)):
        count = _count(session, started.tree(), seconds / 2)
        if count is not None:
            counts[key] = count / (seconds / 2)
    return counts


def _count(session: Session, pids: Sequence[int], seconds: float) -> int | None:
    """How many system calls these processes make; None if they may not be traced."""
    report = session.folder / "calls"
    report.unlink(missing_ok=True)
    targets = [argument for pid in pids for argument in ("-p", str(pid))]
    tracer = subprocess.Popen(
        ["strace", "-f", "-c", "-o", str(report), *targets],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        time.sleep(seconds)
    finally:
        tracer.send_signal(signal.SIGINT)
        _, words = tracer.communicate(timeout=10)
    if not report.exists() or not report.read_text().strip():
        said = words.decode(errors="replace").strip().splitlines()
        print(f"  system calls are not counted: {said[-1] if said else 'strace said nothing'}")
        return None
    found = _TOTAL.search(report.read_text())
    return int(found[1]) if found else 0


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
    takes=lambda contender: contender.name in ("ropeway, def", "huey, 2 processes"),
    most_rounds=1,
)
