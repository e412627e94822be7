"""What the witness saw of settles: one for each job, by the attempt that was issued last."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.evidence import FINAL, Evidence
from chaos.invariants.finding import Example, Finding, judge
from chaos.witness import Claimed, Settled


def one_settle(evidence: Evidence) -> Finding:
    """I3: every job that is settled was settled exactly once."""
    wrong: list[Example] = []
    for job_id in sorted(evidence.settles.keys() | evidence.raw.keys()):
        count = len(evidence.settles.get(job_id, ()))
        row = evidence.raw.get(job_id)
        if count > 1:
            wrong.append(Example(job_id, f"was settled {count} times"))
        elif count == 0 and row is not None and row.state in FINAL:
            wrong.append(Example(job_id, f"is {row.state}, and nobody saw it settled"))
        elif count == 1 and row is not None and row.state not in FINAL:
            wrong.append(Example(job_id, f"was settled, and is {row.state}"))
    total = sum(map(len, evidence.settles.values()))
    return judge("I3", "a job is settled once", wrong, {"settles": total})


def fencing(evidence: Evidence) -> Finding:
    """I4: attempts only grow, each runs at most once, and only the newest settles."""
    wrong: list[Example] = []
    for job_id in sorted(evidence.claims.keys() | evidence.settles.keys() | evidence.runs.keys()):
        claims = evidence.claims.get(job_id, [])
        facts = [*_claims(claims), *_runs(job_id, evidence)]
        for settle in evidence.settles.get(job_id, ()):
            facts += _settle(settle, [claim for claim in claims if claim.order < settle.order])
        wrong += [Example(job_id, fact) for fact in facts]
    counts = {"claims": sum(map(len, evidence.claims.values())), "refused": evidence.refused}
    return judge("I4", "only the newest attempt settles", wrong, counts)


def _claims(claims: list[Claimed]) -> Iterator[str]:
    newest = 0
    for claim in claims:
        if claim.attempt <= newest:
            yield f"attempt {claim.attempt} was issued after attempt {newest}"
        newest = max(newest, claim.attempt)


def _runs(job_id: str, evidence: Evidence) -> Iterator[str]:
    issued = {claim.attempt for claim in evidence.claims.get(job_id, ())}
    started: set[int] = set()
    for run in evidence.runs.get(job_id, ()):
        if run.attempt in started:
            yield f"attempt {run.attempt} was started twice"
        if run.attempt not in issued:
            yield f"attempt {run.attempt} was started and never issued"
        started.add(run.attempt)


def _settle(settle: Settled, issued: list[Claimed]) -> Iterator[str]:
    if settle.before_state == "queued" and settle.state in {"expired", "cancelled"}:
        return  # it ended without an attempt
    newest = max(issued, key=lambda claim: claim.attempt, default=None)
    if newest is None:
        yield f"attempt {settle.attempt} settled, and none was issued"
    elif settle.attempt != newest.attempt:
        yield f"attempt {settle.attempt} settled when {newest.attempt} was the newest"
    elif settle.holder != newest.holder:
        yield f"{settle.holder} settled the attempt of {newest.holder}"
    if settle.before_state != "running":
        yield f"was settled while it was {settle.before_state}"
