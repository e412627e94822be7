"""What all doors of one dashboard have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from ropeway.web.access import Access
from ropeway.web.counts import Counts
from ropeway.web.live import Live
from ropeway.web.running import Running
from ropeway.web.sampler import Sampler

if TYPE_CHECKING:
    from ropeway.app import Ropeway


class Site(Struct, frozen=True, kw_only=True):
    """One dashboard: its app, who is let in, and how it looks; see `Dashboard`."""

    app: Ropeway
    access: Access
    title: str
    environment: tuple[str, str] | None
    read_only: bool
    base_path: str
    sampler: Sampler
    counts: Counts
    live: Live
    running: Running
