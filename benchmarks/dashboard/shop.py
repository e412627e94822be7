"""An app as it may be found behind a shop, that the dashboard is looked at with."""

from __future__ import annotations

import asyncio
import random
import time

from msgspec import Struct

from ropeway import RetryPolicy, Ropeway, current

app = Ropeway(limits={"payments-api": "120/m", "push-gateway": 4})


class Photo(Struct):
    """A photo that somebody has uploaded."""

    user: int
    photo: int
    kilobytes: int


class PushFailed(ConnectionError):
    """The push gateway did not take it."""


photos = app.topic("photos.uploaded", Photo, keep="7d", key="user")
orders = app.topic("orders.placed", dict, keep="30d")
events = app.exchange("events", "topic")
events.bind("mail", "*.confirmed")
events.bind("payments", "order.*")
events.bind("archive", "#")
images = app.exchange("images", "direct")
images.bind("photos", "resize")
images.bind("search", "index")
announcements = app.exchange("announcements", "fanout")
announcements.bind("mail")
announcements.bind("push")


@app.task(name="mail.welcome", queue="mail", tags=["vip"])
async def welcome(user: int, address: str, password: str = "") -> str:
    """Greet somebody."""
    await asyncio.sleep(random.uniform(0.02, 0.3))
    return f"sent to {address}"


@app.task(name="mail.receipt", queue="mail", retries=RetryPolicy(retries=3, base=20))
async def receipt(order: int, total: float, currency: str = "EUR") -> str:
    """Send a receipt; one in forty is refused by the mail server."""
    await asyncio.sleep(random.uniform(0.02, 0.25))
    if order % 40 == 7:
        raise TimeoutError("smtp.example.com:587 did not answer within 10 s")
    return f"receipt {order}"


@app.task(name="photos.thumbnail", queue="photos", retries=0)
def thumbnail(photo: int, width: int = 320, height: int = 240) -> dict[str, int]:
    """Make a small picture; some files are no pictures."""
    time.sleep(random.uniform(0.05, 0.4))
    if photo % 90 == 11:
        raise ValueError(f"cannot identify image file 'uploads/{photo}.heic'")
    return {"photo": photo, "width": width, "height": height}


@app.task(name="push.notify_friends", queue="push", limits=["push-gateway"], retries=0)
async def notify_friends(photo: int, friends: list[int], channel: str = "push") -> int:
    """Tell friends; the gateway does not take all."""
    await asyncio.sleep(random.uniform(0.1, 0.6))
    if photo % 35 == 3:
        raise PushFailed("push.example.com: 503 Service Unavailable")
    return len(friends)


@app.task(name="payments.capture", queue="payments", limits=["payments-api"], priority=9)
async def capture(order: int, amount: float, card_token: str = "") -> dict[str, object]:
    """Take the money."""
    await asyncio.sleep(random.uniform(0.05, 0.2))
    return {"order": order, "amount": amount, "captured": True}


@app.task(name="reports.build", queue="reports", timeout=900)
async def build_report(month: str, rows: int = 200_000) -> str:
    """Build a report, and tell how far it is."""
    for done in range(0, rows, 500):
        current.progress(done, of=rows, note=f"{month}: reading orders")
        await asyncio.sleep(2)
    return f"reports/{month}.pdf"


@app.task(name="search.index", queue="search")
async def index(document: int) -> None:
    """Put a document into the index."""
    await asyncio.sleep(random.uniform(0.005, 0.05))


@app.task(name="feed.refresh", queue="feed")
async def refresh(user: int) -> int:
    """Bring a feed up to date."""
    await asyncio.sleep(random.uniform(0.01, 0.1))
    return user


@app.task(name="catalogue.fetch", queue="catalogue")
async def fetch(supplier: str) -> list[str]:
    """Fetch what a supplier has."""
    await asyncio.sleep(0.2)
    return [f"{supplier}-{number}" for number in range(24)]


@app.task(name="catalogue.price", queue="catalogue")
async def price(item: str) -> float:
    """Ask for a price."""
    await asyncio.sleep(random.uniform(0.05, 0.2))
    return float(len(item))


@app.task(name="catalogue.check_stock", queue="catalogue")
async def check_stock(items: list[str]) -> int:
    """Count what is there."""
    await asyncio.sleep(0.3)
    return len(items)


@app.task(name="catalogue.publish", queue="catalogue", retries=0)
async def publish(prices: list[float], stock: int, approved_by: str) -> str:
    """Put it into the shop."""
    return f"{len(prices)} prices, {stock} in stock, approved by {approved_by}"


@app.task(name="catalogue.import_images", queue="catalogue", retries=0)
async def import_images(items: list[str]) -> int:
    """Fetch the pictures; this supplier's are gone."""
    if items[0].startswith("acme"):
        raise FileNotFoundError("https://acme.example.com/images.zip: 404 Not Found")
    return len(items)


@app.task(name="catalogue.clean_up", queue="catalogue")
async def clean_up() -> None:
    """Remove what was fetched."""


@photos.subscribe("feed")
async def on_feed(event: Photo) -> None:
    """Bring feeds up to date."""


@photos.subscribe("thumbnails")
def on_thumbnails(event: Photo) -> None:
    """Make small pictures, more slowly than photos come."""
    time.sleep(0.4)


@photos.subscribe("moderation", from_="start")
async def on_moderation(event: Photo) -> None:
    """Look at it."""
    await asyncio.sleep(1.0)


@orders.subscribe("warehouse")
async def on_warehouse(event: dict[str, object]) -> None:
    """Pack it."""
