"""Pairs with one defect each, as a hurried author might build them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from ropeway.broker_half import Arrival, BrokerHalf
from ropeway.claims import Claim
from ropeway.message import Delivery, Fence, Message
from ropeway.store import Backend
from ropeway.transition import APPLIED, Answer, Drop, Record, Transition
from ropeway.wrappers.delegate import Delegate
from ropeway.wrappers.halves import OWED, Part, owed, part
from ropeway.wrappers.paired import Paired


class AcksWhatArrives(Paired):
    """Acknowledges before the store has it."""

    async def _take_in(self, arrivals: list[Arrival]) -> None:
        await self._ack_tags([each.tag for each in arrivals])
        await super()._take_in(arrivals)
        arrivals.clear()


class PublishesFirst(Paired):
    """Sends what follows before the store has let the settle pass."""

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        await self.broker.publish([each for t in transitions for each in part(t).owed])
        return await super().commit(transitions)


class PublishesForTheRefused(Paired):
    """Does not look at what the store has answered."""

    async def _publish(self, parts: list[Part], answers: list[Answer]) -> None:
        await super()._publish(parts, [APPLIED] * len(answers))


class ClearsFirst(Paired):
    """Crosses out what is owed, then publishes it."""

    async def _pay(self, messages: Sequence[Message], keys: Sequence[str]) -> None:
        if keys:
            await self.inner.commit([Transition(drop=tuple(map(Drop, keys)))])
        await super()._pay(messages, ())


class KeepsNoList(Paired):
    """Knows what is owed in memory only."""

    def __init__(self, broker: BrokerHalf, store: Backend) -> None:
        super().__init__(broker, _WithoutLists(store))


class _WithoutLists(Delegate):
    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        return await super().commit(
            [
                replace(each, put=tuple(put for put in each.put if not put.key.startswith(OWED)))
                for each in transitions
            ]
        )


class NeverReplays(Paired):
    """Leaves to the dead what the dead owed."""

    async def _pay_records(self, records: Sequence[Record]) -> None:
        pass


class ReplaysUnderNewIds(Paired):
    """Makes new messages of what is owed."""

    async def _pay_records(self, records: Sequence[Record]) -> None:
        anew = [replace(m, id=f"{m.id}'") for each in records for m in owed(each.value)]
        await self._pay(anew, [each.key for each in records])


class ClaimsNothing(Paired):
    """Hands out what arrives as the broker gave it."""

    async def _claim(self, claims: Sequence[Claim], holder: str, lease: float) -> list[Delivery]:
        arrivals = [
            each for claim in claims for each in await self.broker.get(claim.queue, claim.n)
        ]
        return [
            Delivery(message=each.message, fence=Fence(each.message.id, 1, holder))
            for each in arrivals
        ]


class ClaimsForNoTime(Paired):
    """Trusts the broker to hand each message to one worker."""

    async def _claim(self, claims: Sequence[Claim], holder: str, lease: float) -> list[Delivery]:
        return await super()._claim(claims, holder, 0.0)


class RunsTheSettledAgain(Paired):
    """Hands out whatever comes back, though the store says that it has ended."""

    async def _claim(self, claims: Sequence[Claim], holder: str, lease: float) -> list[Delivery]:
        self._back: list[Delivery] = []
        return await super()._claim(claims, holder, lease) + self._back

    async def _meet_again(self, arrivals: list[Arrival]) -> None:
        await super()._meet_again(arrivals)
        self._back = [
            Delivery(message=each.message, fence=Fence(each.message.id, 99, "again"))
            for each in arrivals
            if each.redelivered
        ]


class TakesDuplicatesForRedeliveries(Paired):
    """Takes a job from its holder because its sender has sent it twice."""

    async def _meet_again(self, arrivals: list[Arrival]) -> None:
        await super()._meet_again([replace(each, redelivered=True) for each in arrivals])


class NeverAcks(Paired):
    """Forgets the message when the job is done."""

    async def _ack(self, fences: Iterable[Fence]) -> None:
        pass
