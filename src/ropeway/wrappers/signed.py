"""Messages are signed when they are published, and what is not signed is not run."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from ropeway.claims import Claim
from ropeway.message import Delivery, JobRecord, Message, job_key
from ropeway.signing import Keys
from ropeway.store import Backend
from ropeway.transition import OPEN_KEPT, Answer, Put, Transition, Update
from ropeway.wrappers.delegate import Delegate

_CHANGED = "signed/"
"""Records with the signatures of messages whose body was changed while they waited."""

_decode = msgspec.msgpack.Decoder(JobRecord).decode


class Signed(Delegate):
    """Signs what is published without a signature, and marks deliveries whose own does not hold.

    It is next to the backend: what is decided further out, such as the queues of an exchange, is
    decided before a message is signed. A message that has a signature keeps it, good or bad.
    """

    def __init__(self, inner: Backend, keys: Keys) -> None:
        super().__init__(inner)
        self._keys = keys

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        return await self.inner.commit([await self._signed(each) for each in transitions])

    async def receive(
        self, claims: Sequence[Claim], holder: str, lease: float, wait: float = 0.0
    ) -> list[Delivery]:
        found = await self.inner.receive(claims, holder, lease, wait)
        faults = await self.faults([each.message for each in found])
        if not faults:
            return found
        return [
            _marked(each, faults[each.message.id]) if each.message.id in faults else each
            for each in found
        ]

    async def faults(self, messages: Sequence[Message]) -> dict[str, str]:
        """Say of the messages, by id, why their signatures do not hold; of none that are good."""
        found = {each.id: (each, why) for each in messages if (why := self._keys.fault(each))}
        if not found:
            return {}
        records = await self.inner.get([_CHANGED + each for each in found])
        for (message, _), record in zip(list(found.values()), records, strict=True):
            if record is not None and self._keys.fault_of(message, record.value) is None:
                del found[message.id]
        return {message_id: why for message_id, (_, why) in found.items()}

    async def _signed(self, transition: Transition) -> Transition:
        signed = self._keys.signed
        changes: dict[str, object] = {}
        if transition.publish:
            changes["publish"] = tuple(map(signed, transition.publish))
        if transition.join:
            changes["join"] = tuple(
                replace(each, then=tuple(map(signed, each.then))) for each in transition.join
            )
        if transition.revive:
            changes["revive"] = tuple(
                replace(each, message=signed(each.message)) if each.message else each
                for each in transition.revive
            )
        bodies = [each for each in transition.update if each.body is not None]
        if bodies:
            changes["put"] = (*transition.put, *await self._rewritten(bodies))
        return replace(transition, **changes) if changes else transition

    async def _rewritten(self, updates: Sequence[Update]) -> list[Put]:
        """Return the records that hold the new signatures of waiting messages with other bodies."""
        puts = list[Put]()
        records = await self.inner.get([job_key(each.id) for each in updates])
        for update, record in zip(updates, records, strict=True):
            if record is None or update.body is None:
                continue  # the backend refuses it
            kept = _decode(record.value).message
            if await self.faults([kept]):
                continue  # it stays as bad as it is
            message = replace(kept, body=update.body, signature=None)
            signature = self._keys.signed(message).signature or b""
            puts.append(Put(_CHANGED + update.id, signature, ttl=OPEN_KEPT, owner=update.id))
        return puts


def _marked(delivery: Delivery, why: str) -> Delivery:
    """Return a delivery that must not run, without what would steer its end: nobody has vouched for it.

    Which record it holds, or at which joins it arrives, would be written when it is put aside.
    """
    message = replace(delivery.message, terms=None, policy=None, expires=None)
    return replace(delivery, forged=why, message=message)
