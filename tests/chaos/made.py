"""An honest run of some jobs, made by hand, for tests that then tell a lie in it."""

from __future__ import annotations

import msgspec

from chaos.evidence import Evidence, Run, Sent, Strike
from chaos.witness import Claimed, Row, Settled

SECOND = 1_000_000_000
FIRST, SECOND_HOLDER = "vm-100-a", "vm-200-b"


def honest(*jobs: str) -> Evidence:
    """Each job is sent, claimed once, run once by process 101 below 100, and settled."""
    evidence = Evidence(began=SECOND, healed=90 * SECOND)
    for job_id in jobs:
        add(evidence, job_id)
    return evidence


def add(evidence: Evidence, job_id: str) -> None:
    """Add a job that went well, a second for each step from the tenth on."""
    work = f"{len(evidence.sends)}.feed"
    evidence.sends[job_id] = Sent(
        id=job_id, work=work, invoked=10 * SECOND, asked=1, answered=11 * SECOND
    )
    claim(evidence, job_id, 12, 1)
    run(evidence, job_id, 13, 14, attempt=1)
    settle(evidence, job_id, 15)


def taken_over(evidence: Evidence, job_id: str) -> None:
    """Add a job whose first supervisor was stopped, so that another worker ran it again."""
    evidence.sends[job_id] = Sent(
        id=job_id, work="7.feed", invoked=10 * SECOND, asked=1, answered=11 * SECOND
    )
    claim(evidence, job_id, 12, 1)
    run(evidence, job_id, 13, 40, attempt=1, work="7.feed")
    strike = Strike(t=14 * SECOND, nemesis="stop supervisor", pid=100, until=50 * SECOND)
    evidence.strikes.append(strike)
    claim(evidence, job_id, 20, 2, holder=SECOND_HOLDER)
    run(evidence, job_id, 21, 30, attempt=2, pid=201, work="7.feed")
    settle(evidence, job_id, 31)


def claim(
    evidence: Evidence,
    job_id: str,
    t: int,
    attempt: int,
    *,
    holder: str = FIRST,
    lease_left: float | None = None,
) -> None:
    """Issue an attempt: the first to what was queued, the next to what has an expired lease."""
    claims = evidence.claims.setdefault(job_id, [])
    last = claims[-1] if claims else None
    claims.append(
        Claimed(
            order=2 * t,
            t=t * SECOND,
            id=job_id,
            attempt=attempt,
            holder=holder,
            before_attempt=last.attempt if last else 0,
            before_state="running" if last else "queued",
            before_holder=last.holder if last else None,
            lease_left=(-1.0 if last and lease_left is None else lease_left),
        )
    )


def run(
    evidence: Evidence,
    job_id: str,
    started: int,
    ended: int,
    *,
    attempt: int,
    pid: int = 101,
    work: str = "",
) -> Run:
    """Run an attempt to its end."""
    value = f"{work or evidence.sends[job_id].work}.{attempt}.{pid}"
    made = Run(
        id=job_id,
        attempt=attempt,
        pid=pid,
        supervisor=pid - 1,
        started=started * SECOND,
        ended=ended * SECOND,
        gone=ended * SECOND,
        value=value,
    )
    evidence.runs.setdefault(job_id, []).append(made)
    return made


def settle(evidence: Evidence, job_id: str, t: int) -> None:
    """Settle the newest attempt with the value that it returned."""
    newest, made = evidence.claims[job_id][-1], evidence.runs[job_id][-1]
    evidence.settles.setdefault(job_id, []).append(
        Settled(
            order=2 * t + 1,
            t=t * SECOND,
            id=job_id,
            attempt=newest.attempt,
            holder=newest.holder,
            state="succeeded",
            before_state="running",
            before_attempt=newest.attempt,
            value=made.value,
        )
    )
    row = Row(
        id=job_id,
        state="succeeded",
        attempt=newest.attempt,
        failures=0,
        losses=0,
        releases=0,
        value=made.value,
    )
    evidence.raw[job_id] = evidence.public[job_id] = row


def change(evidence: Evidence, job_id: str, **fields: object) -> None:
    """Change what is stored of a job, and likewise what is shown of it."""
    row = msgspec.structs.replace(evidence.raw[job_id], **fields)
    evidence.raw[job_id] = evidence.public[job_id] = row
