"""What is new is sent to whoever looks: once, to all, and no longer than somebody looks."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from ropeway import Ropeway
from ropeway.store import Backend, Filter
from ropeway.web import live as module
from ropeway.web import sampler as sampler_module
from ropeway.web.counts import Counts
from ropeway.web.live import Live
from ropeway.web.sampler import KEPT, Sampler
from tests.conftest import AsyncEventually


class Page:
    """A view that says how often it was built, or what it was told to."""

    def __init__(self) -> None:
        self.built = 0
        self.text = "<p>0</p>"

    async def build(self) -> str:
        """Build it."""
        self.built += 1
        return self.text


async def text_of(stream: Any) -> str:
    """Return the next text that a stream sends."""
    async for event in stream:
        if event.startswith("event: page"):
            text: str = json.loads(event.partition("data: ")[2])
            return text
    raise AssertionError("it has ended")


async def test_tabs_share_what_is_built(aeventually: AsyncEventually) -> None:
    """However many look at one view, it is built once a tick, and sent only when it has changed."""
    live, page = Live(tick=0.01), Page()
    streams = [live.stream("/", page.build) for _ in range(50)]
    assert {await text_of(stream) for stream in streams} == {"<p>0</p>"}
    waiting = [asyncio.create_task(text_of(stream)) for stream in streams]
    before = page.built
    await aeventually(lambda: page.built >= before + 5)
    assert not any(each.done() for each in waiting)
    assert live.built == page.built
    page.text = "<p>1</p>"
    assert {await each for each in waiting} == {"<p>1</p>"}
    for stream in streams:
        await stream.aclose()  # type: ignore[attr-defined]  # it is a generator
    built = page.built
    await asyncio.sleep(0.05)
    assert page.built <= built + 1
    assert not live._watched


async def test_no_more_streams_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Further tabs are told to ask instead."""
    monkeypatch.setattr(module, "MOST", 2)
    live, page = Live(tick=0.01), Page()
    streams = [live.stream(number, page.build) for number in range(2)]
    told = [live.full]
    for stream in streams:
        await text_of(stream)
    told.append(live.full)
    for stream in streams:
        await stream.aclose()  # type: ignore[attr-defined]  # it is a generator
    told.append(live.full)
    assert told == [False, True, False]


async def test_what_was_changed_here_is_seen_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by who looks while it is changed: a look from before is not taken for one from after."""
    app = Ropeway("memory://")
    sampler = Sampler(lambda: app.store, every=60.0)
    first = await sampler.facts()
    assert await sampler.facts() is first
    sampler.forget()
    go, gather = asyncio.Event(), vars(sampler_module)["gather"]

    async def slow(*args: Any) -> Any:
        found = await gather(*args)
        await go.wait()
        return found

    monkeypatch.setattr(sampler_module, "gather", slow)
    before = asyncio.create_task(sampler.facts())
    await asyncio.sleep(0)
    sampler.forget()
    go.set()
    assert await sampler.facts() is not await before
    await sampler.close()


async def test_the_sampler_is_bounded_and_rests() -> None:
    """It keeps ten minutes, and takes no samples for nobody."""
    app = Ropeway("memory://")
    sampler = Sampler(lambda: app.store, every=0.0)
    for _ in range(KEPT + 20):
        await sampler.facts()
    assert len(sampler.samples) <= KEPT
    assert sampler._task is not None
    await sampler.close()
    assert sampler._task.done()


async def test_what_fails_behind_the_pages_is_met_by_whoever_asks_next(
    aeventually: AsyncEventually,
) -> None:
    """A sampler, or a count, that a process's end overtakes leaves no failed task behind."""
    app, broken = Ropeway("memory://"), False

    def store() -> Backend:
        if broken:
            raise RuntimeError("cannot schedule new futures after shutdown")
        return app.store

    sampler, counts = Sampler(store, every=0.001), Counts(store)
    await sampler.facts()
    broken = True
    watching = sampler._task
    assert watching is not None
    await aeventually(watching.done)
    assert watching.exception() is None
    with pytest.raises(RuntimeError):
        await sampler.facts()
    assert await counts.of("", [Filter()]) == [None]
    counting = counts._kept[""].task
    assert counting is not None
    assert counting.exception() is None
    await app.aclose()
