"""Many tasks and, among them, one that kills whatever runs it: what that costs the others."""

from __future__ import annotations

from msgspec.structs import replace

from benchmarks.contender import Contender
from benchmarks.figures import Measure
from benchmarks.processes import Failed
from benchmarks.scenarios.scenario import Plan, Scenario
from benchmarks.session import Session

WAYS = ("exit", "segv", "kill")
"""`os._exit`, a segmentation fault, and SIGKILL as the kernel sends it when memory is out."""


def run(contender: Contender, plan: Plan) -> dict[str, float]:
    """The same tasks without poison, and with one of each kind."""
    dozing = replace(contender, task="doze")
    pure = _drain(dozing, plan, "")
    times = {way: _drain(dozing, plan, way) for way in WAYS}
    return {
        "pure_s": pure,
        **{f"{way}_costs": took / pure for way, took in times.items()},
    }


def _drain(contender: Contender, plan: Plan, way: str) -> float:
    n = plan.n // 5
    with Session(contender, plan.base) as session:
        session.ask("fill", session.jobs, n)
        # It is due some seconds later, ahead of the others: it meets all processes at work.
        poison = session.ask("poison", way)["job"] if way else ""
        session.worker()
        session.hits(n + 1)
        session.ask("check", session.jobs)
        if poison:
            _expect_quarantine(session, poison)
    stamps = sorted(session.records.stamps)
    return stamps[n] - stamps[0]


def _expect_quarantine(session: Session, poison: str) -> None:
    def ended() -> bool:
        return not session.ask("states").keys() & {"running", "queued"}

    session.wait(ended, f"the end of {poison}", timeout=60)
    states = session.ask("states")
    if states.get("quarantined") != 1 or states.get("failed"):
        raise Failed(f"of the jobs, the poison alone should be in quarantine: {states}")


SCENARIO = Scenario(
    name="poison",
    words="a task that takes 20 ms, many times, and among them one that kills its process",
    measures=(
        Measure("pure_s", "seconds without poison, from the first run to the last"),
        *(Measure(f"{way}_costs", f"with one that dies by {way}, by the former") for way in WAYS),
    ),
    run=run,
)
