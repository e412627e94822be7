"""Sending one by one while two workers drain the same database."""

from __future__ import annotations

from benchmarks.contender import Contender
from benchmarks.figures import Measure, percentiles
from benchmarks.processes import Failed
from benchmarks.scenarios.scenario import Plan, Scenario
from benchmarks.session import Session


def run(contender: Contender, plan: Plan) -> dict[str, float]:
    """Count sends from when both workers are at work until little is left of what they found."""
    queued = plan.tasks(contender) * (2 if contender.ours else 1)
    with Session(contender, plan.base) as session:
        session.ask("fill", session.jobs, queued)
        go = session.folder / "go"
        sender = session.begin("keep_sending", go)
        for _ in range(2):
            session.worker()
        records, processes = session.records, 2 * contender.processes

        def in_full_swing() -> bool:
            return records.poll() >= queued // 2 or records.processes >= processes

        session.wait(in_full_swing, "two workers at work")
        first = len(records.stamps)
        go.touch()
        session.hits(int(queued * 0.95))
        ran = len(records.stamps) - first
        go.unlink()
        seconds = session.end(sender)["seconds"]
    if not seconds:
        raise Failed(f"{contender.name}: the queue was empty before a send; raise --n")
    stamps = sorted(records.stamps)[first : first + ran]
    return {
        **percentiles(seconds),
        "sends": float(len(seconds)),
        "ran": ran / (stamps[-1] - stamps[0]),
    }


SCENARIO = Scenario(
    name="beside",
    words="each send of a sender beside two workers that drain the same database",
    measures=(
        Measure("p50_ms", "p50, ms", compared=True),
        Measure("p95_ms", "p95, ms"),
        Measure("p99_ms", "p99, ms", compared=True),
        Measure("max_ms", "the longest, ms"),
        Measure("sends", "sends meanwhile"),
        Measure("ran", "tasks run meanwhile, a second"),
    ),
    run=run,
)
