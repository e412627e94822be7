"""Which half of a pair gets what of a transition: pure functions."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ropeway.message import DEFAULT_BAND, Fence, JobRecord, Message, is_lost
from ropeway.states import State
from ropeway.transition import Answer, Cancel, Drop, Finish, Put, Reject, Release, Transition

OWED = "owed/"
"""Records of what a settled job still has to publish, each under the job's id."""

_CALLED_OFF = "called-off/"
REMOVED_KEPT = 604_800.0
"""Seconds for which a removed job is remembered, in case its message comes again."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[Message, ...]).decode


class Part(Struct, frozen=True, gc=False):
    """One transition as a pair does it: what the store commits, then what the broker is sent.

    `paid` is the record that holds the list of `owed` until all of it is published.
    """

    store: Transition | None = None
    owed: tuple[Message, ...] = ()
    paid: str | None = None


def part(transition: Transition) -> Part:
    """Share out a transition.

    What only sends messages that may rest in the broker goes there. What a final settle sends
    there is owed. Everything else is the store's alone, so that it stays one step.
    """
    if transition.cancel:
        marks = tuple(Put(called_off(each.id), b"", ttl=each.keep) for each in transition.cancel)
        transition = replace(transition, put=transition.put + marks)
    if transition.revive or transition.remove:
        transition = _by_hand(transition)
    if not transition.publish or _gives_an_id_twice(transition):
        return Part(transition)
    if transition == Transition(publish=transition.publish):
        sent_on = all(rests_in_broker(each) for each in transition.publish)
        return Part(None, transition.publish) if sent_on else Part(transition)
    if transition.fence and isinstance(transition.settle, Finish | Reject):
        return _owing(transition, OWED + transition.fence.id)
    return Part(transition)


def travels(transition: Transition) -> bool:
    """Tell if everything that a transition publishes goes through the broker."""
    return part(transition).owed == transition.publish


def rests_in_broker(message: Message) -> bool:
    """Tell if nothing about the message asks for more than a plain queue."""
    plain = message.key is None and not message.limits and message.band == DEFAULT_BAND
    dated = message.due is not None or message.delay or message.expires is not None
    terms = message.terms
    kept = terms is not None and (terms.unique is not None or terms.expires is not None)
    return plain and not dated and not kept


def owed(value: bytes) -> tuple[Message, ...]:
    """Read the list of owed messages from its record."""
    return _decode(value)


def called_off(job_id: str) -> str:
    """Return the record that says that a job was cancelled, perhaps before the store knew it."""
    return _CALLED_OFF + job_id


def taking_in(message: Message) -> Transition:
    """Return what makes a message that arrived the store's; a conflict if it was called off."""
    return Transition(expect={called_off(message.id): 0}, publish=(message,))


def ending(message: Message) -> Transition:
    """Return what puts a message that was called off on record as cancelled."""
    return Transition(publish=(message,), cancel=(Cancel(message.id),))


def taking_over(job: JobRecord, mark: bytes | None) -> Transition | None:
    """Give a running job back in the name of its holder; refused if that one settles first.

    The end of a solo run, of which `mark` tells, is charged as `Broker.receive` does.
    """
    if job.state is not State.RUNNING or job.holder is None:
        return None
    fence = Fence(job.message.id, job.attempt, job.holder)
    lost = is_lost(job.attempt, job.abandoned, mark)
    return Transition(fence=fence, settle=Release("losses" if lost else "none"))


def over(transitions: Sequence[Transition], answers: Sequence[Answer]) -> list[Fence]:
    """Return the attempts that have ended: settled by this, or taken over by another before."""
    return [
        each.fence
        for each, answer in zip(transitions, answers, strict=True)
        if each.fence and (answer.reason == "lost" or (each.settle and answer.ok))
    ]


def asked(answer: Answer, transition: Transition) -> Answer:
    """Return the answer with nothing in it that `transition` did not ask for."""
    keys = {put.key for put in transition.put}
    if answer.versions.keys() <= keys:
        return answer
    versions = {key: value for key, value in answer.versions.items() if key in keys}
    return replace(answer, versions=versions)


def _by_hand(transition: Transition) -> Transition:
    """Add what a person's change of a settled job has to see to.

    What is revived is wanted again, and owes nothing of before. What is removed may still rest in
    the broker, which knows nothing of that: it must not run when it comes.
    """
    unpaid = {OWED + each.id: 0 for each in transition.revive}
    wanted = tuple(Drop(called_off(each.id)) for each in transition.revive)
    gone = tuple(Put(called_off(each.id), b"", ttl=REMOVED_KEPT) for each in transition.remove)
    return replace(
        transition,
        expect={**unpaid, **transition.expect},
        put=transition.put + gone,
        drop=transition.drop + wanted,
    )


def _owing(transition: Transition, key: str) -> Part:
    debts = tuple(each for each in transition.publish if rests_in_broker(each))
    if not debts:
        return Part(transition)
    rest = tuple(each for each in transition.publish if not rests_in_broker(each))
    put = (*transition.put, Put(key, _encode(debts)))
    return Part(replace(transition, publish=rest, put=put), debts, key)


def _gives_an_id_twice(transition: Transition) -> bool:
    return len({each.id for each in transition.publish}) < len(transition.publish)
