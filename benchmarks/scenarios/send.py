"""Sending, with nobody at work: one by one, several at once, and many in one call."""

from __future__ import annotations

from benchmarks.contender import Contender
from benchmarks.figures import Measure
from benchmarks.scenarios.scenario import Plan, Scenario
from benchmarks.session import Session

_THREADS, _COROUTINES = 8, 100


def run(contender: Contender, plan: Plan) -> dict[str, float]:
    """One thread sends."""
    return _ask(contender, plan, "send", plan.sends)


def run_concurrent(contender: Contender, plan: Plan) -> dict[str, float]:
    """Threads of one process send, then coroutines of one loop."""
    threads = _ask(contender, plan, "send_by_threads", 2 * plan.sends, _THREADS)
    loop = _ask(contender, plan, "send_by_coroutines", 2 * plan.sends, _COROUTINES)
    return {
        **{f"threads_{key}": value for key, value in threads.items()},
        **{f"loop_{key}": value for key, value in loop.items()},
    }


def run_bulk(contender: Contender, plan: Plan) -> dict[str, float]:
    """As many as a drain needs, in the quickest way that the library has."""
    return _ask(contender, plan, "fill", "/dev/null", plan.tasks(contender))


def _ask(contender: Contender, plan: Plan, action: str, *arguments: object) -> dict[str, float]:
    with Session(contender, plan.base) as session:
        before = _served(session)
        answer = dict(session.ask(action, *arguments))
        served = _served(session) - before
    if session.server:
        answer["server_cpu_us"] = served / answer["count"] * 1e6
    return answer


def _served(session: Session) -> float:
    return session.server.cpu_seconds() if session.server else 0.0


SCENARIO = Scenario(
    name="send",
    words="sending one by one while nobody else uses the database; what was sent is durable",
    measures=(
        Measure("us", "a send, µs", compared=True),
        Measure("later_us", "the same when the log has started over", compared=True),
        Measure("cpu_us", "its processor time, µs", compared=True),
        Measure("bytes", "bytes written to the disk for it"),
    ),
    run=run,
)
CONCURRENT = Scenario(
    name="concurrent",
    words=f"sending by {_THREADS} threads, and by {_COROUTINES} coroutines of one loop",
    measures=(
        Measure("threads_us", "threads: µs between two sends", compared=True),
        Measure("threads_cpu_us", "processor time of a send, µs", compared=True),
        Measure("loop_us", "coroutines (huey, potatoq: in threads): µs between two", compared=True),
        Measure("loop_cpu_us", "processor time of a send, µs", compared=True),
    ),
    run=run_concurrent,
)
BULK = Scenario(
    name="bulk",
    words="sending many at once: send_many; potatoq: groups of 1000; huey: one by one",
    measures=(
        Measure("per_s", "messages a second", compared=True),
        Measure("us", "µs for each"),
        Measure("cpu_us", "processor time of each, µs", compared=True),
        Measure("bytes", "bytes written to the disk for each"),
    ),
    run=run_bulk,
)
_ON_A_SERVER = (
    Measure("per_s", "messages a second", compared=True),
    Measure("cpu_us", "processor time of the sender, µs each", compared=True),
    Measure("server_cpu_us", "processor time of the server, µs each", compared=True),
)
SEND_SERVED = Scenario(
    name="send",
    words="sending one by one while nobody else uses the server",
    measures=_ON_A_SERVER,
    run=run,
)
BULK_SERVED = Scenario(
    name="bulk",
    words="sending many at once, in the quickest way that the library has",
    measures=_ON_A_SERVER,
    run=run_bulk,
)
