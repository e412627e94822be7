"""What becomes of jobs, move by move, as a backend was told and answered."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from ropeway.blobs import loaded
from ropeway.claims import Claim
from ropeway.message import Delivery, Fence, Message
from ropeway.states import State
from ropeway.store import Backend
from ropeway.transition import Answer, Finish, Reject, Release, Settle, Transition
from ropeway.wrappers.delegate import Delegate


class Move(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One move of a job: into `state`, `at` an instant of the backend's clock.

    `attempt` is the one that it ended, or began; 0 before the first. `charged` names the counter
    that grew, `delay` the seconds it has to wait, `error` what went wrong, by its class. A move
    that was `refused` did not happen: its attempt had lost its lease.
    """

    state: State
    attempt: int = 0
    charged: str = "none"
    delay: float | None = None
    error: str = ""
    refused: bool = False
    at: float = 0.0


class Recorded(Delegate):
    """Hands every verb on, and keeps what was `sent`, in order, and the moves of every job."""

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self.sent: list[Message] = []
        self._moves: dict[str, list[Move]] = {}

    def beside(self, inner: Backend) -> Recorded:
        """Return one for another handle on the same data, which notes in the same place."""
        other = Recorded(inner)
        other.sent, other._moves = self.sent, self._moves
        return other

    def history(self, job_id: str) -> list[Move]:
        """Return the moves of a job, in order."""
        return list(self._moves.get(job_id, ()))

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        answers, now = await self.inner.commit(transitions), await self.inner.now()
        for transition, answer in zip(transitions, answers, strict=True):
            if answer.status == "repeated":
                continue
            if answer.ok:
                sent = [await loaded(self.inner, each) for each in transition.publish]
                self._published(sent, now)
                for job_id in answer.cancelled:
                    self._add(job_id, Move(state=State.CANCELLED, at=now))
            if transition.fence is not None and transition.settle is not None:
                self._settled(transition.fence, transition.settle, answer, now)
        return answers

    async def receive(
        self, claims: Sequence[Claim], holder: str, lease: float, wait: float = 0.0
    ) -> list[Delivery]:
        deliveries = await self.inner.receive(claims, holder, lease, wait)
        now = await self.inner.now() if deliveries else 0.0
        for delivery in deliveries:
            move = Move(state=State.RUNNING, attempt=delivery.fence.attempt, at=now)
            self._add(delivery.fence.id, move)
        return deliveries

    def _published(self, messages: Sequence[Message], now: float) -> None:
        for message in messages:
            self.sent.append(message)
            self._add(message.id, Move(state=State.QUEUED, delay=message.delay or None, at=now))

    def _settled(self, fence: Fence, settle: Settle, answer: Answer, now: float) -> None:
        error = ""
        match settle:
            case Finish():
                state, error = settle.state, settle.error.type if settle.error else ""
            case Reject():
                state, error = State.QUARANTINED, settle.reason
            case Release():
                state, error = State.QUEUED, settle.error.type if settle.error else ""
        move = Move(
            state=state,
            attempt=fence.attempt,
            charged=settle.counts,
            delay=settle.delay if isinstance(settle, Release) else None,
            error=error,
            refused=not answer.ok,
            at=now,
        )
        self._add(fence.id, move)

    def _add(self, job_id: str, move: Move) -> None:
        self._moves.setdefault(job_id, []).append(move)
