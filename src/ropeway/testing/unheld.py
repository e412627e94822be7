"""Topics without anybody who holds their cursors: the engine itself hands out events in a sandbox."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ropeway.topics.records import DRIVER
from ropeway.transition import Answer, Transition
from ropeway.wrappers.delegate import Delegate


class Unheld(Delegate):
    """Leaves out the messages of cursors, for which a worker would never come to an end."""

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        return await self.inner.commit([_without(each) for each in transitions])


def _without(transition: Transition) -> Transition:
    if not any(message.task == DRIVER for message in transition.publish):
        return transition
    kept = tuple(message for message in transition.publish if message.task != DRIVER)
    return replace(transition, publish=kept)
