"""Two topics, and what reacts to them."""

from __future__ import annotations

import zlib

from msgspec import Struct

from examples.photos import album
from ropeway import Event, Ropeway

app = Ropeway()


class Uploaded(Struct):
    """Somebody has uploaded a photo."""

    photo: int
    owner: str


class Befriended(Struct):
    """Two people have become friends."""

    a: str
    b: str


uploaded = app.topic("photo.uploaded", Uploaded, key="owner", keep="30d")
befriended = app.topic("friendship.created", Befriended)


@uploaded.subscribe("notify", from_="start")
async def notify_friends(event: Uploaded) -> None:
    """Tell every friend, once."""
    for friend in album.friends(event.owner):
        album.note("insert or ignore into notices values (?, ?)", friend, event.photo)


@uploaded.subscribe("feed", from_="start")
async def count_in_feed(event: Event[Uploaded]) -> None:
    """Put it into the feed of its owner."""
    album.note("insert or ignore into feed values (?, ?)", event.data.owner, event.data.photo)


@uploaded.subscribe("thumbnail", from_="start", cpu=True, timeout="30s")
def make_thumbnail(event: Uploaded) -> None:
    """Compute, on a core of its own; a photo that cannot be read ends in quarantine."""
    pixels = bytes((event.photo * x * x) % 251 for x in range(100_000))
    small = zlib.compress(pixels)[:64]
    album.note("insert or replace into thumbnails values (?, ?)", event.photo, small)


@befriended.subscribe("mutual", from_="start")
async def count_mutual_friends(event: Befriended) -> None:
    """Count again for those pairs alone whose mutual friends have changed."""
    album.befriend(event.a, event.b)
    concerned = {(event.a, event.b)}
    for one, other in ((event.a, event.b), (event.b, event.a)):
        concerned |= {(one, friend) for friend in album.friends(other) if friend != one}
    for a, b in sorted(concerned):
        both = len(set(album.friends(a)) & set(album.friends(b)))
        for pair in ((a, b), (b, a)):
            album.note("insert or replace into mutual values (?, ?, ?)", *pair, both)
