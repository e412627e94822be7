"""The tasks of the example, each with its timetable."""

from __future__ import annotations

import json
import os
import urllib.request
from itertools import combinations
from typing import Any

from examples.collect import shelf
from ropeway import RetryPolicy, Ropeway, current

app = Ropeway()

SOON = RetryPolicy(retries=8, base=0.2, cap=30.0)
"""The API fails now and then: it is asked again after a moment."""


def fetch(path: str) -> Any:
    """Return what the API says."""
    base = os.environ.get("COLLECT_API", "http://127.0.0.1:8001")
    url = f"{base}{path}"
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310  # an address of ours
        return json.load(answer)


def instant() -> str:
    """Return which time of its timetable the running job is for."""
    return current.headers["ropeway-instant"]


@app.schedule("*/10 * * * *", name="top", overlap="skip")
@app.task(retries=SOON, timeout=60)
def fetch_top_repositories(count: int = 100) -> int:
    """Collect the repositories with the most stars."""
    found = fetch(f"/repositories?count={count}")
    shelf.put("top", instant(), found)
    return len(found)


@app.schedule("*/5 * * * *", name="news", jitter="20s", missed="skip")
@app.task(retries=SOON, expires="5m")
def collect_news() -> int:
    """Collect headlines; old ones are of no use, so nothing is made up for."""
    found = fetch("/news")
    shelf.put("news", instant(), found)
    return len(found)


@app.schedule(every="30m", name="weather")
@app.task(retries=SOON)
def collect_weather() -> None:
    """Collect the weather."""
    shelf.put("weather", instant(), fetch("/weather"))


@app.schedule("30 2 * * *", name="alike", timezone="Europe/Berlin", overlap="queue_one")
@app.task(retries=SOON, cpu=True)
def compare_products() -> int:
    """Find which products are alike: all pairs, each night, on a core of their own."""
    found = {each["name"]: set(each["tags"]) for each in fetch("/products")}
    pairs = [
        (len(one & other) / len(one | other), first, second)
        for (first, one), (second, other) in combinations(found.items(), 2)
    ]
    shelf.put("alike", instant(), sorted(pairs, reverse=True)[:20])
    return len(pairs)
