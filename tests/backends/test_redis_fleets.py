"""Redis under Sentinels and as a cluster: the master dies, and the work goes on at another."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable

import pytest

from ropeway import Ropeway
from ropeway.backends.redis.link import Link
from ropeway.backends.redis.names import channel, slot
from ropeway.decide import Keep
from ropeway.errors import BackendUnavailable, Indeterminate
from ropeway.store import Filter
from tests.backends.redis_faces import FACES, KEY, SET, TELL, MakeLink, links, script
from tests.servers.process import HOST
from tests.servers.valkeys import Cluster, Watched, said

MEMBERS = script("members", "return redis.call('SMEMBERS', KEYS[1])", writes=False)


@pytest.fixture(params=FACES)
async def make(request: pytest.FixtureRequest) -> AsyncIterator[MakeLink]:
    """Return what makes links of one face."""
    async with links(request.param) as make:
        yield make


class Adding:
    """Adds numbers as long as it runs; knows which were answered, and which are in doubt."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.sure: set[bytes] = set()
        self.doubtful: set[bytes] = set()

    async def run(self, lane: int, over: asyncio.Event) -> None:
        n = 0
        while not over.is_set():
            n += 1
            member = f"{lane}-{n}".encode()
            try:
                await self._link.run(SET, [KEY], [member])
                self.sure.add(member)
            except Indeterminate:
                self.doubtful.add(member)
            except BackendUnavailable:
                await asyncio.sleep(0.02)


async def _added(link: Link, through: Callable[[Adding], object]) -> Adding:
    """Add by several callers while `through` happens, and until all goes well again."""
    adding, over = Adding(link), asyncio.Event()
    lanes = [asyncio.create_task(adding.run(lane, over)) for lane in range(4)]
    try:
        await _grown(adding, 20)
        await asyncio.to_thread(through, adding)
        await _grown(adding, 20)
    finally:
        over.set()
        await asyncio.gather(*lanes)
    return adding


async def _grown(adding: Adding, by: int) -> None:
    enough = len(adding.sure) + by
    while len(adding.sure) < enough:  # noqa: ASYNC110  it changes in every turn of the loop
        await asyncio.sleep(0.01)


async def _works(url: str) -> None:
    """Send, run, order, delay and look: every script is run."""
    app = Ropeway(url)

    @app.task(name="add", limits={"few": 2})
    def add(x: int) -> int:
        return x + 1

    async with app.worker():
        jobs = [await add.using(key=f"k{n % 2}").asend(n) for n in range(10)]
        assert [await job.aresult(20) for job in jobs] == list(range(1, 11))
        later = await add.using(delay=0.2).asend(1)
        assert await later.aresult(20) == 2
    assert len((await app.store.search(Filter(task="add"))).jobs) == 11
    assert (await app.store.count(Filter(task="add"))).number == 11
    await app.store.stats(cap=10)
    await app.store.peek("default")
    await app.store.causes(Filter())
    await app.store.scan("")
    await app.store.read("log")
    await app.store.prune(Keep(), 10)
    assert add.send(5).status() == "queued"
    await app.aclose()


async def test_an_app_works_under_sentinels(watched: Watched) -> None:
    """All that it does with one server."""
    await _works(watched.url + "?namespace=app1")


async def test_an_app_works_in_a_cluster(cluster: Cluster) -> None:
    """Whatever a script touches is in the slot of its namespace."""
    await _works(cluster.url + "?namespace=app1")


# -- Sentinel --------------------------------------------------------------------------------------


async def test_sentinels_say_who_is_the_master(make: MakeLink, watched: Watched) -> None:
    """Also when the first that is asked is not there, or knows nothing of it."""
    port = watched.ports[0]
    link = make(f"redis+sentinel://{HOST}:1,{HOST}:{port}/{watched.NAME}/0")
    assert await link.run(SET, [KEY], ["a"]) >= 1
    for url, told in (
        (f"redis+sentinel://{HOST}:{port}/other/0", "knows no master 'other'"),
        (f"redis+sentinel://{HOST}:1/{watched.NAME}/0", "cannot be reached"),
        (f"redis://{HOST}:{port}/0", "is a Sentinel"),
    ):
        with pytest.raises(BackendUnavailable, match=told) as caught:
            await make(url).open()
        assert caught.value.hint


