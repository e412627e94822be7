"""Whether a server can be relied on: looked at whenever one is connected to."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from msgspec import Struct

from ropeway.backends.redis.address import Address
from ropeway.errors import BackendUnavailable
from ropeway.locations import Host

_logger = logging.getLogger("ropeway")
_warned: set[Host] = set()

INFO = ("INFO", "memory", "persistence")


class Keeping(Struct, frozen=True):
    """What a server does with what it is given; None is what it does not tell.

    `evicts` is its policy, where that may throw away what ropeway keeps: nothing of that has a
    time to live, so the policies `volatile-*` leave it alone.
    """

    evicts: str | None = None
    appends: bool | None = None


def told(info: bytes) -> dict[str, str]:
    """Read a reply to `INFO`: what a server tells about itself."""
    lines = info.decode(errors="replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def keeping(facts: Mapping[str, str]) -> Keeping:
    """Pick from what a server tells what it does with what it is given."""
    policy = facts.get("maxmemory_policy", "")
    evicts = policy.startswith("allkeys-") and facts.get("maxmemory") != "0"
    appends = facts.get("aof_enabled")
    return Keeping(
        evicts=policy if evicts else None, appends=None if appends is None else appends == "1"
    )


def refuse_unsafe(address: Address, host: Host, kept: Keeping) -> None:
    """Raise `BackendUnavailable` where jobs may be thrown away; warn, once, where a restart may."""
    if kept.evicts and not address.unsafe:
        raise BackendUnavailable(
            f"the Redis server {host} throws keys away when its memory is full "
            f"(maxmemory-policy {kept.evicts}): jobs would be lost without a word",
            hint="CONFIG SET maxmemory-policy noeviction; or accept it: ?unsafe=yes",
        )
    if kept.appends is False and host not in _warned:
        _warned.add(host)
        _logger.warning(
            "the Redis server %s loses jobs when it restarts: it has appendonly no; "
            "CONFIG SET appendonly yes",
            host,
        )
