"""Commits: the plain ones set by set, all others loaded, decided and written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import TypeVar

from ropeway.backends.postgres import plain
from ropeway.backends.postgres.apply import apply
from ropeway.backends.postgres.hints import Telling
from ropeway.backends.postgres.link import Link
from ropeway.backends.postgres.load import load
from ropeway.backends.postgres.locks import MoreLocks, Raced
from ropeway.backends.postgres.logs import append, only_appends
from ropeway.backends.postgres.model import Model, Names
from ropeway.backends.postgres.sessions import Connection
from ropeway.backends.postgres.write import write
from ropeway.claims import MAX_BATCH
from ropeway.errors import BackendUnavailable, Indeterminate
from ropeway.transition import APPLIED, Answer, Transition

T = TypeVar("T")

MOST_PUBLISHED = 1_000
"""Messages that one commit publishes at most: what each commit costs is shared by so many."""

_MOST_RACES = 20


async def commit(link: Link, transitions: Sequence[Transition]) -> list[Answer]:
    """Apply each transition, in order, and answer for each; at most `MOST_PUBLISHED`."""
    sorted_out = plain.sort(transitions)
    if len(transitions) > MAX_BATCH and not (sorted_out and sorted_out.only_publishes):
        first, others = transitions[:MAX_BATCH], transitions[MAX_BATCH:]
        return await commit(link, first) + await _more(commit(link, others))
    if sorted_out is None:
        if (appends := only_appends(transitions)) is not None:
            return await append(link, appends)
        return await _closely(link, transitions)

    async def work(connection: Connection) -> tuple[AbstractSet[str], set[str], Telling | None]:
        if not connection.is_in_transaction():
            told = await plain.do_and_tell(connection, sorted_out, link.telling)
            if told is not None:
                return told[0], set(), told[1]
        return *(await plain.do(connection, sorted_out)), None

    done, changed, told = await link.run(work, write=True, single=sorted_out.statements < 2)
    if told is not None:
        link.hints.tell(told.tokens)
    else:
        await link.notify([*changed])
    left = {place for job_id, place in _places(sorted_out).items() if job_id not in done}
    if not left:
        return [APPLIED] * len(transitions)
    rest = iter(await _more(_closely(link, [transitions[place] for place in sorted(left)])))
    return [next(rest) if place in left else APPLIED for place in range(len(transitions))]


async def _more(rest: Awaitable[list[Answer]]) -> list[Answer]:
    """Await what follows something that was committed: if it fails, of the whole nothing is known."""
    try:
        return await rest
    except BackendUnavailable as error:
        raise Indeterminate(f"a part of it was committed, then: {error.fact}") from error


def _places(sorted_out: plain.Plain) -> dict[str, int]:
    return sorted_out.publish | sorted_out.finish | sorted_out.unkept | sorted_out.release


async def _closely(link: Link, transitions: Sequence[Transition]) -> list[Answer]:
    if len(transitions) > MAX_BATCH:
        # What holds more locks than those of an insert is not to hold them for long.
        first, others = transitions[:MAX_BATCH], transitions[MAX_BATCH:]
        return await _closely(link, first) + await _more(_closely(link, others))

    def decide(model: Model) -> list[Answer]:
        return [apply(model, each) for each in transitions]

    return await decided(link, lambda: Names(transitions), transitions, decide)


async def decided(
    link: Link,
    names: Callable[[], Names],
    transitions: Sequence[Transition],
    decide: Callable[[Model], T],
) -> T:
    """Load what is named, have `decide` change it, and write that, in one transaction.

    It begins again, and is none the worse for it, when it turns out to need more locks, or when
    somebody has published what it publishes.
    """
    held = names().locks()

    async def work(connection: Connection) -> tuple[T, set[str]]:
        model = await load(connection, transitions, names(), held)
        result = decide(model)
        await write(connection, model)
        return result, model.changed

    for _ in range(_MOST_RACES):
        try:
            result, changed = await link.run(work, write=True)
        except MoreLocks as more:
            held = more.numbers
        except Raced:
            continue
        else:
            await link.notify([*changed])
            return result
    raise BackendUnavailable("others have changed the same jobs again and again")
