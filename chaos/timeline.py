"""Everything that happened to one job, in order, for whoever looks into a violation."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.evidence import Evidence

Event = tuple[int, str]


def timeline(job_id: str, evidence: Evidence) -> list[str]:
    """Lines with the seconds since the run began."""
    events = [
        *_sending(job_id, evidence),
        *_storing(job_id, evidence),
        *_running(job_id, evidence),
        *_striking(job_id, evidence),
    ]
    lines = [f"{(t - evidence.began) / 1e9:9.4f}  {words}" for t, words in sorted(events)]
    row = evidence.raw.get(job_id)
    return [*lines, f"      end  {row}"]


def _sending(job_id: str, evidence: Evidence) -> Iterator[Event]:
    sent = evidence.sends.get(job_id)
    if sent is not None:
        yield sent.invoked, f"send of {sent.work}"
        if sent.answered is not None:
            yield sent.answered, "send acknowledged"


def _storing(job_id: str, evidence: Evidence) -> Iterator[Event]:
    for claim in evidence.claims.get(job_id, ()):
        left = "" if claim.lease_left is None else f", lease good for {claim.lease_left:.3f} s"
        before = f"{claim.before_state}, attempt {claim.before_attempt}{left}"
        yield claim.t, f"claimed as attempt {claim.attempt} by {claim.holder}; was {before}"
    for settle in evidence.settles.get(job_id, ()):
        yield settle.t, f"settled as {settle.state} by attempt {settle.attempt}: {settle.value}"


def _running(job_id: str, evidence: Evidence) -> Iterator[Event]:
    for run in evidence.runs.get(job_id, ()):
        where = f"in {run.pid} below {run.supervisor}"
        yield run.started, f"attempt {run.attempt} starts {where}"
        if run.ended is not None:
            yield run.ended, f"attempt {run.attempt} ends {where}: {run.value or run.note}"


def _striking(job_id: str, evidence: Evidence) -> Iterator[Event]:
    pids = {pid for run in evidence.runs.get(job_id, ()) for pid in (run.pid, run.supervisor)}
    for strike in evidence.strikes:
        if strike.pid in pids:
            yield strike.t, f"nemesis: {strike.nemesis} {strike.pid}"
            if strike.until > strike.t:
                yield strike.until, f"nemesis: {strike.nemesis} {strike.pid} is over"
