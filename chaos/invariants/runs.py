"""Two runs of one job at the same time: only where a lease was over."""

from __future__ import annotations

import itertools

from chaos.evidence import Evidence, Run
from chaos.invariants.finding import Example, Finding, judge

_RESOLUTION = 0.005
"""Seconds by which the witness may be late."""

_DIES_WITHIN = 1_000_000_000
"""Nanoseconds for the kernel to end what follows its supervisor."""

_EXPLAINED = ("expired", "holder dead")


def exclusivity(evidence: Evidence) -> Finding:
    """I5: an attempt starts beside an earlier one only if the earlier lease was over."""
    wrong: list[Example] = []
    kinds = dict.fromkeys((*_EXPLAINED, "unknown"), 0)
    for job_id, runs in sorted(evidence.runs.items()):
        ordered = sorted(runs, key=lambda run: run.attempt)
        for earlier, later in itertools.pairwise(ordered):
            if _overlap(earlier, later):
                kind = _explanation(earlier, evidence)
                if kind in kinds:
                    kinds[kind] += 1
                else:
                    fact = f"attempt {later.attempt} ran beside {earlier.attempt}: {kind}"
                    wrong.append(Example(job_id, fact))
    counts = {"overlaps": sum(kinds.values()) + len(wrong), **kinds}
    known = kinds["unknown"] == 0
    return judge("I5", "two runs at once only after a lease", wrong, counts, known=known)


def no_orphans(evidence: Evidence) -> Finding:
    """F10: what a supervisor has started ends with it, however it ends."""
    wrong: list[Example] = []
    deaths = {strike.pid: strike.t for strike in evidence.strikes if strike.deadly}
    for job_id, runs in sorted(evidence.runs.items()):
        for run in runs:
            death = deaths.get(run.supervisor)
            last = max(run.started, run.ended or 0)
            if death is not None and last > death + _DIES_WITHIN:
                late = (last - death) / 1e9
                wrong.append(Example(job_id, f"went on {late:.1f} s after its supervisor's death"))
    return judge("F10", "nobody works on for a dead worker", wrong)


def _overlap(one: Run, other: Run) -> bool:
    return one.started < other.gone and other.started < one.gone


def _explanation(run: Run, evidence: Evidence) -> str:
    """Why the job of this run could be claimed while it ran."""
    claim = evidence.takeover_of(run)
    if claim is None:
        return "unknown"
    if claim.before_state != "running":
        return f"it was {claim.before_state} while it ran"
    if claim.lease_left is not None and claim.lease_left <= _RESOLUTION:
        return "expired"
    if any(s.deadly and s.pid == run.supervisor and s.t < claim.t for s in evidence.strikes):
        return "holder dead"
    if claim.lease_left is None:
        return "unknown"
    return f"its lease was good for another {claim.lease_left:.3f} s"
