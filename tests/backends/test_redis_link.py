"""What carries scripts to a real server, and hints back: both faces of it."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from ropeway.backends.redis.address import parse
from ropeway.backends.redis.blocking import BlockingLink
from ropeway.backends.redis.link import Link
from ropeway.backends.redis.looped import LoopedLink
from ropeway.backends.redis.names import channel
from ropeway.backends.redis.script import Script
from tests.servers.valkey import Valkey

MakeLink = Callable[..., Link]


def script(name: str, body: str, **terms: Any) -> Script:
    """Make a script of a few words."""
    flags = "" if terms.get("writes", True) else "no-writes"
    source = f"#!lua flags={flags}\n{body}".encode()
    return Script(name, source, hashlib.sha1(source).hexdigest().encode(), **terms)


ADD = script("add", "return redis.call('INCRBY', KEYS[1], ARGV[1])", repeatable=False)
TELL = script("tell", "redis.call('INCR', KEYS[1]) return redis.call('SPUBLISH', ARGV[1], '')")
KEY = "{ropeway}n"


@pytest.fixture(params=["looped", "blocking"])
async def make(request: pytest.FixtureRequest, valkey: Valkey) -> AsyncIterator[MakeLink]:
    """Return what makes links of one face to an empty server; they are closed at the end."""
    links: list[Link] = []
    form = LoopedLink if request.param == "looped" else BlockingLink

    def made(url: str = "") -> Link:
        links.append(form(parse(url or valkey.url)))
        return links[-1]

    await made().command("FLUSHALL")
    yield made
    for link in links:
        await link.close()


async def test_a_script_is_run_and_known_again(make: MakeLink) -> None:
    """The server is sent its text once; and once more where it has lost it."""
    link = make()
    assert await link.run(ADD, [KEY], [2]) == 2
    assert await link.run(ADD, [KEY], [3]) == 5
    await link.command("SCRIPT", "FLUSH")
    assert await link.run(ADD, [KEY], [1]) == 6


async def test_hints_are_heard(make: MakeLink) -> None:
    """The first wait reports at once; then silence is silence, and a change is told."""
    link, other = make(), make()
    assert await link.wait(["job/1", "q"], 5) == ["job/1", "q"]
    assert await link.wait(["job/1"], 0.05) == []
    await other.run(TELL, [KEY], [channel("ropeway", "job/1")])
    assert await link.wait(["job/1", "q"], 5) == ["job/1"]


async def test_names_of_any_length_and_bytes_are_heard(make: MakeLink) -> None:
    """A long name has a channel of a digest."""
    link, name = make(), "queue/" + "ä\0" * 300
    await link.wait([name], 0)
    await link.run(TELL, [KEY], [channel("ropeway", name)])
    assert await link.wait([name], 0.4) == [name]


async def test_all_threads_that_wait_hear(valkey: Valkey) -> None:
    """They share one connection, which one of them reads for all."""
    link = BlockingLink(parse(valkey.url))
    await link.wait(["a", "b"], 0)
    heard: list[list[str]] = []
    waiting = threading.Barrier(5)

    def wait(name: str) -> None:
        waiting.wait()
        while not (found := asyncio.run(_of(link.wait([name], 0.4)))):
            pass
        heard.append(found)

    threads = [threading.Thread(target=wait, args=(name,)) for name in "aabb"]
    for thread in threads:
        thread.start()
    waiting.wait()
    for name in "ab":
        await link.run(TELL, [KEY], [channel("ropeway", name)])
    for thread in threads:
        thread.join()
    assert sorted(heard) == [["a"], ["a"], ["b"], ["b"]]
    clients = (await link.command("CLIENT", "LIST")).decode().count("name=ropeway")
    assert clients == 2
    await link.close()


async def _of(value: Awaitable[list[str]]) -> list[str]:
    return await value
