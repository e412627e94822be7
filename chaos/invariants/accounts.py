"""Every job is somewhere, its counters add up, and the storage is whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from chaos.evidence import FINAL, Evidence
from chaos.invariants.finding import Example, Finding, judge
from chaos.witness import Row


def conservation(evidence: Evidence, *, counted: bool = True) -> Finding:
    """I8: nothing is left open, both ways to look agree, and the counters explain the attempts.

    Not `counted`: what was counted may have been lost.
    """
    wrong = [
        Example(row.id, fact)
        for row in evidence.raw.values()
        for fact in (
            *_disagreements(row, evidence.public.get(row.id)),
            *(_sums(row, evidence) if counted else ()),
        )
    ]
    hidden = evidence.public.keys() - evidence.raw.keys()
    wrong += [Example(job_id, "is shown, and not stored") for job_id in sorted(hidden)]
    states = Counter(row.state for row in evidence.raw.values())
    return judge("I8", "every job is accounted for", wrong, dict(states))


def _disagreements(row: Row, public: Row | None) -> Iterator[str]:
    if public is None:
        yield "is stored, and not shown"
    elif public != row:
        yield f"is stored as {row} and shown as {public}"
    if row.state not in FINAL:
        yield f"is {row.state} at the end"


def _sums(row: Row, evidence: Evidence) -> Iterator[str]:
    issued = len(evidence.claims.get(row.id, ()))
    if row.attempt < issued or (evidence.whole and row.attempt > issued):
        yield f"has attempt {row.attempt} after {issued} claims"
    charged = row.failures + row.losses + row.releases
    # Each attempt is charged once at most, and the one that succeeded is charged nothing.
    if charged > row.attempt - (row.state == "succeeded"):
        yield f"was charged {charged} times in {row.attempt} attempts"
    failed = sum(
        run.ended is not None and run.value is None for run in evidence.runs.get(row.id, ())
    )
    if row.failures > failed:
        yield f"was charged {row.failures} failures, and failed {failed} times"


def only_poison_quarantined(evidence: Evidence) -> Finding:
    """I15: what kills its process goes into quarantine, nothing else does, and nothing fails."""
    poison = {sent.id for sent in evidence.sends.values() if sent.poison}
    wrong = [
        Example(row.id, f"is {row.state} after {row.losses} losses, {row.failures} failures")
        for row in evidence.raw.values()
        if row.state in {"failed", "quarantined"} and row.id not in poison
    ]
    wrong += [
        Example(row.id, f"kills its process, and is {row.state}")
        for row in evidence.raw.values()
        if row.id in poison and row.state != "quarantined"
    ]
    losses = sum(row.losses for row in evidence.raw.values() if row.id not in poison)
    twice = sum(row.losses > 1 for row in evidence.raw.values() if row.id not in poison)
    counts = {"poison": len(poison), "losses of others": losses, "twice or more": twice}
    return judge("I15", "only poison goes into quarantine", wrong, counts)


def sound_storage(evidence: Evidence) -> Finding:
    """The backend's own check of its storage finds nothing."""
    wrong = [Example("", evidence.damage)] if evidence.damage else []
    return judge("S", "the storage is sound", wrong)
