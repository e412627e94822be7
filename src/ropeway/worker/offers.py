"""What a worker offers of named resources, and how much of it is in use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from ropeway.claims import Claim
from ropeway.message import Delivery, Fence
from ropeway.resources import Needs, fits, split


class Offers:
    """Counts from the claim of a call to the answer to its settle.

    `on_free` is called when something is given back that was asked for in vain.
    """

    def __init__(self, amounts: Mapping[str, int] | None = None) -> None:
        self.amounts = dict(amounts or {})
        self.on_free: Callable[[], None] = lambda: None
        self._used: Counter[str] = Counter()
        self._takers: dict[Fence, Needs] = {}
        self._short = False

    def serves(self, queue: str) -> bool:
        """Whether all that the calls of a queue need is offered."""
        return fits(split(queue)[1], self.amounts)

    def cut(self, claims: Sequence[Claim]) -> list[Claim]:
        """Return what of these claims can be asked for now, those before first."""
        if not self.amounts:
            return list(claims)
        left = Counter(self.amounts)
        left.subtract(self._used)
        self._short, found = False, list[Claim]()
        for claim in claims:
            needs = split(claim.queue)[1]
            n = min((left[name] // amount for name, amount in needs), default=claim.n)
            self._short |= n < claim.n
            if (n := min(n, claim.n)) > 0:
                left.subtract({name: n * amount for name, amount in needs})
                found.append(claim if n == claim.n else replace(claim, n=n))
        return found

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
        needs = self._takers.pop(fence, ())
        if needs:
            self._used.subtract(dict(needs))
            if self._short:
                self.on_free()
