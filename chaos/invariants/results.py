"""A stored result is what the settled attempt returned, from the arguments that were sent."""

from __future__ import annotations

from chaos.evidence import Evidence, Run
from chaos.invariants.finding import Example, Finding, judge
from chaos.tasks import work_of
from chaos.witness import Row


def result_integrity(evidence: Evidence, *, kept: bool = True) -> Finding:
    """I6: no result is lost, changed, or another's.

    Not `kept`: a settle may have been lost, and have been made again with the result of another run.
    """
    wrong: list[Example] = []
    counts = {"results": 0, "carried": 0}
    for job_id, row in sorted(evidence.raw.items()):
        if row.state != "succeeded":
            continue
        counts["results"] += 1
        producers = [run for run in evidence.runs.get(job_id, ()) if run.value == row.value]
        fact = _fault(row, producers, evidence, kept=kept)
        if fact:
            wrong.append(Example(job_id, fact))
        elif producers[0].attempt != row.attempt:
            counts["carried"] += 1
    return judge("I6", "a result is what its attempt returned", wrong, counts)


def _fault(row: Row, producers: list[Run], evidence: Evidence, *, kept: bool) -> str:
    if row.value is None or not producers:
        return f"no run returned what is stored: {row.value}"
    sent, public = evidence.sends.get(row.id), evidence.public.get(row.id)
    if sent is not None and work_of(row.value) != sent.work:
        return f"{row.value} is not the work of {sent.work}"
    if public is not None and public.value != row.value:
        return f"{row.value} is stored and {public.value} is shown"
    settled = evidence.settles.get(row.id, ())
    if kept and settled and settled[-1].value != row.value:
        return f"{settled[-1].value} was settled and {row.value} is stored"
    if not any(_may_settle(run, row, evidence) for run in producers):
        return f"attempt {row.attempt} settled what attempt {producers[0].attempt} returned"
    return ""


def _may_settle(run: Run, row: Row, evidence: Evidence) -> bool:
    """Whether the run's attempt settled, or was carried over to the one that did.

    A worker that claims again what it is still running does not start it twice: the value of the
    first attempt is settled under the second, of the same holder.
    """
    if run.attempt == row.attempt:
        return True
    kept = {c.attempt for c in evidence.claims.get(row.id, ()) if c.holder == c.before_holder}
    kept -= {each.attempt for each in evidence.runs[row.id]}
    return run.attempt < row.attempt and kept.issuperset(range(run.attempt + 1, row.attempt + 1))
