"""Run the example: a worker, some friendships and a photo, and what came of them."""

from __future__ import annotations

import asyncio
from typing import Any

from examples.photos import album
from examples.photos.tasks import Befriended, Uploaded, app, befriended, uploaded
from ropeway import Topic

FRIENDSHIPS = (("ann", "bob"), ("ann", "cat"), ("bob", "eve"), ("cat", "eve"))


async def main() -> None:
    """Publish, and wait until every subscription has read it."""
    async with app.worker():
        for a, b in FRIENDSHIPS:
            await befriended.apublish(Befriended(a, b))
        await read(befriended)
        await uploaded.apublish(Uploaded(photo=1, owner="ann"))
        await read(uploaded)
    told = album.number("select count(*) from notices where photo = 1")
    feed = album.number("select count(*) from feed where owner = 'ann'")
    small = album.number("select length(data) from thumbnails where photo = 1")
    print(
        f"photo 1 of ann: {told} friends notified, {feed} in the feed, a thumbnail of {small} bytes"
    )
    both = album.number("select number from mutual where a = 'ann' and b = 'eve'")
    print(f"mutual friends of ann and eve: {both}")


async def read(topic: Topic[Any]) -> None:
    """Wait until nothing of a topic is unread, and nothing of it waits as a job."""
    open_ = True
    while open_:  # the store is asked, and tells nobody by itself
        await asyncio.sleep(0.02)
        open_ = any(each.lag or each.parked for each in await topic.asubscriptions())


if __name__ == "__main__":
    asyncio.run(main())
