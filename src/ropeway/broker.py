"""The contract of a backend that holds messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from msgspec import Struct

from ropeway.capabilities import Capabilities
from ropeway.claims import Claim, Limit, Meter
from ropeway.message import Delivery, Fence, JobRecord
from ropeway.transition import Answer, Transition

Held = Literal["held", "lost", "cancelled"]


class QueueStats(Struct, frozen=True, kw_only=True):
    """Counts of one queue; each stops at the cap that was asked for.

    `oldest_due` is the earliest due time of what waits, also when that is still ahead.
    """

    queue: str
    ready: int = 0
    delayed: int = 0
    leased: int = 0
    oldest_due: float | None = None


class Broker(Protocol):
    """Holds messages, ready or leased. Every verb takes many; one is a list of one.

    A verb may raise `Indeterminate` (no answer: repeat it unchanged) or `BackendUnavailable`.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What this backend can do."""
        ...

    async def open(self) -> None:
        """Connect, and create or upgrade what is missing. May be called again."""
        ...

    async def close(self) -> None:
        """Give up every resource. May be called again."""
        ...

    async def now(self) -> float:
        """The backend's clock: the only one that due times are compared with."""
        ...

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        """Apply each transition whole or not at all, in order, and answer for each.

        Durable when it returns. A refused transition never fails its neighbours. Each sees the
        writes of those before it.
        """
        ...

    async def receive(
        self, claims: Sequence[Claim], holder: str, lease: float, wait: float = 0.0
    ) -> list[Delivery]:
        """Lease at most `n` messages for each claim to `holder`, for `lease` seconds.

        Messages whose lease has expired come first, then what is due: higher bands before lower
        ones, earlier due times before later, and equal ones in the order they were published.
        Waiting lifts a message: one that has been due for `AGEING` seconds longer than another
        counts as one band higher. Of the messages of one key in a queue only the first that is
        not settled can be handed out, whatever kinds are asked for; keys that have a message ready
        take turns. What a claim does not ask for costs it nothing, however much of it waits.

        Who takes over a lease that has expired charges its attempt with a loss if that had begun to
        run solo, and not for the first time (see `is_lost` and the record under `solo_key`), and
        else with nothing: it is abandoned then. Waits up to `wait`
        seconds for something to come; an empty list is a normal answer.
        """
        ...

    async def extend(self, fences: Sequence[Fence], lease: float) -> list[Held]:
        """Renew each lease to `lease` seconds from now, and say for each whether it is held.

        "cancelled" is one that is held and whose cancellation was asked for. Wait for
        `holder_name` to hear of that at once.
        """
        ...

    async def lifeline(self, holder: str) -> str | None:
        """Return a file for whoever works for `holder` to keep locked: see `ropeway.lifeline`.

        When nobody keeps it any more, the holder's leases end at once. None where the backend
        cannot tell who is dead: leases end by time alone there.
        """
        ...

    async def declare(self, limits: Sequence[Limit]) -> None:
        """Make limits, or change those of the same names. A limit nobody declared limits nothing.

        Enforced inside `receive`, whoever asks: no more of its messages are ever leased at once,
        or handed out in a time, than the limit says. A message that has to wait for a limit holds
        back none that has not.
        """
        ...

    async def meters(self, names: Sequence[str]) -> list[Meter]:
        """Tell of each limit what it allows and what of it is used, in the order asked, for people.

        One that nobody declared allows everything, and what its messages use is told all the same.
        """
        ...

    async def peek(self, queue: str, limit: int = 50) -> list[JobRecord]:
        """Show what waits in a queue, for people, by due time, what is due ahead included."""
        ...

    async def stats(self, queues: Sequence[str] | None = None, cap: int = 0) -> list[QueueStats]:
        """Count what waits in each queue, for people; None names every queue that holds work.

        With a `cap` of 0 nothing is counted: only the names and the oldest due times are told.
        """
        ...
