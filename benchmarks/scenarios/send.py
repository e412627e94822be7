"""Sending, with nobody at work: one by one, and many at once."""

from __future__ import annotations

from benchmarks import tracing
from benchmarks.contenders import Contender
from benchmarks.figures import Measure
from benchmarks.scenarios.scenario import Plan, Scenario
from benchmarks.session import Session


def run(contender: Contender, plan: Plan) -> dict[str, float]:
    """Two clients, each with a database of its own."""
    with Session(contender, plan.base) as session:
        single = session.ask("send", plan.sends)
    with Session(contender, plan.base) as session:
        many = session.ask("fill", session.jobs, plan.tasks(contender))
    return {
        **_flushes(contender, plan),
        "us": single["us"],
        "cpu_us": single["cpu_us"],
        "many_us": many["us"],
        "many_cpu_us": many["cpu_us"],
    }


def _flushes(contender: Contender, plan: Plan) -> dict[str, float]:
    """What 100 sends more have the disk flush more, so that opening the database is left out."""
    if not tracing.available():
        return {}
    found: list[int] = []
    for sends in (100, 200):
        with Session(contender, plan.base) as session:
            report = session.folder / "calls"
            session.ask("send", sends, prefix=tracing.prefix(report, "fsync,fdatasync"))
            found.append(tracing.counts(report).get("total", 0))
    return {"flushes": (found[1] - found[0]) / 100}


SCENARIO = Scenario(
    name="send",
    words="sending while nobody else uses the database; what was sent is durable",
    measures=(
        Measure("us", "send, one by one, us", compared=True),
        Measure("cpu_us", "its processor time, us", compared=True),
        Measure("flushes", "flushes of the disk for each (counted apart)"),
        Measure("many_us", "a call of send_many (huey: one by one), us", compared=True),
        Measure("many_cpu_us", "its processor time, us"),
    ),
    run=run,
    # Sending is the same whatever the worker is, and for both colours of task.
    takes=lambda contender: contender.name in ("ropeway, def", "huey, 2 processes"),
)
