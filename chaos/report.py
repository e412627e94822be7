"""Verdicts as text: one line for a run, a line of totals, and the whole of what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from chaos.figures import Figures, percentiles
from chaos.invariants import Finding
from chaos.verdict import Verdict

_NAMED = {"I1", "I3", "I4", "I15"}
"""The invariants with a column of their own."""


class Column(NamedTuple):
    """One figure of each run; those that are counts have a total."""

    title: str
    width: int
    of: Callable[[Verdict], int]


def _strikes(*names: str) -> Callable[[Verdict], int]:
    return lambda verdict: _sum(verdict.figures.strikes, names)


def _bit(*names: str) -> Callable[[Verdict], int]:
    return lambda verdict: _sum(verdict.figures.effective, names)


def _sum(counts: Mapping[str, int], names: Sequence[str]) -> int:
    return sum(count for name, count in counts.items() if name.startswith(tuple(names)))


def _wrong(invariant: str) -> Callable[[Verdict], int]:
    return lambda verdict: verdict.finding(invariant).violations


def _other(verdict: Verdict) -> int:
    return sum(each.violations for each in verdict.findings if each.invariant not in _NAMED)


COLUMNS = (
    Column("acked", 8, lambda verdict: verdict.figures.acknowledged),
    Column("lost", 6, _wrong("I1")),
    Column("twice", 6, _wrong("I3")),
    Column("fence", 6, _wrong("I4")),
    Column("quar.", 6, _wrong("I15")),
    Column("other", 6, _other),
    Column("child", 7, _strikes("kill child")),
    Column("bit", 5, _bit("kill child")),
    Column("superv.", 8, _strikes("kill supervisor")),
    Column("bit", 5, _bit("kill supervisor")),
    Column("points", 7, _strikes("kill at")),
    Column("stops", 7, _strikes("stop", "freeze")),
    Column("bit", 5, _bit("stop", "freeze")),
    Column("restarts", 9, _strikes("restart worker")),
    Column("locks", 6, _bit("lock store")),
    Column("full", 5, _bit("fill disk")),
    Column("server", 7, _strikes("server", "sessions")),
    Column("bit", 5, _bit("server", "sessions")),
    Column("network", 8, _strikes("network", "lane", "answers")),
    Column("bit", 5, _bit("network", "lane", "answers")),
    Column("poison", 7, lambda verdict: verdict.finding("I15").counts["poison"]),
    Column("reruns", 8, lambda verdict: verdict.figures.reruns),
    Column("taken", 7, lambda verdict: verdict.figures.takeovers),
    Column("refused", 8, lambda verdict: verdict.figures.refused),
    Column("overlaps", 9, lambda verdict: verdict.figures.overlaps),
)
_LEGEND = """\
lost, twice, fence, quar., other: violations of no acknowledged loss, one settle, fencing, only poison
quarantined, and the other invariants. child, superv.: processes killed; points: supervisors killed
around or inside a claim, a settle, a pruning; stops: supervisors stopped beyond their lease, with
or without their children; bit: of these, those that met work in the middle. locks: times that the
store was locked; full: that its disk was. server: times that it was killed, stopped, made to recover
or to forget its clients; network: that it was cut, deaf, slow, or lost answers. poison: calls that
kill what runs them. taken: jobs run again by another worker after their supervisor was killed or
stopped. refused: settles that came too late. overlaps: two runs of a job at once, each explained by a lease that was over."""


def header() -> str:
    """The titles of the columns."""
    return f"{'seed':<8}{'verdict':<14}{'s':>5}" + "".join(f"{c.title:>{c.width}}" for c in COLUMNS)


def line(name: str, verdict: Verdict) -> str:
    """One run."""
    figures = [f"{column.of(verdict):>{column.width},}" for column in COLUMNS]
    return f"{name:<8}{verdict.word:<14}{verdict.figures.seconds:>5.0f}" + "".join(figures)


def totals(verdicts: Sequence[Verdict]) -> str:
    """The sums of all runs, how soon work was taken over, and what the columns mean."""
    seconds = sum(verdict.figures.seconds for verdict in verdicts)
    passed = sum(verdict.word == "pass" for verdict in verdicts)
    word = f"{passed} of {len(verdicts)}"
    sums = [f"{sum(map(c.of, verdicts)):>{c.width},}" for c in COLUMNS]
    lines = [f"{'all':<8}{word:<14}{seconds:>5.0f}" + "".join(sums)]
    figures = [verdict.figures for verdict in verdicts]
    lines += [_recovery(figures), _returned(figures), _LEGEND]
    return "\n".join(each for each in lines if each)


def details(verdict: Verdict) -> str:
    """Every finding; of a violation also what happened to the first jobs."""
    lines = findings(verdict.findings)
    lines += [f"  not enough: {each}" for each in verdict.missing]
    for job_id, events in list(verdict.timelines.items())[:3]:
        lines += [f"  {job_id}", *(f"    {event}" for event in events)]
    return "\n".join(lines)


def findings(found: Iterable[Finding]) -> list[str]:
    """A line for each finding, and under it those for its examples."""
    lines: list[str] = []
    for each in found:
        counts = ", ".join(f"{name} {count:,}" for name, count in each.counts.items())
        lines.append(f"  {each.judgement:<8} {each.invariant:<4} {each.words:<42} {counts}")
        lines += [f"             {example.id} {example.fact}" for example in each.examples]
    return lines


def outages(verdict: Verdict) -> str:
    """How soon work went on after each outage of a run; of which a worker was away in brackets."""
    words = [
        f"{each.nemesis} {each.after:.2f}"
        if each.undisturbed
        else f"({each.nemesis} {each.after:.2f})"
        for each in verdict.figures.returned
    ]
    return "  runs again after: " + ", ".join(words) if words else ""


def _returned(figures: Sequence[Figures]) -> str:
    found = [each for run in figures for each in run.returned]
    undisturbed = [each.after for each in found if each.undisturbed]
    lines = []
    for what, waits in (
        ("outages", [each.after for each in found]),
        ("of these with all workers there", undisturbed),
    ):
        if shares := percentiles(waits):
            words = ", ".join(f"{name} {wait:.2f}" for name, wait in shares.items())
            lines.append(f"{len(waits)} {what}; seconds until a call runs again: {words}")
    return "\n".join(lines)


def _recovery(figures: Sequence[Figures]) -> str:
    known = [each.recovery for each in figures if each.recovery]
    if not known:
        return ""
    spans = {
        name: (min(each[name] for each in known), max(each[name] for each in known))
        for name in ("p50", "p99", "max")
    }
    words = ", ".join(f"{name} {low:.2f} to {high:.2f}" for name, (low, high) in spans.items())
    return f"seconds from a supervisor's death or stop to the next start of its jobs: {words}"
