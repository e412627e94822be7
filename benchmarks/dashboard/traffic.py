"""Believable work for the shop: what is prepared once, and what comes all the time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ropeway.calls import Call

if TYPE_CHECKING:
    from benchmarks.dashboard import shop
else:  # a copy beside the database, as if it were somebody's
    import shop


__all__ = ["SUPPLIERS", "catalogue", "prepare", "send", "shop"]

SUPPLIERS = ("acme", "northwind", "tailspin")


def prepare() -> None:
    """Make schedules, runs of a workflow, pauses, and jobs that wait for later."""
    app = shop.app
    schedules = app.schedules
    schedules.add(
        "nightly-report",
        shop.build_report.call("2026-11"),
        cron="30 2 * * *",
        timezone="Europe/Berlin",
        jitter="5m",
    )
    schedules.add("refresh-feeds", shop.refresh.call(0), every="10m", overlap="skip")
    schedules.add(
        "suppliers",
        shop.fetch.call("acme"),
        cron="0 6-20/2 * * MON-FRI",
        timezone="Asia/Shanghai",
        missed="fire_once",
    )
    schedules.add("digest", shop.welcome.call(0, "all@example.com"), cron="0 9 * * MON")
    schedules.add("reindex", shop.index.call(1), every="20s")
    schedules.pause("digest", why="the newsletter is being rewritten until Thursday")
    for supplier in SUPPLIERS:
        catalogue(supplier)
    shop.welcome.using(queue="mail", delay=3 * 3600).send(7, "later@example.com")
    shop.build_report.send("2026-10")


def catalogue(supplier: str) -> str:
    """Start a run that brings what a supplier has into the shop; return its id."""
    with shop.app.workflow("catalogue") as wf:
        items = wf.add(shop.fetch.call(supplier))
        prices = wf.map(shop.price, items)
        stock = wf.add(shop.check_stock.call(items))
        images = wf.add(shop.import_images.call(items))
        approved = wf.signal("approved", str, timeout="1d", after=[wf.node(prices), wf.node(stock)])
        wf.add(shop.publish.call(prices, stock, approved), after=[wf.node(images)])
        wf.always(shop.clean_up.call())
    return wf.send().id


def call(number: int) -> Call[object]:
    """Return the call of that number: much mail, some photos, an order now and then."""
    made: list[tuple[int, Callable[[], Call[object]]]] = [
        (24, lambda: shop.receipt.call(number, round(random.uniform(5, 300), 2))),
        (8, lambda: shop.welcome.call(number, f"user{number}@example.com", password="hunter2")),
        (18, lambda: shop.thumbnail.call(number)),
        (10, lambda: shop.notify_friends.call(number, [number + 1, number + 2])),
        (12, lambda: shop.capture.call(number, 19.9, card_token="tok_4242")),
        (18, lambda: shop.index.call(number)),
        (10, lambda: shop.refresh.call(number)),
    ]
    (chosen,) = random.choices(made, [weight for weight, _ in made])
    return chosen[1]()


def send(rate: float, seconds: float) -> Iterator[int]:
    """Send so many calls and events a second for so long; yields how many calls were sent."""
    begun, sent = time.monotonic(), 0
    while (passed := time.monotonic() - begun) < seconds:
        due = int(passed * rate) - sent
        if due > 0:
            shop.app.send_many(call(sent + each) for each in range(due))
            shop.photos.publish_many(
                shop.Photo(
                    user=(sent + each) % 40, photo=sent + each, kilobytes=(sent + each) * 7 % 4000
                )
                for each in range(max(1, due // 8))
            )
            if sent % 3 == 0:
                shop.orders.publish({"order": sent, "total": 19.9, "card_token": "tok_4242"})
            sent += due
        yield sent
        time.sleep(0.1)
