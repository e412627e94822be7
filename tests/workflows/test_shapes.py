"""What a workflow can look like, and what becomes of it: on memory and SQLite alike."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from ropeway import group
from ropeway.bulk import cancelling, change
from ropeway.errors import BadArguments, BadWorkflow, Refused, RunFailed, RunNotFound
from ropeway.operate.purge import purge
from ropeway.store import Filter
from ropeway.workflows.sending import begin_sketched, encode_sketch
from tests.conftest import AsyncEventually
from tests.workflows.shop import Shop


async def test_results_are_arguments(shop: Shop) -> None:
    """A node among arguments, also deep in them, is waited for, and its result is what arrives.

    Broken: a task runs before what it needs, with something else, or twice.
    """
    with shop.app.workflow("etl") as wf:
        raw = wf.add(shop.numbers.call(5))
        parts = wf.map(shop.double, raw)
        one, two = wf.add(shop.double.call(50)), wf.add(shop.double.call(500))
        wf.add(shop.total.call(parts, {"one": one, "two": two, "three": 3}))
    run = await wf.asend()
    async with shop.app.worker():
        assert await run.aresult(10) == 20 + 100 + 1000 + 3
    assert await run.astatus() == "succeeded"
    assert shop.ran == Counter(
        ["numbers", *(f"double[{n}]" for n in range(5)), "double-2", "double-3", "total"]
    )
    assert shop.runs == {run.id}
    found = await shop.app.store.search(Filter(id_prefix=run.id[:24]), limit=100)
    assert {each.message.headers["run"] for each in found.jobs} == {run.id}


async def test_chains_and_groups(shop: Shop) -> None:
    """`|` passes a result on to a task, and only orders calls; a group's results are a list."""
    passed = await (shop.numbers.call(4) | shop.total | shop.double).asend()
    ordered = await (shop.say.call("a") | shop.say.call("b")).asend()
    fanned = await (group(shop.double.call(n) for n in range(4)) | shop.total).asend()
    each = await group(shop.double.call(1), shop.say.call("x") | shop.say).asend()
    async with shop.app.worker():
        assert await passed.aresult(10) == 12
        assert await ordered.aresult(10) == "b"
        assert await fanned.aresult(10) == 12
        assert await each.aresult(10) == [2, "x"]


async def test_maps_of_maps_of_nothing_and_of_a_list(shop: Shop) -> None:
    """A map runs over a list, over another map's results, and over nothing at all."""
    with shop.app.workflow("maps") as wf:
        wf.add(shop.total.call(wf.map(shop.double, wf.map(shop.double, [1, 2, 3]))))
        wf.add(shop.total.call(wf.map(shop.double.using(priority=9), wf.add(shop.numbers.call(0)))))
        wf.map(shop.double, [5, 6], name="last")
    run = await wf.asend()
    async with shop.app.worker():
        assert await run.aresult(10) == [24, 0, [10, 12]]


async def test_branches(shop: Shop) -> None:
    """What is left out by a condition is no failure, and `either` takes the branch that ran."""
    with shop.app.workflow("branches") as wf:
        flag = wf.add(shop.truth.call(value=False))
        yes = wf.add(shop.say.call("yes"), name="yes", when=flag)
        behind = wf.add(shop.say.call(yes), name="behind")
        no = wf.add(shop.say.call("no"), name="no", unless=flag)
        wf.add(shop.say.call(wf.either(behind, no)), name="last")
    run = await wf.asend()
    async with shop.app.worker():
        assert await run.aresult(10) == "no"
    states = await shop.states(run)
    assert (states["yes"], states["behind"], states["no"]) == ("skipped", "skipped", "succeeded")
    assert await run.astatus() == "succeeded"


async def test_a_failure_in_the_middle(shop: Shop) -> None:
    """The rest of its branch does not run, handlers do, and the run says where it comes from.

    Broken: something runs without what it needs, or a run hangs, or ends as if all were well.
    """
    shop.bad = {3}
    with shop.app.workflow("order") as wf:
        items = wf.map(shop.fragile, wf.add(shop.numbers.call(6)), name="check")
        wf.add(shop.total.call(wf.map(shop.double, items)))
        other = wf.add(shop.say.call("other"), name="other")
        wf.on_failure(shop.say.call("compensate"), name="compensate", of=["total"])
        wf.on_failure(shop.say.call("unused"), name="unused", of=[wf.node(other)])
        wf.always(shop.say.call("clean"), name="clean")
    run = await wf.asend()
    async with shop.app.worker():
        with pytest.raises(RunFailed, match=r"check\[3\]: ValueError: 3 is bad"):
            await run.aresult(10)
    assert await run.astatus() == "failed"
    assert await shop.states(run) == {
        "numbers": "succeeded",
        "check": "failed",
        "double": "cancelled",
        "total": "cancelled",
        "other": "succeeded",
        "compensate": "succeeded",
        "unused": "skipped",
        "clean": "succeeded",
    }
    (total,) = [each for each in (await run.agraph()).nodes if each.name == "total"]
    assert "check has failed items" in total.reason


