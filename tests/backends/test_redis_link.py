"""What carries scripts to a real server, and hints back: both faces of it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import warnings
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ropeway.backends.redis import hearing
from ropeway.backends.redis.address import parse
from ropeway.backends.redis.blocking import BlockingLink
from ropeway.backends.redis.looped import LoopedLink
from ropeway.backends.redis.names import channel
from ropeway.errors import BackendUnavailable
from ropeway.stepping import step
from tests.backends.redis_faces import (
    ADD,
    FACES,
    KEY,
    LOOK,
    LOOK_AT_ALL,
    SET,
    TELL,
    MakeLink,
    links,
)
from tests.conftest import AsyncEventually, Eventually
from tests.servers.proxy import Proxy
from tests.servers.valkey import Valkey
from tests.servers.valkeys import said


@pytest.fixture(params=FACES)
async def make(request: pytest.FixtureRequest, valkey: Valkey) -> AsyncIterator[MakeLink]:
    """Return what makes links of one face to an empty server; they are closed at the end."""
    said(valkey.port, "FLUSHALL")
    async with links(request.param) as make:
        yield make


def clients(valkey: Valkey) -> list[str]:
    """Return the connections of ours that the server has, by the last command of each."""
    lines = [line for line in said(valkey.port, "CLIENT LIST").splitlines() if "=ropeway" in line]
    return sorted(line.split(" cmd=")[1].split()[0] for line in lines)


async def test_a_script_is_run_and_known_again(make: MakeLink, valkey: Valkey) -> None:
    """The server is sent its text once; and once more where it has lost it."""
    link = make(valkey.url)
    assert await link.run(ADD, [KEY], [2]) == 2
    assert await link.run(ADD, [KEY], [3]) == 5
    said(valkey.port, "SCRIPT FLUSH")
    assert await link.run(ADD, [KEY], [1]) == 6
    assert await link.run(LOOK, [KEY], []) == b"6"


async def test_runs_that_do_not_wait_for_each_other(make: MakeLink, valkey: Valkey) -> None:
    """Their replies come in their order; and what the server does not know it is sent.

    Broken: the reply of one is taken for that of another, or NOSCRIPT for an answer.
    """
    link, keys = make(valkey.url), ["{ropeway}set"]
    for first in (1, 101):
        said(valkey.port, "SCRIPT FLUSH")
        for start in (first, first + 50):
            calls = ((SET, [number]) for number in range(start, start + 50))
            assert await link.run_all(keys, calls) == list(range(start, start + 50))
    assert await link.run_all(keys, iter([(SET, [1]), (LOOK_AT_ALL, [])])) == [200, 200]


async def test_scripts_are_forgotten_under_load(make: MakeLink, valkey: Valkey) -> None:
    """Each call is run exactly once, however often the server forgets the script.

    Broken: NOSCRIPT reaches the caller, or a call that had been run is run again.
    """
    link, over = make(valkey.url), asyncio.Event()

    async def add() -> None:
        for _ in range(50):
            await link.run(ADD, [KEY], [1])

    async def forget() -> None:
        while not over.is_set():
            await asyncio.to_thread(said, valkey.port, "SCRIPT FLUSH")

    forgetting = asyncio.create_task(forget())
    await asyncio.gather(*(add() for _ in range(8)))
    over.set()
    await forgetting
    assert await link.run(LOOK, [KEY], []) == b"400"


async def test_replies_reach_those_who_asked(valkey: Valkey) -> None:
    """Also where many ask at once, and some of them give up meanwhile.

    Broken: after a caller was cancelled every other gets the reply of its neighbour.
    """
    link = LoopedLink(parse(valkey.url))

    async def echo(n: int) -> Any:
        return int(await link.command("ECHO", n))

    wire = await link.take()
    tasks = [asyncio.create_task(echo(n)) for n in range(60)]
    await asyncio.sleep(0)
    for task in tasks[::3]:
        task.cancel()
    told = await asyncio.gather(*tasks, return_exceptions=True)
    for n, answer in enumerate(told):
        assert answer == n or (n % 3 == 0 and isinstance(answer, asyncio.CancelledError))
    assert await echo(7) == 7
    assert await link.take() is wire
    await link.close()


async def test_threads_get_their_own_replies(valkey: Valkey) -> None:
    """Many threads call at once, over as many connections."""
    link = BlockingLink(parse(valkey.url))

    def echo(n: int) -> int:
        return int(step(link.command("ECHO", n)))

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(echo, range(400))) == list(range(400))
    assert len(clients(valkey)) <= 8
    await link.close()


async def test_hints_are_heard(make: MakeLink, valkey: Valkey) -> None:
    """The first wait reports at once; then silence is silence, and a change is told."""
    link, other = make(valkey.url), make(valkey.url)
    assert await link.wait(["job/1", "q"], 5) == ["job/1", "q"]
    assert await link.wait(["job/1"], 0.05) == []
    await other.run(TELL, [KEY], [channel("ropeway", "job/1")])
    assert await link.wait(["job/1", "q"], 0.4) == ["job/1"]


async def test_names_of_any_length_and_bytes_are_heard(make: MakeLink, valkey: Valkey) -> None:
    """A long name has a channel of a digest."""
    link, name = make(valkey.url), "queue/" + "ä\0" * 300
    await link.wait([name], 0)
    await link.run(TELL, [KEY], [channel("ropeway", name)])
    assert await link.wait([name], 0.4) == [name]


async def test_an_idle_process_holds_two_connections(
    make: MakeLink, valkey: Valkey, aeventually: AsyncEventually
) -> None:
    """One for commands and one for hints, however much was asked for before."""
    link = make(valkey.url)
    for name in ("a", "b", "c"):
        await link.run(ADD, [KEY], [1])
        await link.wait([name], 0)
    assert clients(valkey) == ["evalsha", "ping"]
    await link.close()
    await aeventually(lambda: clients(valkey) == [])


async def test_only_what_is_waited_for_is_subscribed(
    make: MakeLink,
    valkey: Valkey,
    monkeypatch: pytest.MonkeyPatch,
    aeventually: AsyncEventually,
) -> None:
    """A name that nobody waits for any more costs the server nothing.

    Broken: a client that has waited for a million results is subscribed to a million channels.
    """
    monkeypatch.setattr(hearing, "FORGOTTEN_AFTER", 0.05)
    link = make(valkey.url)
    await link.wait(["old", "kept"], 0)
    channels = "PUBSUB SHARDCHANNELS"
    assert "hint:old" in said(valkey.port, channels)
    while "hint:old" in (told := await asyncio.to_thread(said, valkey.port, channels)):
        await link.wait(["kept", "new"], 0)
    assert "hint:kept" in told


async def test_a_lost_ear_is_made_anew_and_tells_of_everything(
    make: MakeLink, valkey: Valkey
) -> None:
    """What may have been missed is reported once, and later changes are heard again.

    Broken: from the first cut on every waiter polls, and nobody notices.
    """
    link = make(valkey.url)
    await link.wait(["a", "b"], 0)
    said(valkey.port, "CLIENT KILL TYPE pubsub")
    told: set[str] = set()
    while told != {"a", "b"}:
        told |= set(await link.wait(["a", "b"], 0.4))
    await link.run(TELL, [KEY], [channel("ropeway", "a")])
    assert await link.wait(["a", "b"], 0.4) == ["a"]


async def test_an_ear_that_hears_nothing_is_noticed(
    make: MakeLink, valkey: Valkey, monkeypatch: pytest.MonkeyPatch, aeventually: AsyncEventually
) -> None:
    """A half-open connection says nothing, for ever; so it is asked whether it is there."""
    for module in ("hearing", "looped_ear", "blocking_ear"):
        monkeypatch.setattr(f"ropeway.backends.redis.{module}.PULSE", 0.1)
        if module != "hearing":
            monkeypatch.setattr(f"ropeway.backends.redis.{module}.PATIENCE", 0.2)
    async with Proxy(valkey.port) as proxy:
        link, other = make(proxy.url(valkey.url)), make(valkey.url)
        await link.wait(["a"], 0)
        proxy.swallow()
        await asyncio.sleep(0)
        proxy.forget()

        heard: list[str] = []
        while heard != ["a"]:
            await other.run(TELL, [KEY], [channel("ropeway", "a")])
            heard = await link.wait(["a"], 0.2)


async def test_all_threads_that_wait_hear(valkey: Valkey) -> None:
    """They share one connection, which one of them reads for all."""
    link = BlockingLink(parse(valkey.url))
    step(link.wait(["a", "b"], 0))
    heard: list[str] = []
    waiting = threading.Barrier(5)

    def wait(name: str) -> None:
        waiting.wait()
        while name not in (found := step(link.wait([name], 0.4))):
            pass
        heard.extend(found)

    threads = [threading.Thread(target=wait, args=(name,)) for name in "aabb"]
    for thread in threads:
        thread.start()
    waiting.wait()
    for name in "ab":
        step(link.run(TELL, [KEY], [channel("ropeway", name)]))
    for thread in threads:
        thread.join()
    assert sorted(heard) == ["a", "a", "b", "b"]
    assert len(clients(valkey)) == 2
    step(link.close())


def test_a_loop_that_ends_without_a_word_leaves_nothing_open(
    valkey: Valkey, recwarn: pytest.WarningsRecorder, eventually: Eventually
) -> None:
    """A script that calls `asyncio.run` twice and closes nothing gets no warnings."""

    async def use() -> LoopedLink:
        link = LoopedLink(parse(valkey.url))
        await link.run(ADD, [KEY], [1])
        await link.wait(["a"], 0)
        return link

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            asyncio.run(use())
    eventually(lambda: clients(valkey) == [])
    assert not recwarn.list


async def test_a_dial_that_nobody_waits_for_is_not_complained_of(valkey: Valkey) -> None:
    """The caller was cancelled, and the next one connects."""
    link = LoopedLink(parse(valkey.url.replace("/0", "/0?timeout=1")))
    caller = asyncio.create_task(link.run(LOOK, [KEY], []))
    await asyncio.sleep(0)
    caller.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await caller
    assert await link.run(LOOK, ["{ropeway}none"], []) is None
    await link.close()


async def test_nobody_there_is_one_clear_error(make: MakeLink) -> None:
    """It names the server, what is wrong, and what to look at; the password is not in it."""
    link = make("redis://:hunter2@127.0.0.1:1/0")
    with pytest.raises(BackendUnavailable, match=r"127\.0\.0\.1:1 cannot be reached") as caught:
        await link.run(LOOK, [KEY], [])
    assert "hunter2" not in str(caught.value) and caught.value.hint
    assert await link.wait(["a"], 0) == ["a"]
