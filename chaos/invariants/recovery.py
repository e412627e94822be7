"""After the faults work goes on soon."""

from __future__ import annotations

from chaos.evidence import Evidence
from chaos.invariants.finding import Example, Finding, judge


def recovery_bound(evidence: Evidence) -> Finding:
    """I16: what was open when all was healed runs within a lease and some seconds."""
    bound = evidence.profile.lease + evidence.profile.recovery
    settles = [each for many in evidence.settles.values() for each in many]
    later = [each for each in settles if each.t >= evidence.healed]
    starts = [run.started for runs in evidence.runs.values() for run in runs]
    moments = [t for t in (*starts, *(each.t for each in later)) if t >= evidence.healed]
    counts = {"open when healed": len(later)}
    if not moments:
        return judge("I16", "work goes on soon after the faults", [], counts)
    took = (min(moments) - evidence.healed) / 1e9
    counts["first after ms"] = round(1000 * took)
    wrong = [Example("", f"nothing ran for {took:.1f} s")] if took > bound else []
    return judge("I16", "work goes on soon after the faults", wrong, counts)
