"""What monitoring asks: figures, their limits, and the verdict; decided from facts alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from ropeway.operate.facts import Facts
from ropeway.why.queues import consuming
from ropeway.words import several

Verdict = Literal[0, 1, 2, 3]
WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
"""What the exit codes of monitoring mean."""

Figure = Literal["ready", "age", "workers", "failed", "quarantined"]


class Limit(Struct, frozen=True, kw_only=True):
    """How far a figure may go, of one queue or of each; a warning may come before the alarm."""

    figure: Figure
    queue: str | None = None
    warn: float | None = None
    most: float = 0.0

    @property
    def least(self) -> bool:
        """Whether it is a lower limit."""
        return self.figure == "workers"


class Reading(Struct, frozen=True, kw_only=True):
    """A figure as it is, the limit that it was held against, and the verdict."""

    figure: Figure
    queue: str | None
    value: float
    limit: Limit
    verdict: Verdict


def readings(facts: Facts, limits: Sequence[Limit]) -> list[Reading]:
    """Hold the figures against the limits."""
    return [
        Reading(
            figure=limit.figure, queue=queue, value=value, limit=limit, verdict=_judge(limit, value)
        )
        for limit in limits
        for queue, value in _values(facts, limit)
    ]


def _values(facts: Facts, limit: Limit) -> Iterator[tuple[str | None, float]]:
    match limit.figure:
        case "workers" if limit.queue is not None:
            yield limit.queue, len(consuming(facts.workers, limit.queue))
        case "workers":
            yield None, sum(worker.state == "consuming" for worker in facts.workers)
        case "failed":
            yield None, sum(cause.number for cause in facts.failed)
        case "quarantined":
            yield None, sum(cause.number for cause in facts.quarantined)
        case _:
            yield from _of_queues(facts, limit)


def _of_queues(facts: Facts, limit: Limit) -> Iterator[tuple[str | None, float]]:
    known = {stats.queue: stats for stats in facts.queues}
    for queue in [limit.queue] if limit.queue is not None else sorted(known):
        stats = known.get(queue)
        if limit.figure == "ready":
            yield queue, stats.ready if stats else 0
        else:
            oldest = stats.oldest_due if stats else None
            yield queue, 0.0 if oldest is None else max(0.0, facts.now - oldest)


def _judge(limit: Limit, value: float) -> Verdict:
    def beyond(bound: float) -> bool:
        return value < bound if limit.least else value > bound

    if beyond(limit.most):
        return 2
    return 1 if limit.warn is not None and beyond(limit.warn) else 0


def worst(found: Sequence[Reading]) -> Verdict:
    """Return the verdict over all."""
    return max((reading.verdict for reading in found), default=0)


def nagios(found: Sequence[Reading]) -> str:
    """Write a line for Nagios and those that read the same: verdict, what is wrong, figures."""
    wrong = [_sentence(reading) for reading in found if reading.verdict]
    told = "; ".join(wrong) or f"{several(len(found), 'figure')} within limits"
    data = " ".join(_performance(reading) for reading in found)
    line = f"ROPEWAY {WORDS[worst(found)]} - {told}".replace("|", "/")
    return f"{line} | {data}" if data else line


def _sentence(reading: Reading) -> str:
    limit = reading.limit
    bound = limit.most if reading.verdict == 2 or limit.warn is None else limit.warn
    where = f" of {reading.queue}" if reading.queue is not None else ""
    side = "less" if limit.least else "more"
    return f"{reading.figure}{where} is {reading.value:g}, {side} than {bound:g}"


def _performance(reading: Reading) -> str:
    name = reading.figure if reading.queue is None else f"{reading.figure}_{reading.queue}"
    unit = "s" if reading.figure == "age" else ""
    bounds = [
        "" if bound is None else f"{bound:g}{':' if reading.limit.least else ''}"
        for bound in (reading.limit.warn, reading.limit.most)
    ]
    quoted = "'" + name.replace("'", "_").replace("=", "_").replace("|", "/") + "'"
    return f"{quoted}={reading.value:g}{unit};{';'.join(bounds)};0"


def prometheus(facts: Facts) -> str:
    """Write every figure as Prometheus reads them, for the text file collector, say."""
    queues = facts.queues
    return "".join(
        (
            _family("ready", "Jobs that are due and wait.", {q.queue: q.ready for q in queues}),
            _family("delayed", "Jobs that are due later.", {q.queue: q.delayed for q in queues}),
            _family("leased", "Jobs in the hands of workers.", {q.queue: q.leased for q in queues}),
            _family(
                "oldest_due_age_seconds",
                "For how long the first job has been due.",
                {
                    q.queue: max(0.0, facts.now - q.oldest_due)
                    for q in queues
                    if q.oldest_due is not None
                },
            ),
            _family("paused", "Whether a queue is paused.", dict.fromkeys(facts.pauses, 1)),
            _family("workers", "Workers that take jobs.", _all(facts, "workers")),
            _family("failed", "Failed of those sent in the last hour.", _all(facts, "failed")),
            _family("quarantined", "Jobs in quarantine.", _all(facts, "quarantined")),
        )
    )


def _all(facts: Facts, figure: Figure) -> dict[str | None, float]:
    return dict(_values(facts, Limit(figure=figure)))


def _family(name: str, says: str, values: Mapping[Any, float]) -> str:
    lines = [f"# HELP ropeway_{name} {says}", f"# TYPE ropeway_{name} gauge"]
    for queue, value in values.items():
        label = "" if queue is None else f'{{queue="{_escaped(queue)}"}}'
        lines.append(f"ropeway_{name}{label} {value:.15g}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