async def test_retry_runs_what_failed_and_what_follows(shop: Shop) -> None:
    """`retry` runs the failed items and what follows from them, nothing else, as often as asked."""
    shop.bad = {2, 4}
    with shop.app.workflow("again") as wf:
        items = wf.map(shop.fragile, wf.add(shop.numbers.call(5)), name="check")
        wf.add(shop.total.call(items))
        wf.always(shop.say.call("clean"), name="clean")
    run = await wf.asend()
    async with shop.app.worker():
        with pytest.raises(RunFailed, match=r"check\[2\].*check\[4\]"):
            await run.aresult(10)
        shop.bad = {4}
        await run.aretry()
        with pytest.raises(RunFailed, match=r"failed: check\[4\]"):
            await run.aresult(10)
        shop.bad = set()
        await run.aretry()
        assert await run.aresult(10) == 10
        with pytest.raises(Refused, match="nothing"):
            await run.aretry()
        assert shop.ran["check[1]"] == 1 and shop.ran["numbers"] == 1
        assert (shop.ran["check[2]"], shop.ran["check[4]"]) == (2, 3)
        assert shop.ran["clean"] == 3 and shop.ran["total"] == 1
        await run.aretry(from_node="check")
        assert await run.aresult(10) == 10
        assert shop.ran["check[1]"] == 2 and shop.ran["numbers"] == 1
        with pytest.raises(BadWorkflow, match="no node 'chek'"):
            await run.aretry(from_node="chek")


async def test_cancel_reaches_all(shop: Shop, aeventually: AsyncEventually) -> None:
    """Nothing of a cancelled run begins; what runs is interrupted; `retry` goes on from there."""
    with shop.app.workflow("long") as wf:
        first = wf.add(shop.wait_for_gate.call(1), name="first")
        wf.map(shop.double, [1, 2], name="after", after=wf.node(first))
        wf.add(shop.say.call("sent"), name="sent")
    run = await wf.asend()
    async with shop.app.worker():
        await aeventually(lambda: shop.ran["first"] == 1 and shop.ran["sent"] == 1)
        assert await run.acancel() == "cancelled"
        assert await run.acancel() == "ended"
        with pytest.raises(RunFailed, match="cancelled"):
            await run.aresult(5)

        async def first_is_over() -> bool:
            return (await shop.states(run))["first"] == "cancelled"

        await aeventually(first_is_over)
        shop.gate.set()
        await run.aretry()
        assert await run.aresult(10) == [[2, 4], "sent"]
    assert shop.ran == {"first": 2, "sent": 1, "after[0]": 1, "after[1]": 1}


@pytest.mark.parametrize("how", ["running", "waiting", "many", "purge"])
async def test_a_node_that_somebody_cancels(
    shop: Shop, how: str, aeventually: AsyncEventually
) -> None:
    """The run of a node whose job is cancelled, whichever way, ends as failed and says so.

    Broken: it waits for ever for what nobody runs.
    """
    with shop.app.workflow("cut", queue="cut") as wf:
        first = wf.add(shop.wait_for_gate.using(delay=0 if how == "running" else 60).call(1))
        wf.add(shop.double.call(first))
    run, store = await wf.asend(), shop.app.store
    job_id = (await run.agraph()).nodes[0].job_id
    async with shop.app.worker():
        match how:
            case "running":
                await aeventually(lambda: shop.ran["wait_for_gate"] == 1)
                assert await shop.app.job(job_id).acancel() == "asked"
            case "waiting":
                assert await shop.app.job(job_id).acancel() == "cancelled"
            case "many":
                assert (await change(store, [job_id], cancelling(60.0))).done == 1
            case _:
                assert await purge(store, "cut", 60.0) == 1
        with pytest.raises(RunFailed, match="wait_for_gate: Cancelled"):
            await run.aresult(10)
    assert shop.ran["double"] == 0


async def test_pause_and_resume(shop: Shop, aeventually: AsyncEventually) -> None:
    """While a run is paused what runs ends, and nothing begins; paused twice it goes on once."""
    with shop.app.workflow("paused") as wf:
        first = wf.add(shop.wait_for_gate.call(1), name="first")
        wf.add(shop.double.call(first))
        wf.add(shop.say.using(delay=0.2).call("late"), name="late")
    run = await wf.asend()
    async with shop.app.worker():
        await aeventually(lambda: shop.ran["first"] == 1)
        assert await run.apause() and await run.aresume()
        assert await run.apause() and not await run.apause()
        shop.gate.set()

        async def first_is_over() -> bool:
            return (await shop.states(run))["first"] == "succeeded"

        await aeventually(first_is_over)
        await asyncio.sleep(0.4)
        assert (await run.astatus(), sum(shop.ran.values())) == ("paused", 1)
        assert await run.aresume() and not await run.aresume()
        assert await run.aresult(10) == [2, "late"]


