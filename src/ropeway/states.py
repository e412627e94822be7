"""The states of a job, and the one table of the moves between them."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a job is; *scheduled* and *retrying* are views of these, never stored."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    QUARANTINED = "quarantined"

    @property
    def final(self) -> bool:
        """Whether the job is settled: nothing runs it again by itself."""
        return self in FINAL


FINAL = frozenset(
    {State.SUCCEEDED, State.FAILED, State.CANCELLED, State.EXPIRED, State.QUARANTINED}
)

TRANSITIONS: dict[tuple[State | None, State], str] = {
    (None, State.QUEUED): "publish",
    (State.QUEUED, State.RUNNING): "receive",
    (State.QUEUED, State.EXPIRED): "prune, after `expires`",
    (State.QUEUED, State.CANCELLED): "cancel",
    (State.RUNNING, State.RUNNING): "receive, after the lease expired",
    (State.RUNNING, State.QUEUED): "settle: release",
    (State.RUNNING, State.SUCCEEDED): "settle: finish",
    (State.RUNNING, State.FAILED): "settle: finish",
    (State.RUNNING, State.CANCELLED): "cancel, then release or the end of the lease",
    (State.RUNNING, State.EXPIRED): "settle: finish",
    (State.RUNNING, State.QUARANTINED): "settle: reject",
    (State.SUCCEEDED, State.QUEUED): "revive",
    (State.FAILED, State.QUEUED): "revive",
    (State.CANCELLED, State.QUEUED): "revive",
    (State.EXPIRED, State.QUEUED): "revive",
    (State.QUARANTINED, State.QUEUED): "revive",
}
"""(from, to) -> the verb that makes the move; a move that is not here does not exist."""


def diagram() -> str:
    """Draw the table as a Mermaid state diagram, for the documentation."""
    lines = ["stateDiagram-v2"]
    for (source, target), verb in TRANSITIONS.items():
        lines.append(f"    {source or '[*]'} --> {target}: {verb.replace(':', '')}")
    lines += [f"    {state} --> [*]" for state in State if state.final]
    return "\n".join(lines)
