"""What a task costs the server when very many others are queued."""

from __future__ import annotations

from benchmarks.contender import Contender
from benchmarks.figures import Measure
from benchmarks.scenarios.scenario import Plan, Scenario
from benchmarks.session import Session
from benchmarks.swing import Swing

_SPARE = 2
"""Times the measured tasks are queued where little is: some run before every process is at work."""


def run(contender: Contender, plan: Plan) -> dict[str, float]:
    """The first tasks of a short queue, and then as many of a long one."""
    measured = plan.backlog // 20
    few = _measure(contender, plan, measured, measured * _SPARE)
    many = _measure(contender, plan, measured, plan.backlog)
    return {
        **{f"few_{key}": value for key, value in few.items()},
        **{f"many_{key}": value for key, value in many.items()},
        "ratio": many["server_cpu_us"] / few["server_cpu_us"],
        "rate_ratio": many["per_s"] / few["per_s"],
    }


def _measure(contender: Contender, plan: Plan, measured: int, queued: int) -> dict[str, float]:
    with Session(contender, plan.base) as session:
        session.ask("fill", session.jobs, queued)
        swing = Swing(session, session.worker(), at_latest=measured // _SPARE)
        session.hits(swing.first + measured)
        swing.end()
    last = sorted(session.records.stamps)[swing.first + swing.count - 1]
    return {
        "server_cpu_us": swing.server_cpu_us,
        "cpu_us": swing.cpu_us,
        "per_s": swing.count / (last - swing.at),
    }


SCENARIO = Scenario(
    name="backlog",
    words="the first of very many queued tasks beside those of a short queue; never analysed by hand",
    measures=(
        Measure("few_server_cpu_us", "short queue: processor time of the server, µs per task"),
        Measure("many_server_cpu_us", "long queue: the same", compared=True),
        Measure("ratio", "the latter by the former"),
        Measure("many_cpu_us", "long queue: processor time of all worker processes, µs per task"),
        Measure("few_per_s", "short queue: tasks per second"),
        Measure("many_per_s", "long queue: tasks per second", compared=True),
        Measure("rate_ratio", "the latter by the former"),
    ),
    run=run,
)
