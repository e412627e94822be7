"""How long events are kept: values, and the arithmetic of what may go."""

from __future__ import annotations

from datetime import timedelta

from msgspec import Struct

from ropeway.config import seconds, size
from ropeway.errors import BadArguments, ConfigError

DEFAULT_AGE = 7 * 86_400.0


class Retention(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept of a topic: events of that `age`, and the newest by `count` and by `bytes`.

    None sets no bound. `age` is in seconds, or a text such as "7d", and `bytes` a number, or "1GB".
    An event that a subscription has not read yet is kept beyond that, unless `unread` says that
    it goes too.
    """

    age: float | str | None = DEFAULT_AGE
    count: int | None = None
    bytes: int | str | None = None
    unread: bool = False


def retention_of(keep: Retention | float | str | timedelta | None) -> Retention:
    """Return what `keep=` says, with numbers in it; raises `BadArguments`."""
    if keep is None:
        return Retention(age=None)
    if not isinstance(keep, Retention):
        keep = Retention(age=keep.total_seconds() if isinstance(keep, timedelta) else keep)
    try:
        age = None if keep.age is None else seconds(keep.age, "keep")
        most = None if keep.bytes is None else size(keep.bytes, "bytes")
    except ConfigError as error:
        raise BadArguments(error.fact, hint=error.hint) from None
    if keep.count is not None and (isinstance(keep.count, bool) or keep.count < 1):
        raise BadArguments(f"count={keep.count!r} keeps no event", hint="keep 1 or more, or None")
    return Retention(age=age, count=keep.count, bytes=most, unread=keep.unread)


class Facts(Struct, frozen=True, kw_only=True):
    """What is known of one log: its first and last offset, and more that retention asks for.

    `aged` is the last offset that is older than the age; `mean` the mean size of an entry; `needed`
    the offset up to which every subscription has read, None if there is no subscription.
    """

    first: int
    last: int
    aged: int = 0
    mean: float = 0.0
    needed: int | None = None


def trim_to(keep: Retention, partitions: int, facts: Facts) -> int:
    """Return up to which offset one of so many partitions may be trimmed; 0 for not at all."""
    upto = facts.aged
    if keep.count is not None:
        upto = max(upto, facts.last - max(1, keep.count // partitions))
    if keep.bytes is not None and facts.mean > 0:
        room = int(int(keep.bytes) / partitions / facts.mean)
        upto = max(upto, facts.last - max(1, room))
    if facts.needed is not None and not keep.unread:
        upto = min(upto, facts.needed)
    return upto if upto >= facts.first else 0
