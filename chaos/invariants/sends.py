"""What was sent is there, and nothing else is."""

from __future__ import annotations

from chaos.evidence import FINAL, Evidence, Sent
from chaos.invariants.finding import Example, Finding, judge


def no_acked_loss(evidence: Evidence) -> Finding:
    """I1: every send that was answered with ok is settled, and was executed."""
    acked = [sent for sent in evidence.sends.values() if sent.outcome == "ok"]
    wrong = [Example(sent.id, fact) for sent in acked if (fact := _loss(sent, evidence))]
    return judge("I1", "no acknowledged call is lost", wrong, {"acknowledged": len(acked)})


def _loss(sent: Sent, evidence: Evidence) -> str:
    row = evidence.raw.get(sent.id)
    if row is None:
        return "was acknowledged and is not stored"
    if row.state not in FINAL:
        return f"is still {row.state} at the end"
    return "" if evidence.runs.get(sent.id) else f"is {row.state} and was never executed"


def no_ghosts(evidence: Evidence) -> Finding:
    """I2: whatever is stored or was executed was asked for, and was not refused."""
    wrong: list[Example] = []
    recovered = 0
    for job_id in evidence.raw.keys() | evidence.runs.keys():
        sent = evidence.sends.get(job_id)
        if sent is None:
            wrong.append(Example(job_id, "nobody asked for it"))
        elif sent.outcome == "fail":
            wrong.append(Example(job_id, "its sender was told that it failed"))
        elif sent.outcome == "info":
            recovered += 1
    unanswered = sum(sent.outcome == "info" for sent in evidence.sends.values())
    counts = {"unanswered": unanswered, "recovered": recovered}
    return judge("I2", "nothing runs that nobody sent", sorted(wrong), counts)
