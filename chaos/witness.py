"""The contract of a witness: whoever sees what a backend really stores, beside the product.

One sees a backend from inside, the other believes those who ask it: see `witnesses/`.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct


class Claimed(Struct, frozen=True, kw_only=True):
    """An attempt was issued; `before` is what the job was like until then.

    `lease_left`: seconds until the lease of the attempt before would have ended, None if unknown.
    `order` is that of the backend, over claims and settles; `t` may be coarse.
    """

    order: int
    t: int
    id: str
    attempt: int
    holder: str
    before_attempt: int
    before_state: str
    before_holder: str | None = None
    lease_left: float | None = None


class Settled(Struct, frozen=True, kw_only=True):
    """A job was moved into a final state."""

    order: int
    t: int
    id: str
    attempt: int
    holder: str | None
    state: str
    before_state: str
    before_attempt: int
    value: str | None = None


class Row(Struct, frozen=True, kw_only=True):
    """What is stored of a job; `value` is the text that the task returned."""

    id: str
    state: str
    attempt: int
    failures: int
    losses: int
    releases: int
    value: str | None = None


class Sightings(Struct, frozen=True):
    """All that was seen, in the order in which the backend did it; not `whole`: some was missed."""

    claims: list[Claimed]
    settles: list[Settled]
    whole: bool = True


class Witness(Protocol):
    """Watches one backend from below."""

    def install(self) -> None:
        """Make the storage as the product would, and start to watch. Refuses what is in use."""
        ...

    def sightings(self) -> Sightings:
        """Say what was seen."""
        ...

    def rows(self) -> list[Row]:
        """Every job that is stored."""
        ...

    def damage(self) -> str:
        """What is wrong with the storage itself; empty if nothing is."""
        ...

    def block(self) -> bool:
        """Keep everybody from writing, as another program might, until `unblock`.

        False if that cannot be had soon: who has it may be stopped.
        """
        ...

    def unblock(self) -> None:
        """Let them write again. May be called again."""
        ...