async def test_signals(shop: Shop, aeventually: AsyncEventually) -> None:
    """What a run waits for may come before or after that; the first counts; late is a failure."""
    with shop.app.workflow("approval") as wf:
        first = wf.add(shop.wait_for_gate.call(1), name="first")
        by = wf.signal("approved", str, timeout=60, after=wf.node(first))
        wf.add(shop.say.call(by))
    early, late = await wf.asend(), await wf.asend()
    with shop.app.workflow("timeout") as wf:
        wf.add(shop.say.call(wf.signal("approved", str, timeout=0.1)), name="never")
        wf.on_failure(shop.say.call("expired"), name="expired")
    never = await wf.asend()
    with shop.app.workflow("not waited for") as wf:
        bad = wf.add(shop.fragile.call(1))
        wf.signal("approved", str, after=wf.node(bad))
    skipped, shop.bad = await wf.asend(), {1}
    await early.asignal("approved", "ann")
    with pytest.raises(Refused, match="before"):
        await early.asignal("approved", "bob")
    with pytest.raises(BadArguments, match="waits for no signal 'aproved'"):
        await late.asignal("aproved", "bob")
    async with shop.app.worker():
        shop.gate.set()
        assert await early.aresult(10) == "ann"

        async def waits() -> bool:
            return (await shop.states(late))["approved"] == "running"

        await aeventually(waits)
        await late.asignal("approved", "eve")
        assert await late.aresult(10) == "eve"
        with pytest.raises(RunFailed, match="approved: SignalTimeout"):
            await never.aresult(10)
        with pytest.raises(RunFailed, match="1 is bad"):
            await skipped.aresult(10)
    assert shop.ran["expired"] == 1 and shop.ran["never"] == 0
    with pytest.raises(Refused, match="succeeded"):
        await late.asignal("approved", "eve")


async def test_sleeping(shop: Shop) -> None:
    """A sleep begins when what is before it has ended, or lasts until a date."""
    until = datetime.now(UTC) + timedelta(seconds=0.3)
    with shop.app.workflow("slow") as wf:
        first = wf.add(shop.say.call("a"), name="a")
        wf.sleep(0.2, after=wf.node(first))
        wf.sleep(until=until)
        wf.add(shop.say.call("b"), name="b", after=["sleep", "sleep-2"])
    run = await wf.asend()
    async with shop.app.worker():
        assert await run.aresult(10) == "b"
    assert datetime.now(UTC) >= until


async def test_tasks_that_return_more_work(shop: Shop) -> None:
    """A chain, and workflows within workflows, take the place of the node that returned them.

    Broken: what follows begins too early, or with something else than their result.
    """
    with shop.app.workflow("dynamic") as wf:
        wf.add(shop.double.call(wf.add(shop.more.call(5))))
        wf.add(shop.tree.call(3))
    run, other = await wf.asend(), await shop.say.asend("x")
    async with shop.app.worker():
        assert await run.aresult(20) == [64, 8]
        nodes = {each.name: each for each in (await run.agraph()).nodes}
        assert await shop.app.job(nodes["tree"].job_id).aresult(5) == 8
        inner = shop.app.run(nodes["more"].inner or "")
        assert await inner.aresult(5) == 32
    assert shop.runs - {None} == {run.id}
    # And a search for the run finds them all: those of its nodes, and what is in their place.
    assert await shop.found(f"run:{run.id}") == await shop.found("") - {other.id}
    assert {each[:24] for each in await shop.found(f"run:{inner.id}")} == {inner.id[:24]}


async def test_more_work_that_fails(shop: Shop) -> None:
    """The failure of what a node returned is its own: what follows does not run, and it is told."""

    @shop.app.task(name="grow")
    async def grow() -> object:
        return shop.fragile.call(7)

    shop.bad = {7}
    with shop.app.workflow("dynamic") as wf:
        wf.add(shop.say.call("x"), name="behind", after=wf.node(wf.add(grow.call())))
    run = await wf.asend()
    async with shop.app.worker():
        with pytest.raises(RunFailed, match=r"grow: RunFailed: fragile: ValueError: 7 is bad"):
            await run.aresult(10)
        shop.bad = set()
        await run.aretry()
        assert await run.aresult(10) == "x"


async def test_a_run_that_is_not_there(shop: Shop) -> None:
    """Nothing is made of an id that nobody sent."""
    with pytest.raises(RunNotFound):
        await shop.app.run("01a21ccd-a5c2-761a-99cc-000000000000").astatus()


async def test_a_workflow_is_called(shop: Shop) -> None:
    """A call begins one run however often it is sent, also a large one, and from a schedule."""
    with shop.app.workflow("called") as wf:
        wf.add(shop.total.call([wf.add(shop.double.call(n)) for n in range(300)]))
    call = wf.call()
    (job,) = await shop.app.asend_many([call])
    await shop.app.asend_many([call])
    await shop.app.schedules.aadd("nightly", wf.call(), every="1d")
    scheduled = await shop.app.schedules.arun_now("nightly")
    async with shop.app.worker():
        run = shop.app.run(await job.aresult(20))
        assert await run.aresult(20) == sum(2 * n for n in range(300))
        other = shop.app.run(await scheduled.aresult(20))
        assert await other.aresult(20) == sum(2 * n for n in range(300)) and other != run
    assert shop.ran["total"] == 2 and max(shop.ran.values()) == 2
    await begin_sketched(shop.app, encode_sketch(wf.built()), job.id)
    assert await run.astatus() == "succeeded"
