"""Pauses are records: who paused a queue and why, until somebody resumes it."""

from __future__ import annotations

from ropeway.backends.memory import MemoryBackend
from ropeway.pauses import PREFIX, Pauses, pause, paused, resume
from ropeway.transition import Put, Transition


async def test_pause_and_resume() -> None:
    """Who, when and why is kept; a second pause replaces the first."""
    store = MemoryBackend()
    assert await paused(store) == {}
    await pause(store, "mail", by="ann")
    second = await pause(store, "mail", by="bob", why="the server is down")
    assert await paused(store) == {"mail": second}
    assert (second.by, second.why, second.queue) == ("bob", "the server is down", "mail")
    assert second.since <= await store.now()
    assert await resume(store, "mail") is True
    assert await resume(store, "mail") is False
    assert await paused(store) == {}


async def test_any_name_and_any_number() -> None:
    """Of queues: every page of the records is read."""
    store = MemoryBackend()
    names = {f"q{i}" for i in range(230)} | {"a/b", "ü", "paused/x", " "}
    for name in names:
        await pause(store, name, by="ann")
    assert set(await paused(store)) == names


async def test_a_pause_that_cannot_be_read_is_a_pause() -> None:
    """Rather too still than too busy."""
    store = MemoryBackend()
    await store.commit([Transition(put=(Put(PREFIX + "mail", b"\xc1"),))])
    assert (await paused(store))["mail"].by == "?"
    assert await Pauses(store).open_ones(["mail", "push"]) == ["push"]


async def test_a_worker_looks_again_after_a_while() -> None:
    """And not with every claim."""
    store = MemoryBackend()
    pauses = Pauses(store)
    assert await pauses.open_ones(["mail", "push"]) == ["mail", "push"]
    await pause(store, "mail", by="ann")
    assert await pauses.open_ones(["mail", "push"]) == ["mail", "push"]
    pauses._looked = float("-inf")
    assert await pauses.open_ones(["mail", "push"]) == ["push"]
