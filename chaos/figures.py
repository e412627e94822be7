"""The figures of a run: what it did, whether its faults bit, and how soon work went on."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence

from msgspec import Struct, field

from chaos import nemeses
from chaos.evidence import FINAL, Evidence, Run, Strike
from chaos.profile import Enough
from chaos.returns import Return, returns

_ENDS_A_SUPERVISOR = ("kill supervisor", "kill at", "stop", "freeze")


class Figures(Struct, frozen=True, kw_only=True):
    """Counts of one run. Of strikes: all, and those that met work in the middle.

    recovery: percentiles of the seconds until a job was started again elsewhere. returned: how soon
    work went on after each outage of the server.
    """

    seconds: float
    acknowledged: int
    settled: int
    unanswered: int
    strikes: dict[str, int]
    effective: dict[str, int]
    reruns: int
    takeovers: int
    refused: int
    overlaps: int
    recovery: dict[str, float]
    returned: list[Return] = field(default_factory=list)

    @property
    def kills(self) -> int:
        """How many kills met an attempt between its start and its settle."""
        return sum(count for name, count in self.effective.items() if name.startswith("kill"))

    def short_of(self, enough: Enough) -> list[str]:
        """What has not happened often enough for the run to mean anything."""
        return [
            f"{name}: {found}, and {wanted} are needed"
            for name, found, wanted in (
                ("kills between a start and its settle", self.kills, enough.kills),
                ("jobs taken over from a dead or stopped worker", self.takeovers, enough.takeovers),
                ("settles refused as lost", self.refused, enough.refused),
            )
            if found < wanted
        ]


def measure(evidence: Evidence, overlaps: int) -> Figures:
    """Count."""
    waits = _waits(evidence)
    # A job that was charged with a death waits on purpose.
    charged = {row.id for row in evidence.raw.values() if row.losses}
    prompt = [wait for (job_id, _), wait in waits.items() if job_id not in charged]
    starts = [run.started for runs in evidence.runs.values() for run in runs]
    return Figures(
        seconds=(max(starts, default=evidence.began) - evidence.began) / 1e9,
        acknowledged=sum(sent.outcome == "ok" for sent in evidence.sends.values()),
        settled=sum(row.state in FINAL for row in evidence.raw.values()),
        unanswered=sum(sent.outcome == "info" for sent in evidence.sends.values()),
        strikes=dict(Counter(strike.nemesis for strike in evidence.strikes)),
        effective=dict(Counter(s.nemesis for s in evidence.strikes if _bit(s, evidence))),
        reruns=sum(len(runs) - 1 for runs in evidence.runs.values()),
        takeovers=len(waits),
        refused=evidence.refused,
        overlaps=overlaps,
        recovery=percentiles(prompt),
        returned=returns(evidence),
    )


def _bit(strike: Strike, evidence: Evidence) -> bool:
    return nemeses.ALL[strike.nemesis].effective(strike, evidence)


def _waits(evidence: Evidence) -> dict[tuple[str, int], float]:
    """Seconds from a supervisor's death or stop to the next start of what it held."""
    waits: dict[tuple[str, int], float] = {}
    for strike in evidence.strikes:
        if not strike.nemesis.startswith(_ENDS_A_SUPERVISOR):
            continue
        for run in nemeses.caught(strike, evidence):
            following = _next_elsewhere(run, evidence)
            if following is not None and following.started > strike.t:
                wait = (following.started - strike.t) / 1e9
                waits.setdefault((run.id, following.attempt), wait)
    return waits


def _next_elsewhere(run: Run, evidence: Evidence) -> Run | None:
    later = [each for each in evidence.runs[run.id] if each.attempt > run.attempt]
    following = min(later, key=lambda each: each.attempt, default=None)
    return following if following and following.supervisor != run.supervisor else None


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """The median, the 99th percentile and the largest; nothing of fewer than two."""
    if len(values) < 2:
        return {}
    ranked = sorted(values)
    p99 = ranked[max(0, -(-99 * len(ranked) // 100) - 1)]
    return {"p50": statistics.median(ranked), "p99": p99, "max": ranked[-1]}