async def test_a_failover_under_load_loses_nothing_that_a_replica_had(
    make: MakeLink, watched: Watched
) -> None:
    """With `replicas=1` an answer means that the next master has it, too.

    Broken: a send returns, its master dies, and the job is gone.
    """
    link = make(watched.url + "?replicas=1&timeout=1")
    await link.wait(["a"], 0)

    def fail_over(adding: Adding) -> None:
        old = watched.master()
        old.server.kill()
        watched.promoted(old)
        old.start()
        watched.whole()

    adding = await _added(link, fail_over)
    kept = set(await link.run(MEMBERS, [KEY], []))
    assert adding.sure <= kept
    await _hears(link)


async def _hears(link: Link) -> None:
    """Hints come again, from the new master."""
    heard: list[str] = []
    while heard != ["a"]:
        await link.run(TELL, ["{ropeway}t"], [channel("ropeway", "a")])
        heard = await link.wait(["a"], 0.2)


async def test_a_master_that_was_asked_to_step_down_is_left(
    make: MakeLink, watched: Watched
) -> None:
    """An administrator's failover: callers find the new master by themselves."""
    link = make(watched.url + "?timeout=1")

    def step_down(adding: Adding) -> None:
        old = watched.master()
        said(watched.ports[0], f"SENTINEL FAILOVER {watched.NAME}")
        watched.promoted(old)
        watched.whole()

    await _added(link, step_down)
    assert (await link.command("ROLE"))[0] == b"master"


# -- Cluster ---------------------------------------------------------------------------------------


async def test_a_cluster_is_entered_by_any_node(make: MakeLink, cluster: Cluster) -> None:
    """The namespace is in one slot, and its node is found; other namespaces are elsewhere."""
    for namespace in ("ropeway", "jobs", "a.b:c"):
        key = f"{{{namespace}}}k"
        for node in cluster.nodes:
            link = make(f"redis+cluster://{HOST}:1,{HOST}:{node.port}?namespace={namespace}")
            assert await link.run(SET, [key], [node.port]) >= 1
        owner = cluster.owner(slot(namespace))
        assert said(owner.port, f"SCARD {key}") == ":4\r\n+PONG\r\n"


async def test_a_wrong_scheme_is_told(make: MakeLink, cluster: Cluster, watched: Watched) -> None:
    """A cluster is none for `redis://`, and a single server none for `redis+cluster://`."""
    node = cluster.nodes[0]
    with pytest.raises(BackendUnavailable, match="is part of a cluster") as caught:
        await make(f"redis://{HOST}:{node.port}/0").open()
    assert f"redis+cluster://{HOST}:{node.port}" in caught.value.hint
    with pytest.raises(BackendUnavailable, match="is not part of a cluster"):
        await make(f"redis+cluster://{HOST}:{watched.master().port}").open()


async def test_a_slot_that_moves_is_followed(make: MakeLink, cluster: Cluster) -> None:
    """Nothing is lost or refused when another node takes the slot over in order.

    Broken: MOVED reaches the caller, or every call goes round by the old node.
    """
    link = make(cluster.url + "?timeout=1")
    await link.wait(["a"], 0)

    def hand_over(adding: Adding) -> None:
        old = cluster.owner(slot("ropeway"))
        said(cluster.replica(old).port, "CLUSTER FAILOVER")
        cluster.promoted(old)

    adding = await _added(link, hand_over)
    assert adding.sure <= set(await link.run(MEMBERS, [KEY], []))
    await _hears(link)


async def test_a_node_that_dies_is_replaced_by_its_replica(
    make: MakeLink, cluster: Cluster
) -> None:
    """The cluster promotes it, and callers find it by the other nodes."""
    link = make(cluster.url + "?replicas=1&timeout=1")

    def kill(adding: Adding) -> None:
        old = cluster.owner(slot("ropeway"))
        old.server.kill()
        cluster.promoted(old)
        old.start()
        cluster.whole()

    adding = await _added(link, kill)
    assert adding.sure <= set(await link.run(MEMBERS, [KEY], []))


async def test_a_cluster_without_the_slot_is_down(make: MakeLink, cluster: Cluster) -> None:
    """One clear error while nobody serves the slot."""
    link = make(cluster.url + "?timeout=1")
    assert await link.run(SET, [KEY], ["x"]) >= 1
    owner = cluster.owner(slot("ropeway"))
    replica = cluster.replica(owner)
    replica.server.kill()
    owner.server.kill()

    async def told() -> str:
        try:
            await link.run(SET, [KEY], ["y"])
        except (BackendUnavailable, Indeterminate) as error:
            return str(error)
        return ""

    try:
        while not re.search("cannot be reached|a cluster that is down", await told()):
            pass
    finally:
        owner.start()
        replica.start()
        await asyncio.to_thread(cluster.whole)
    while await told():
        pass
