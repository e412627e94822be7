"""After the faults work goes on soon."""

from __future__ import annotations

from chaos.evidence import Evidence
from chaos.invariants.finding import Example, Finding, judge
from chaos.returns import returns


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


def back_after_outages(evidence: Evidence) -> Finding:
    """I18: when the server, or the network to it, is back, so are the workers that are there."""
    bound = evidence.profile.lease + evidence.profile.recovery
    found = [each for each in returns(evidence) if each.undisturbed]
    wrong = [
        Example("", f"nothing ran for {each.after:.1f} s after: {each.nemesis}")
        for each in found
        if each.after > bound
    ]
    longest = max((each.after for each in found), default=0.0)
    counts = {"outages": len(found), "longest ms": round(1000 * longest)}
    return judge("I18", "work goes on when the server is back", wrong, counts)
