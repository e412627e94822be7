"""Limits: how many calls that name one may run at once, or start in a time, wherever they run.

The code declares them and a worker brings that into force; what was set at run time wins over the
code until it is reset.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ropeway.claims import Limit
from ropeway.errors import BadTask
from ropeway.limiting import (
    LimitInfo,
    LimitValue,
    all_in_force,
    limit_of,
    reset_limit,
    set_limit,
)
from ropeway.metering import LimitUse, used
from ropeway.stepping import step
from ropeway.store import Backend
from ropeway.who import who


class Source(Protocol):
    """What limits need of their app."""

    @property
    def store(self) -> Backend:
        """The store for the calling context."""
        ...


class Limits:
    """The limits of an app: those that its code declares, and the verbs to change them."""

    def __init__(self, app: Source, declared: Mapping[str, LimitValue]) -> None:
        self._app = app
        self.declared: dict[str, Limit] = {}
        self.declare(declared)

    def declare(self, limits: Mapping[str, LimitValue]) -> None:
        """Note what the code says; a worker brings it into force when it starts."""
        for name, value in limits.items():
            limit = limit_of(name, value)
            if self.declared.setdefault(name, limit) != limit:
                raise BadTask(
                    f"limit {name!r} is declared twice, and not alike",
                    hint="declare it once, at the app, and name it in the tasks",
                )

    def set(self, name: str, value: LimitValue, *, why: str = "") -> None:
        """Change a limit now, for every worker and whatever its code says, until `reset`.

        The value is calls at once, `"30/m"`, both, or `"none"`. Others are shown `why`.
        """
        step(self.aset(name, value, why=why))

    async def aset(self, name: str, value: LimitValue, *, why: str = "") -> None:
        """The same as `set`, for async code."""
        await set_limit(self._app.store, limit_of(name, value), by=who(), why=why)

    def reset(self, name: str) -> None:
        """Go back to what the code declares: of this app, else of the worker that started last.

        Without that nothing is limited.
        """
        step(self.areset(name))

    async def areset(self, name: str) -> None:
        """The same as `reset`, for async code."""
        await reset_limit(self._app.store, name, self.declared.get(name))

    def ls(self) -> list[LimitInfo]:
        """List the limits in force, by name."""
        return step(self.als())

    async def als(self) -> list[LimitInfo]:
        """The same as `ls`, for async code."""
        return await all_in_force(self._app.store)

    def used(self) -> list[LimitUse]:
        """List the limits in force with what of each is used and how many calls wait for it."""
        return step(self.aused())

    async def aused(self) -> list[LimitUse]:
        """The same as `used`, for async code."""
        return await used(self._app.store, await self.als())
