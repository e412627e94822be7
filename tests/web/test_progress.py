"""A page of the application sees how one job is doing, with a token for that job alone."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from ropeway import Ropeway, current
from ropeway.web import Dashboard
from ropeway.web.progress import Progress, Tokens


def test_a_token_is_for_one_job_and_a_while(app: Ropeway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another job, a later time, another secret, or anything else opens nothing."""
    tokens = Tokens("s")
    token = tokens.make("a", 60)
    assert tokens.holds("a", token) and Tokens("s").holds("a", token)
    for wrong in ("", "x", ".", token[:-1], f"9{token}", token.replace(".", "..")):
        assert not tokens.holds("a", wrong), wrong
    assert not tokens.holds("b", token)
    assert not Tokens("other").holds("a", token)
    assert not Tokens().holds("a", token)
    assert not tokens.holds("a", tokens.make("a", -1))
    client = TestClient(Dashboard(app, access=lambda request: None))
    assert client.get("/progress/a?token=x").status_code == 403


async def test_the_stream_tells_until_the_end() -> None:
    """Each report, and then the end; nothing of arguments, results or errors."""
    app = Ropeway("memory://")
    go = asyncio.Event()

    @app.task(retries=0)
    async def work(secret: str) -> str:
        current.progress(1, of=4, note="a quarter")
        await go.wait()
        raise RuntimeError("hunter2")

    job = await work.asend("hunter2")
    told: list[dict[str, Any]] = []
    async with app.worker():
        async for event in Progress(app, Tokens())._stream(job.id):
            assert event.startswith("event: progress\n") and "hunter2" not in event
            told.append(json.loads(event.partition("data: ")[2]))
            if told[-1]["fraction"] == 0.25:
                go.set()
    assert told[-1]["state"] == "failed" and told[-1]["ended"]
    assert any(each["note"] == "a quarter" for each in told)


async def test_a_job_that_is_not_kept_is_gone() -> None:
    """The page is told, and the stream ends."""
    stream = Progress(Ropeway("memory://"), Tokens())._stream("no-such-job")
    assert [event async for event in stream] == ['event: gone\ndata: {"code": "RW-301"}\n\n']
