"""What a worker asks its backend, and what it is answered, written down outside of the backend."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from chaos.history import FOLDER, History, Type, now
from ropeway.broker import Held
from ropeway.claims import Claim
from ropeway.message import Delivery, Fence
from ropeway.store import Backend
from ropeway.transition import Answer, Finish, Reject, Transition
from ropeway.wrappers.delegate import Delegate

CLAIM, SETTLE, EXTEND = "claim", "settle", "extend"
"""The operations of these notes."""


class Notes(Delegate):
    """Notes each settle before it is asked for and when it is answered, each claim and renewal after."""

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self._history = History(Path(os.environ[FOLDER]), "verbs")

    async def receive(
        self, claims: Sequence[Claim], holder: str, lease: float, wait: float = 0.0
    ) -> list[Delivery]:
        asked = now()
        deliveries = await self.inner.receive(claims, holder, lease, wait)
        # Without the wait: what is leased is leased at the end of it, at the earliest when asked.
        self._note("ok", CLAIM, [each.fence for each in deliveries], since=asked)
        return deliveries

    async def extend(self, fences: Sequence[Fence], lease: float) -> list[Held]:
        asked = now()
        answers = await self.inner.extend(fences, lease)
        held = [fence for fence, answer in zip(fences, answers, strict=True) if answer != "lost"]
        self._note("ok", EXTEND, held, since=asked)
        return answers

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        for each in transitions:
            if each.fence is not None and each.settle is not None:
                value, state = _told(each)
                self._note("invoke", SETTLE, [each.fence], v=value, note=state)
        answers = await self.inner.commit(transitions)
        for each, answer in zip(transitions, answers, strict=True):
            if each.fence is not None and each.settle is not None:
                kind: Type = "ok" if answer.ok else "fail"
                self._note(kind, SETTLE, [each.fence], note=answer.status)
        return answers

    def _note(self, type: Type, op: str, fences: Iterable[Fence], **fields: Any) -> None:
        for fence in fences:
            self._history.log(type, op, id=fence.id, attempt=fence.attempt, **fields)


def _told(transition: Transition) -> tuple[str | None, str]:
    """The value that is settled, and the state that follows."""
    settle = transition.settle
    if isinstance(settle, Finish):
        value = None if settle.value is None else msgspec.json.decode(settle.value)
        return None if value is None else str(value), settle.state
    return None, "quarantined" if isinstance(settle, Reject) else "queued"
