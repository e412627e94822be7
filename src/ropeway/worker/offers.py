"""What a worker offers of named resources, and how much of it is in use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from msgspec.structs import replace

from ropeway.claims import Claim
from ropeway.message import KINDS, Delivery, Fence
from ropeway.resources import Needs, fits, split


class Offers:
    """Counts from the claim of a call to the answer to its settle.

    What is free is not given to whoever fits: it is kept for the first whose turn it was, if there
    is something due and too little left. `on_free` is called when something is given back that was
    asked for in vain.
    """

    def __init__(self, amounts: Mapping[str, int] | None = None) -> None:
        self.amounts = dict(amounts or {})
        self.on_free: Callable[[], None] = lambda: None
        self._used: Counter[str] = Counter()
        self._takers: dict[Fence, Needs] = {}
        self._due: set[str] = set()
        self._kept_for: str | None = None
        self._short = False

    def serves(self, queue: str) -> bool:
        """Whether all that the calls of a queue need is offered."""
        return fits(split(queue)[1], self.amounts)

    def look(self, due: Iterable[str]) -> None:
        """In these queues something is due."""
        self._due = set(due)

    def cut(self, claims: Sequence[Claim], queues: Collection[str]) -> list[Claim]:
        """Return what of these claims can be asked for now; `queues` are all that are served."""
        if not self.amounts:
            return list(claims)
        left = Counter(self.amounts)
        left.subtract(self._used)
        if self._kept_for not in queues:
            self._kept_for = None
        self._short, found = False, list[Claim]()
        for claim in _by_queue(claims):
            n = self._room(claim, left)
            self._short |= n < claim.n
            if n > 0:
                left.subtract({name: n * amount for name, amount in split(claim.queue)[1]})
                found.append(claim if n == claim.n else replace(claim, n=n))
        return found

    def _room(self, claim: Claim, left: Mapping[str, int]) -> int:
        queue, needs = claim.queue, split(claim.queue)[1]
        if not needs:
            return claim.n
        kept = dict(split(self._kept_for)[1]) if self._kept_for not in {None, queue} else {}
        n = min(max(0, left[name] - kept.get(name, 0)) // amount for name, amount in needs)
        if n == 0 and self._kept_for is None and queue in self._due:
            self._kept_for = queue
        elif n > 0 and self._kept_for == queue:
            # If nothing comes there was nothing to keep it for, until the next look.
            self._kept_for = None
            self._due.discard(queue)
        return min(n, claim.n)

    @property
    def short(self) -> bool:
        """Whether less was asked for than there were places for."""
        return self._short

    def take(self, delivery: Delivery) -> None:
        """A call was claimed."""
        needs = split(delivery.message.queue)[1] if self.amounts else ()
        if needs:
            self._takers[delivery.fence] = needs
            self._used.update(dict(needs))

    def give(self, fence: Fence) -> None:
        """It is settled, or lost."""
        needs = self._takers.pop(fence, ()) if self._takers else ()
        if needs:
            self._used.subtract(dict(needs))
            if self._short:
                self.on_free()


def _by_queue(claims: Sequence[Claim]) -> list[Claim]:
    """Make one claim of those of a queue that ask for several kinds, where something is needed.

    What is asked for one kind, and may not come, would be missing for the others. Each kind has
    room for as many as the smallest of them asked for.
    """
    found: dict[object, Claim] = {}
    for number, claim in enumerate(claims):
        key = claim.queue if split(claim.queue)[1] else number
        before = found.get(key, claim)
        kinds = tuple(kind for kind in KINDS if kind in {*before.wanted, *claim.wanted})
        found[key] = (
            claim if before is claim else replace(before, n=min(before.n, claim.n), kinds=kinds)
        )
    return list(found.values())
