"""Tests of one job: whether it is what a field of a search asks for."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from fnmatch import translate

from ropeway.config import seconds
from ropeway.errors import ConfigError
from ropeway.graph import run_start
from ropeway.message import SCHEDULE_HEADER, JobRecord
from ropeway.states import State

Test = Callable[[JobRecord, float], bool]
"""Whether a job is meant, at that instant."""

Maker = Callable[[str, float], Test]
"""Makes the test for a value of a field; ages in it count from that instant. Raises `Wrong`."""

_COMPARED = re.compile(r"(>=|<=|>|<|)(.+)", re.DOTALL)
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    "": lambda a, b: a == b,
}
VIEWS = ("scheduled", "retrying")
"""What a queued job is in other words."""

STATES = (*(state.value for state in State), *VIEWS)


class Wrong(Exception):
    """A value cannot be understood: why, and what to write."""

    def __init__(self, fact: str, hint: str) -> None:
        super().__init__(fact)
        self.fact, self.hint = fact, hint


def view(job: JobRecord, now: float) -> str:
    """Return the state, or the view of a queued job that says more: retrying, scheduled."""
    if job.state is not State.QUEUED:
        return job.state.value
    if job.failures:
        return "retrying"
    return "scheduled" if job.due > now else "queued"


def waited(job: JobRecord, now: float) -> float | None:
    """Seconds between being due and the start of the last attempt; negative: due in the future."""
    if job.state is State.QUEUED:
        return now - job.due
    return None if job.started is None else max(0.0, job.started - job.due)


def ran(job: JobRecord, now: float) -> float | None:
    """Seconds that the last attempt took, or has taken so far."""
    if job.started is None or job.state is State.QUEUED:
        return None
    return max(0.0, (now if job.finished is None else job.finished) - job.started)


def _words(value: str, _: float) -> Test:
    wanted = value.lower()

    def test(job: JobRecord, _: float) -> bool:
        told = f"{job.error.type}: {job.error.message}" if job.error else ""
        message = job.message
        return message.id.startswith(wanted) or wanted in f"{message.task}\n{told}".lower()

    return test


def _state(value: str, _: float) -> Test:
    if value not in STATES:
        close = difflib.get_close_matches(value, STATES, 1, 0.5)
        meant = f"did you mean {close[0]}?" if close else f"there are: {', '.join(STATES)}"
        raise Wrong(f"there is no state {value!r}", meant)
    return lambda job, now: value in {job.state.value, view(job, now)}


def _named(read: Callable[[JobRecord], str | None]) -> Maker:
    def make(value: str, _: float) -> Test:
        pattern = re.compile(translate(re.sub(r"([\[?])", r"[\1]", value)))

        def test(job: JobRecord, _: float) -> bool:
            found = read(job)
            return found is not None and bool(pattern.match(found))

        return test

    return make


def _run(value: str, _: float) -> Test:
    wanted = value.lower()
    start = run_start(wanted)

    def test(job: JobRecord, _: float) -> bool:
        message = job.message
        if message.terms is None or message.terms.node is None:
            return False
        # What a node began has ids of its own, but tells the outermost run.
        return message.id.startswith(start) or message.headers.get("run", "").startswith(wanted)

    return test


def _error(value: str, now: float) -> Test:
    kind = _named(lambda job: job.error.type if job.error else None)(value, now)
    last = _named(lambda job: job.error.type.rpartition(".")[2] if job.error else None)(value, now)
    cause = _named(lambda job: job.error.fingerprint if job.error else None)(value, now)
    return lambda job, now: kind(job, now) or last(job, now) or cause(job, now)


def _number(
    read: Callable[[JobRecord, float], float | None], unit: Callable[[str], float]
) -> Maker:
    def make(value: str, _: float) -> Test:
        compared = _COMPARED.fullmatch(value)
        assert compared is not None  # no value is empty
        holds, limit = _COMPARE[compared[1]], unit(compared[2])

        def test(job: JobRecord, now: float) -> bool:
            found = read(job, now)
            return found is not None and holds(found, limit)

        return test

    return make


def _waited(job: JobRecord, now: float) -> float | None:
    found = waited(job, now)
    return None if found is None or found < 0 else found


def _since(value: str, now: float) -> Test:
    first = instant(value, now)
    return lambda job, _: job.enqueued >= first


def _until(value: str, now: float) -> Test:
    end = instant(value, now)
    return lambda job, _: job.enqueued < end


def _count(text: str) -> float:
    try:
        return float(int(text))
    except ValueError:
        raise Wrong(f"{text!r} is not a number", "write 3, >3 or <=3") from None


def _long(text: str) -> float:
    try:
        return seconds(float(text) if text.isdecimal() else text)
    except ConfigError:
        raise Wrong(f"{text!r} is not a duration", "write 90, 90s, 5m or 2h") from None


MAKERS: Mapping[str, Maker] = {
    "": _words,
    "state": _state,
    "task": _named(lambda job: job.message.task),
    "queue": _named(lambda job: job.message.queue),
    "id": lambda value, _: lambda job, _: job.message.id.startswith(value.lower()),
    "since": _since,
    "until": _until,
    "error": _error,
    "worker": _named(lambda job: job.holder),
    "key": _named(lambda job: job.message.key),
    "schedule": _named(lambda job: job.message.headers.get(SCHEDULE_HEADER)),
    "run": _run,
    "attempt": _number(lambda job, _: float(job.attempt), _count),
    "failures": _number(lambda job, _: float(job.failures), _count),
    "losses": _number(lambda job, _: float(job.losses), _count),
    "priority": _number(lambda job, _: float(job.message.band), _count),
    "waited": _number(_waited, _long),
    "ran": _number(ran, _long),
}
"""How each field is tested; words without a field have an empty name."""


def instant(value: str, now: float) -> float:
    """Read a date in ISO 8601, or how long ago an instant was."""
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        try:
            return now - _long(value)
        except Wrong as error:
            fact = f"{value!r} is neither a date nor a duration"
            raise Wrong(fact, f"{error.hint}, or 2030-01-31T09:00Z") from None
    return found.timestamp()  # without a zone it is in the machine's own
