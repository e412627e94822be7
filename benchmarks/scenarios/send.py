"""Sending, with nobody at work: one by one, and many at once."""

from __future__ import annotations

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
        "us": single["us"],
        "cpu_us": single["cpu_us"],
        "many_us": many["us"],
        "many_cpu_us": many["cpu_us"],
    }


SCENARIO = Scenario(
    name="send",
    words="sending while nobody else uses the database; what was sent is durable",
    measures=(
        Measure("us", "send, one by one, us", compared=True),
        Measure("cpu_us", "its processor time, us", compared=True),
        Measure("many_us", "a call of send_many (huey: one by one), us", compared=True),
        Measure("many_cpu_us", "its processor time, us"),
    ),
    run=run,
    # Sending is the same whatever the worker is, and for both colours of task.
    takes=lambda contender: contender.name in ("ropeway, def", "huey, 2 processes"),
)
