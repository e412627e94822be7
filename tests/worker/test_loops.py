"""The loops of a supervisor end together: a worker is whole, or it ends and says why."""

from __future__ import annotations

import asyncio

import pytest

from ropeway.worker.loops import Loops


async def test_a_loop_that_fails_is_told_at_once(caplog: pytest.LogCaptureFixture) -> None:
    """Its error and its name are in the log before anything is stopped."""
    loops = Loops()

    async def fails() -> None:
        raise KeyError("a bug")

    other = loops.start("the other", asyncio.sleep(60))
    loops.start("the loop that fetches", fails())
    await asyncio.wait_for(loops.broken.wait(), 5)
    assert "the loop that fetches failed: the worker ends" in caplog.text
    assert "KeyError: 'a bug'" in caplog.text
    assert not other.done()
    await loops.close()
    assert other.cancelled()


async def test_what_is_cancelled_has_not_failed(caplog: pytest.LogCaptureFixture) -> None:
    """The end of the worker is no failure of its loops."""
    loops = Loops()
    loops.start("one", asyncio.sleep(60)).cancel()
    await loops.close()
    assert not loops.broken.is_set()
    assert caplog.text == ""
