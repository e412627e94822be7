"""Topics: how much is kept, who reads and how far behind; and the events of one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ropeway.errors import BadArguments, RopewayError
from ropeway.operate.roles import Action
from ropeway.topics import moving
from ropeway.topics.browsing import Unreadable
from ropeway.topics.positions import place_of
from ropeway.topics.trimming import purge
from ropeway.web.at import At, Shown
from ropeway.web.looking import local

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
            "events": [(event, _data(at, event.data)) for event in events[::-1]],
            "key": key or "",
            "verbs": [(verb, action) for verb, action in ACTION.items() if verb != "purge"],
            "now": await at.store.now(),
        },
    )


WORDS = {
    "replay": "Have it get events again, beside what is new.",
    "rewind": "Set it back: it gets everything from there again.",
    "skip": "Have it go on from there, without what it has not read before that.",
    "purge": "Remove events from before there for good.",
}
"""What can be done with events, and what that means."""

ACTION: Mapping[str, Action] = {
    "replay": "topics.replay",
    "rewind": "topics.move",
    "skip": "topics.move",
    "purge": "topics.purge",
}


async def move(at: At) -> Shown:
    """Ask for a place in a topic, and tell how many events something would be done with."""
    verb, target = at.asks("verb"), at.query.get("target", "")
    if verb not in WORDS:
        raise BadArguments(f"{verb!r} is nothing that can be done with events")
    place, until, unread = at.asks("place"), at.asks("until") or "now", bool(at.asks("unread"))
    count, fault = None, ""
    if place:
        try:
            count = await counted(at, verb, target, place, until, unread=unread)
        except RopewayError as error:
            fault = f"{error.fact}\n→ {error.hint}"
    return Shown(
        template="move.html",
        title=at.words(verb),
        live=False,
        status=400 if fault else 200,
        values={
            "verb": verb,
            "action": ACTION[verb],
            "target": target,
            "says": WORDS[verb],
            "place": place,
            "until": until,
            "unread": unread,
            "count": count,
            "fault": fault,
            "back": local(at.query.get("back", "/topics")),
        },
    )


async def counted(at: At, verb: str, target: str, place: str, until: str, *, unread: bool) -> int:
    """Count the events that a subscription would get or leave out, or that would be removed."""
    there = place_of(place)
    if verb == "purge":
        topic = (await at.app.topics.atopic(target)).record
        return await purge(at.store, topic, there, unread=unread, dry_run=True)
    if verb == "replay":
        moved = await moving.replay(at.store, target, there, place_of(until), dry_run=True)
    else:
        back = verb == "rewind"
        moved = await moving.move(at.store, target, there, back=back, dry_run=True)
    return sum(each.count for each in moved)


def _data(at: At, data: Any) -> Any:
    if isinstance(data, Unreadable):
        return data.reason
    return at.displayed(msgspec.to_builtins(data, str_keys=True))
