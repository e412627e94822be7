"""A Redis server that is killed, stopped, full, forbidding or far away: one clear answer each."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import hiredis
import pytest

from ropeway import Ropeway
from ropeway.backends.redis import guards
from ropeway.backends.redis.refusals import ScriptFailed, refusal
from ropeway.decide import Keep
from ropeway.errors import BackendUnavailable, Backpressure, Indeterminate
from ropeway.store import Filter
from tests.backends.redis_faces import (
    ADD,
    FACES,
    KEY,
    LOOK,
    LOOK_AT_ALL,
    SET,
    MakeLink,
    links,
    script,
)
from tests.conftest import AsyncEventually
from tests.servers.proxy import Proxy
from tests.servers.valkey import Valkey
from tests.servers.valkeys import said
from tests.worker.rig import until

QUICK = "?timeout=0.5"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """Return a server that these tests may do anything to."""
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=FACES)
async def make(request: pytest.FixtureRequest, server: Valkey) -> AsyncIterator[MakeLink]:
    """Return what makes links of one face to the empty server."""
    said(server.port, "FLUSHALL")
    async with links(request.param) as make:
        yield make


@pytest.fixture
async def proxy(server: Valkey) -> AsyncIterator[Proxy]:
    """Return what stands between a link and the server."""
    async with Proxy(server.port) as proxy:
        yield proxy


@contextmanager
def configured(server: Valkey, name: str, value: str) -> Iterator[None]:
    """Set something on the server for a while."""
    before = said(server.port, f"CONFIG GET {name}").split("\r\n")[4]
    assert said(server.port, f"CONFIG SET {name} {value}").startswith("+OK")
    try:
        yield
    finally:
        assert said(server.port, f'CONFIG SET {name} "{before}"').startswith("+OK")
    # A file of appends that is asked for again is first written anew; until then nothing is safe.
    until(lambda: not _BUSY & set(said(server.port, "INFO persistence").split("\r\n")))


_BUSY = {"aof_rewrite_in_progress:1", "aof_rewrite_scheduled:1"}


@contextmanager
def stopped(server: Valkey) -> Iterator[None]:
    """Have the server hang, as a machine does that swaps."""
    server.server.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.server.signal(signal.SIGCONT)


# -- killed, stopped and cut -----------------------------------------------------------------------


async def test_what_was_answered_survives_a_kill(make: MakeLink, server: Valkey) -> None:
    """And the first call after the restart is a call like any other, over a new connection."""
    link = make(server.url)
    assert await link.run(ADD, [KEY], [5]) == 5
    server.server.kill()
    with pytest.raises((BackendUnavailable, Indeterminate)):
        await link.run(SET, ["{ropeway}s"], [1])
    with pytest.raises(BackendUnavailable, match="cannot be reached"):
        await link.run(ADD, [KEY], [5])
    server.start()
    assert await link.run(ADD, [KEY], [1]) == 6


async def test_a_kill_under_load_loses_and_doubles_nothing(
    make: MakeLink, server: Valkey, aeventually: AsyncEventually
) -> None:
    """Whatever was answered is there, and what was not is known to be in doubt.

    Broken: a reply that was lost is taken for a refusal, or what may not be repeated is.
    """
    link = make(server.url)
    sure, in_doubt, refused = 0, 0, 0

    async def add() -> None:
        nonlocal sure, in_doubt, refused
        while not refused:
            try:
                await link.run(ADD, [KEY], [1])
                sure += 1
            except Indeterminate:
                in_doubt += 1
            except BackendUnavailable:
                refused += 1

    adding = asyncio.gather(*(add() for _ in range(8)))
    await aeventually(lambda: sure > 50)
    server.server.kill()
    await adding
    server.start()
    assert sure <= int(await link.run(LOOK, [KEY], [])) <= sure + in_doubt


async def test_a_server_that_hangs_is_given_up(make: MakeLink, server: Valkey) -> None:
    """Nobody waits longer than the timeout, and a change that was sent is in doubt."""
    link = make(server.url + QUICK)
    await link.run(ADD, [KEY], [1])
    with stopped(server):
        with pytest.raises(Indeterminate, match=r"no reply came within 0\.5 s"):
            await link.run(ADD, [KEY], [1])
        with pytest.raises(BackendUnavailable, match=r"cannot be reached|did not answer"):
            await link.run(LOOK, [KEY], [])
    assert await link.run(ADD, [KEY], [1]) in {2, 3}


async def test_a_lost_reply_is_asked_for_again(
    make: MakeLink, server: Valkey, proxy: Proxy
) -> None:
    """What does no harm twice is repeated by itself; what may is left to the caller.

    Broken: a connection that a router forgot is an error of `send`.
    """
    link = make(proxy.url(server.url))
    assert await link.run(SET, [KEY], [1]) == 1
    for again, answer in ((SET, 1), (LOOK, None)):
        key = KEY if again is SET else "{ropeway}none"
        with stopped(server):
            asked = asyncio.create_task(link.run(again, [key], [1]))
            await proxy.passed()
            proxy.cut()
        assert await asked == answer
    with stopped(server):
        asked = asyncio.create_task(link.run(ADD, ["{ropeway}m"], [1]))
        await proxy.passed()
        proxy.cut()
    with pytest.raises(Indeterminate, match="a reply was lost"):
        await asked
    assert await link.run(LOOK, ["{ropeway}m"], []) in {None, b"1"}


async def test_a_reply_that_is_lost_twice_is_indeterminate(
    make: MakeLink, server: Valkey, proxy: Proxy
) -> None:
    """It was done, or not: whoever asked has to repeat it."""
    link = make(proxy.url(server.url))
    await link.run(SET, [KEY], [1])
    proxy.cut_answers()
    with pytest.raises(Indeterminate, match="a reply was lost"):
        await link.run(SET, [KEY], [2])
    proxy.pass_on()
    assert await link.run(SET, [KEY], [2]) == 2


async def test_the_replies_of_several_runs_are_lost(
    make: MakeLink, server: Valkey, proxy: Proxy
) -> None:
    """Each is asked for again by itself; where that fails, all of it is in doubt.

    Broken: what is sent in bulk fails where what is sent singly does not, or is said not to be
    there though it is.
    """
    link = make(proxy.url(server.url))
    assert await link.run(SET, [KEY], [0]) == 1
    with stopped(server):
        asked = asyncio.create_task(
            link.run_all([KEY], ((SET, [number]) for number in range(1, 6)))
        )
        await proxy.passed()
        proxy.cut()
    assert (await asked)[-1] == 6
    proxy.cut_answers()
    with pytest.raises(Indeterminate, match="a reply was lost"):
        await link.run_all([KEY], ((SET, [number]) for number in range(6, 9)))
    proxy.pass_on()
    assert await link.run_all([KEY], iter([(SET, [9])])) == [await link.run(LOOK_AT_ALL, [KEY], [])]


async def test_a_half_open_connection_is_given_up(
    make: MakeLink, server: Valkey, proxy: Proxy
) -> None:
    """And when the network is back the next call succeeds at once."""
    link = make(proxy.url(server.url) + QUICK)
    await link.run(SET, [KEY], [1])
    proxy.swallow()
    with pytest.raises(Indeterminate):
        await link.run(SET, [KEY], [2])
    with pytest.raises(BackendUnavailable):
        await link.run(SET, [KEY], [2])
    proxy.pass_on()
    assert await link.run(SET, [KEY], [3]) in {2, 3}


async def test_an_idle_connection_that_the_server_closed_is_replaced(
    make: MakeLink, server: Valkey, aeventually: AsyncEventually
) -> None:
    """Servers and routers close what is quiet for long (`timeout`); nobody is told of it.

    Broken: the first send of the morning fails, or is counted twice.
    """
    link = make(server.url)
    assert await link.run(ADD, [KEY], [1]) == 1
    with configured(server, "timeout", "1"):
        await aeventually(lambda: "name=ropeway" not in said(server.port, "CLIENT LIST"))
    assert await link.run(ADD, [KEY], [1]) == 2


async def test_connections_that_an_administrator_kills_are_replaced(
    make: MakeLink, server: Valkey
) -> None:
    """Each call has its answer, while all connections are killed again and again."""
    link, over = make(server.url), asyncio.Event()

    async def kill() -> None:
        while not over.is_set():
            await asyncio.to_thread(said, server.port, "CLIENT KILL TYPE normal SKIPME yes")
            await asyncio.sleep(0.02)

    killing = asyncio.create_task(kill())
    sure = 0
    for n in range(100):
        try:
            await link.run(SET, [KEY], [n])
            sure += 1
        except (Indeterminate, BackendUnavailable):
            pass
    over.set()
    await killing
    assert sure > 50
    assert await link.run(SET, [KEY], ["last"]) >= sure


# -- refused ---------------------------------------------------------------------------------------


async def test_a_full_server_is_back_pressure(make: MakeLink, server: Valkey) -> None:
    """It takes no more, but what may run even then does: results come in, and make room."""
    link = make(server.url)
    settle = script("settle", "return redis.call('DEL', KEYS[1])")
    assert await link.run(ADD, [KEY], [1]) == 1
    with configured(server, "maxmemory", "1mb"):
        with pytest.raises(Backpressure, match="maxmemory full") as caught:
            await link.run(ADD, [KEY], [1])
        assert "raise maxmemory" in caught.value.hint
        with pytest.raises(Backpressure):
            await link.run(settle, [KEY], [])
        allowed = script("settle", "return redis.call('DEL', KEYS[1])", flags="allow-oom")
        assert await link.run(allowed, [KEY], []) == 1
        assert await link.run(LOOK, [KEY], []) is None
    assert await link.run(ADD, [KEY], [1]) == 1


async def test_a_replica_is_refused_at_once_and_later(make: MakeLink, server: Valkey) -> None:
    """One that became a replica while connected is noticed by its answer."""
    link = make(server.url)
    await link.run(ADD, [KEY], [1])
    said(server.port, "REPLICAOF 127.0.0.1 1")
    try:
        for each in (link, make(server.url)):
            with pytest.raises(BackendUnavailable, match="is a replica") as caught:
                await each.run(ADD, [KEY], [1])
            assert "Sentinel" in caught.value.hint
    finally:
        said(server.port, "REPLICAOF NO ONE")
    assert await link.run(ADD, [KEY], [1]) == 2


async def test_a_missing_or_wrong_password_says_what_to_do(make: MakeLink, server: Valkey) -> None:
    """In one error, without the password; and with the right one all is well."""
    said(server.port, "ACL SETUSER jobs on >right ~{ropeway}* &{ropeway}* +@all -@admin")
    url = server.url.replace("//", "//{}@")
    said(server.port, "CONFIG SET requirepass secret")
    try:
        for user, told in ((":hunter2", "does not know this user"), ("jobs:hunter2", "not know")):
            with pytest.raises(BackendUnavailable, match=told) as caught:
                await make(url.format(user)).open()
            assert "hunter2" not in str(caught.value) and "ACL LIST" in caught.value.hint
        with pytest.raises(BackendUnavailable, match="wants a password"):
            await make(server.url).open()
        for user in (":secret", "jobs:right"):
            assert await make(url.format(user)).run(ADD, [KEY], [1]) >= 1
    finally:
        said(server.port, 'AUTH secret\r\nCONFIG SET requirepass ""')


async def test_a_missing_right_is_named(make: MakeLink, server: Valkey) -> None:
    """What the user may not do, and how that is given."""
    said(server.port, "ACL SETUSER weak on >pw ~other* &* +@all")
    link = make(server.url.replace("//", "//weak:pw@"))
    with pytest.raises(BackendUnavailable, match="permissions to access") as caught:
        await link.run(ADD, [KEY], [1])
    assert "ACL SETUSER" in caught.value.hint


async def test_the_user_of_the_documentation_can_do_everything(server: Valkey) -> None:
    """An app with the rights that the page on Redis gives can send, work, wait and look."""
    page = (Path(__file__).parents[2] / "docs" / "howto" / "run-on-redis.md").read_text()
    (rights,) = re.findall(r"^ACL SETUSER shop .*$", page, re.MULTILINE)
    assert said(server.port, rights).startswith("+OK")
    app = Ropeway(server.url.replace("//", "//shop:password@") + "?namespace=shop")

    @app.task(name="add")
    def add(x: int) -> int:
        return x + 1

    async with app.worker():
        assert await (await add.using(key="k").asend(1)).aresult(10) == 2
    assert (await app.store.search(Filter(task="add"))).jobs
    assert await app.store.prune(Keep(), 10) == 0
    await app.aclose()
    with pytest.raises(BackendUnavailable, match="refuses"):
        await Ropeway(server.url.replace("//", "//shop:password@")).store.now()


async def test_replicas_that_are_not_there_leave_a_change_in_doubt(
    make: MakeLink, server: Valkey
) -> None:
    """Who asks for a replica is not told that a change is safe when no replica has it."""
    link = make(server.url + "?replicas=1&timeout=0.5")
    with pytest.raises(Indeterminate, match="0 of 1 replicas"):
        await link.run(ADD, [KEY], [1])
    assert await link.run(LOOK, [KEY], []) == b"1"


@pytest.mark.parametrize(
    ("reply", "kind", "fact"),
    [
        ("LOADING Redis is loading the dataset in memory", BackendUnavailable, "is loading"),
        ("CLUSTERDOWN Hash slot not served", BackendUnavailable, "cluster that is down"),
        ("MISCONF Errors writing to the AOF file", Backpressure, "cannot write to its disk"),
        ("NOREPLICAS Not enough good replicas to write.", BackendUnavailable, "fewer replicas"),
        ("MASTERDOWN Link with MASTER is down", BackendUnavailable, "without its master"),
        ("BUSY Redis is busy running a script.", BackendUnavailable, "busy"),
        ("TRYAGAIN Multiple keys request during rehashing", BackendUnavailable, "giving"),
        ("ERR Script attempted to access a non local key", BackendUnavailable, "giving"),
        ("ERR user_script:3: -OOM command not allowed", Backpressure, "maxmemory full"),
        ("ERR user_script:3: attempt to index a nil value", ScriptFailed, "nil value"),
    ],
)
def test_what_a_server_refuses_is_told(reply: str, kind: type[Exception], fact: str) -> None:
    """Each of its words in one of ours."""
    error = refusal(hiredis.ReplyError(reply), "h:6379", "commit")
    assert type(error) is kind
    assert fact in str(error) and "h:6379" in str(error)


# -- not to be relied on ---------------------------------------------------------------------------


async def test_a_server_that_evicts_is_refused(make: MakeLink, server: Valkey) -> None:
    """Unless it is accepted, or only what has a time to live is thrown away: ours has none."""
    with configured(server, "maxmemory", "100mb"):
        with configured(server, "maxmemory-policy", "allkeys-lru"):
            with pytest.raises(BackendUnavailable, match=r"allkeys-lru.*would be lost") as caught:
                await make(server.url).open()
            assert "noeviction" in caught.value.hint
            await make(server.url + "?unsafe=yes").open()
        with configured(server, "maxmemory-policy", "volatile-lru"):
            await make(server.url).open()
    with configured(server, "maxmemory-policy", "allkeys-lru"):
        await make(server.url).open()  # there is no limit, so nothing is thrown away


async def test_a_server_that_forgets_is_warned_of_once(
    make: MakeLink,
    server: Valkey,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One without a log on the disk has nothing after a restart."""
    monkeypatch.setattr(guards, "_warned", set())
    caplog.set_level(logging.WARNING, "ropeway")
    with configured(server, "appendonly", "no"):
        for _ in range(3):
            await make(server.url).open()
    told = [record.message for record in caplog.records if "appendonly no" in record.message]
    assert len(told) == 1
    assert f"127.0.0.1:{server.port} loses jobs when it restarts" in told[0]


async def test_who_may_not_look_is_not_refused(make: MakeLink, server: Valkey) -> None:
    """A user without the right to INFO, as with a provider, works all the same."""
    said(server.port, "ACL SETUSER blind on >pw ~* &* +@all -info -config")
    assert await make(server.url.replace("//", "//blind:pw@")).run(ADD, [KEY], [1]) == 1
