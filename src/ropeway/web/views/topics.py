"""Topics: how much is kept, who reads and how far behind; and the events of one of them."""

from __future__ import annotations

from typing import Any

import msgspec

from ropeway.operate.redact import redacted
from ropeway.topics.browsing import Unreadable
from ropeway.web.at import At, Shown

_EVENTS = 50


async def topics(at: At) -> Shown:
    """List the topics, with the largest lag of their subscriptions."""
    found = await at.app.topics.als()
    lags = {}
    for each in found:
        standing = await at.app.topics.asubscriptions(each.topic.name)
        lags[each.topic.name] = max((one.lag for one in standing), default=None)
    return Shown(
        template="topics.html",
        title=at.words("Topics"),
        values={"topics": found, "lags": lags, "now": await at.store.now()},
    )


async def topic(at: At) -> Shown:
    """Show one topic: its subscriptions, and its newest events, or those of a key."""
    found = await at.app.topics.atopic(at.params["name"])
    key = at.asks("key") or None
    events = await found.ahistory(last=_EVENTS, key=key)
    return Shown(
        template="topic.html",
        title=found.name,
        values={
            "topic": found.record,
            "info": await found.ainfo(),
            "subscriptions": await found.asubscriptions(),
            "events": [(event, _data(event.data)) for event in events[::-1]],
            "key": key or "",
            "now": await at.store.now(),
        },
    )


def _data(data: Any) -> Any:
    if isinstance(data, Unreadable):
        return data.reason
    return redacted(msgspec.to_builtins(data, str_keys=True))
