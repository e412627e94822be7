"""What a view is given: who looks, at what, in which language, and where links lead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from msgspec import Struct

from ropeway.config import Settings
from ropeway.operate.operator import Operator
from ropeway.operate.redact import redacted, shape
from ropeway.operate.roles import LOOKS, Action, allows
from ropeway.store import Backend
from ropeway.web.access import Grant
from ropeway.web.catalogue import Catalogue

if TYPE_CHECKING:
    from ropeway.app import Ropeway
    from ropeway.web.counts import Counts
    from ropeway.web.running import Running
    from ropeway.web.sampler import Sampler


class At(Struct, frozen=True, kw_only=True):
    """One look of one person, who `leaves` by logging out if they have logged in.

    `path` is below `prefix`, where the dashboard is mounted.
    """

    app: Ropeway
    grant: Grant
    read_only: bool
    leaves: bool
    prefix: str
    path: str
    query: Mapping[str, str]
    params: Mapping[str, str]
    words: Catalogue
    sampler: Sampler
    counts: Counts
    running: Running

    @property
    def store(self) -> Backend:
        """Where the jobs are."""
        return self.app.store

    @property
    def settings(self) -> Settings:
        """How long what is cancelled is kept, and more."""
        return self.app.settings

    @property
    def operator(self) -> Operator:
        """What does things in the name of who looks."""
        return Operator(self.store, self.settings, by=self.grant.user, via="web")

    def may(self, action: Action) -> bool:
        """Whether who looks may do something."""
        if self.read_only and action not in LOOKS:
            return False
        return allows(self.grant.role, action)

    def displayed(self, value: Any) -> Any:
        """Return of arguments, a result or an event what who looks may read: without secrets."""
        return redacted(value) if self.may("jobs.payload") else shape(value)

    def url(self, path: str, **query: Any) -> str:
        """Return the link to a page; parts of a query that are None or empty are left out."""
        given = {name: value for name, value in query.items() if value not in {None, ""}}
        return f"{self.prefix}{path}" + (f"?{urlencode(given)}" if given else "")

    def asks(self, name: str) -> str:
        """Return a part of the query, without blanks around it."""
        return self.query.get(name, "").strip()


class Shown(Struct, frozen=True, kw_only=True):
    """What a view found: the template that tells it, and the values to tell.

    A view that is not `live` stays as it is until it is asked for again.
    """

    template: str
    title: str
    values: dict[str, Any]
    live: bool = True
    status: int = 200
