"""What a task costs when very many others are queued, delayed or finished in the same queue."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from benchmarks.contender import Contender
from benchmarks.figures import Measure
from benchmarks.scenarios.scenario import Plan, Scenario
from benchmarks.session import Session
from benchmarks.stock import STATES, settle_down, stocked
from benchmarks.swing import Swing

_EMPTY = "empty"
_SIZES = {"few": 100_000, "many": 1_000_000}
_PARTS = {
    "worker": "all worker processes, µs a task",
    "send": "send, µs each",
    "bulk": "send_many, µs each",
}
_SPARE = 10_000
"""Tasks beyond those that are measured: some run before every process is at work."""


def run(contender: Contender, plan: Plan) -> dict[str, float]:
    """Each case, and if so planned on the way back again: the lesser counts.

    What disturbs only ever adds.
    """
    cases = [(_EMPTY, ""), *((state, size) for state in STATES for size in _SIZES)]
    found: dict[str, float] = {}
    for state, size in (*cases, *(reversed(cases) if plan.twice else ())):
        for part, value in _measure(contender, plan, state, size).items():
            key = f"{part}_{state}{size}"
            found[key] = min(value, found.get(key, value))
    for part in _PARTS:
        for state in STATES:
            many = found[f"{part}_{state}many"]
            found[f"{part}_{state}_to_few"] = many / found[f"{part}_{state}few"]
            found[f"{part}_{state}_to_empty"] = many / found[f"{part}_{_EMPTY}"]
    return found


def _measure(contender: Contender, plan: Plan, state: str, size: str) -> dict[str, float]:
    """Send, close the file, start a worker, and see what the first tasks cost it.

    With a backlog, the first are the oldest of it.
    """
    with Session(contender, plan.base) as session:
        if size:
            path = stocked(contender, plan.base, state, _SIZES[size])
            shutil.copyfile(path, session.database)
        bulk = session.ask("fill", session.jobs, plan.flat + _SPARE)
        send = session.ask("send", plan.sends)
        settle_down(session.database)
        swing = Swing(session, session.worker(), at_latest=_SPARE // 2)
        session.hits(swing.first + plan.flat)
        swing.end()
    return {"worker": swing.cpu_us, "send": send["cpu_us"], "bulk": bulk["cpu_us"]}


def _measures() -> Iterator[Measure]:
    few, many = (f"{count:,}" for count in _SIZES.values())
    for part, words in _PARTS.items():
        yield Measure(f"{part}_{_EMPTY}", f"{words}: nothing else")
        for state in STATES:
            yield Measure(f"{part}_{state}few", f"{words}: {few} {state}")
            yield Measure(f"{part}_{state}many", f"{words}: {many} {state}")
            yield Measure(f"{part}_{state}_to_few", f"{words}: {many} / {few} {state}")
            yield Measure(f"{part}_{state}_to_empty", f"{words}: {many} {state} / nothing else")


SCENARIO = Scenario(
    name="flatness",
    words="processor time of a task among others in the same queue; file closed, opened, never analysed",
    measures=tuple(_measures()),
    run=run,
)
