"""From send to result, in another process than an idle worker's."""

from __future__ import annotations

from benchmarks.contenders import Contender
from benchmarks.figures import Measure, percentiles
from benchmarks.scenarios.scenario import Plan, Scenario
from benchmarks.session import Session


def run(contender: Contender, plan: Plan) -> dict[str, float]:
    """One round trip at a time, with random gaps in which everything falls asleep."""
    with Session(contender, plan.base) as session:
        session.warm_up()
        asynchronous = contender.task == "add_async"
        answer = session.ask("alatency" if asynchronous else "latency", plan.latency_rounds)
    return percentiles(answer["seconds"])


SCENARIO = Scenario(
    name="latency",
    words="send and wait for the result, one at a time, gaps of 5 to 25 ms, idle worker",
    measures=(
        Measure("p50_ms", "p50, ms", compared=True),
        Measure("p95_ms", "p95, ms"),
        Measure("p99_ms", "p99, ms", compared=True),
        Measure("max_ms", "the longest, ms"),
    ),
    run=run,
)
