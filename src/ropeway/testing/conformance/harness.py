"""What the author of a backend supplies: an empty backend, and a hold on its time."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from ropeway.clock import ManualClock
from ropeway.store import Backend


class Harness(Protocol):
    """One test's backend: open and empty at the start, closed afterwards by whoever made it."""

    @property
    def backend(self) -> Backend:
        """The backend under test."""
        ...

    @property
    def unit(self) -> float:
        """The seconds that leases and delays are small multiples of.

        As long as you like where `advance` costs nothing. Where it really waits: long beside a
        call, short beside the patience of whoever runs the tests.
        """
        ...

    async def advance(self, seconds: float) -> None:
        """Return when the backend's clock shows at least `seconds` more."""
        ...

    async def second(self) -> Backend:
        """Return another handle on the same data, opened, as another process would have it."""
        ...


class MutedHarness(Harness, Protocol):
    """A harness that can lose hints."""

    def mute_hints(self) -> None:
        """From now on no change is told to anybody who waits."""
        ...


class LocalHarness(Harness, Protocol):
    """A harness of a backend that reads the clocks of its machine."""

    def step_date(self, seconds: float) -> None:
        """Change the date, as an administrator or a time server would; no time passes."""
        ...


class ManualHarness:
    """A harness on a `ManualClock`, ready-made; use it with `async with`.

    `another` makes the handles that `second` returns, and without it they are `backend` itself.
    `mute` is what loses the hints.
    """

    unit = 60.0

    def __init__(
        self,
        backend: Backend,
        clock: ManualClock,
        another: Callable[[], Backend] | None = None,
        mute: Callable[[], None] | None = None,
    ) -> None:
        self.backend = backend
        self._clock = clock
        self._another = another
        self._mute = mute
        self._opened: list[Backend] = []

    async def __aenter__(self) -> Self:
        await self._open(self.backend)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for backend in reversed(self._opened):
            await backend.close()

    async def advance(self, seconds: float) -> None:
        """Move the clock; nothing waits."""
        self._clock.advance(seconds)

    async def second(self) -> Backend:
        """Open another handle, which is closed at the end."""
        return await self._open(self._another()) if self._another else self.backend

    def step_date(self, seconds: float) -> None:
        """Move the date alone."""
        self._clock.step_date(seconds)

    def mute_hints(self) -> None:
        """Lose the hints from now on."""
        if self._mute is None:
            raise TypeError("this harness was made without `mute`")
        self._mute()

    async def _open(self, backend: Backend) -> Backend:
        await backend.open()
        self._opened.append(backend)
        return backend
