"""Ten minutes of heavy traffic with the dashboard open, and what many open tabs cost."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.dashboard.pictures import ask, tell
from benchmarks.dashboard.running import Served, dashboard, resident, use, workers
from benchmarks.dashboard.tabs import PAGES, Tabs
from benchmarks.processes import cpu_seconds


def memory(minutes: float, rate: float, every: float = 60.0) -> None:
    """Send for so long with every page open; tell what the dashboard holds; then restart it."""
    with tempfile.TemporaryDirectory() as home:
        use(Path(home))
        from benchmarks.dashboard import traffic

        with dashboard() as served:
            with workers(1, "--children", "2"):
                traffic.prepare()
                sent: list[int] = []
                sender = threading.Thread(
                    target=lambda: sent.extend(traffic.send(rate, minutes * 60))
                )
                sender.start()
                asyncio.run(_watched(served, minutes * 60, every))
                sender.join()
            tell(served, "queues.pause", target="mail", why="before it is killed")
            before = _told(served)
            os.kill(served.pid, signal.SIGKILL)
        with dashboard() as again:
            after = _told(again)
        print(f"{sent[-1]:,} calls were sent, and {before['jobs']:,} jobs are on record")
        others = [each for each in before if before[each] != after[each]]
        print("killed and started again:", f"other {others}" if others else "all is there")


async def _watched(served: Served, seconds: float, every: float) -> None:
    """Have every page open, and open pages and searches one after the other."""
    tabs, begun, looked, failed = Tabs(served), time.monotonic(), 0, 0
    for path in PAGES:
        tabs.open(path)
    told = begun + every
    while time.monotonic() - begun < seconds:
        path = PAGES[looked % len(PAGES)]
        if looked % 3 == 0:
            path = f"/jobs?q=args.order:{looked}"
        status, _ = await tabs.get(path)
        looked += 1
        failed += status != 200
        if time.monotonic() > told:
            told += every
            passed = time.monotonic() - begun
            print(
                f"{passed / 60:5.1f} min  {resident(served.pid):6.1f} MB"
                f"  {looked:,} pages opened, {failed} failed,"
                f" {tabs.told:,} sent to {len(PAGES)} tabs",
                flush=True,
            )
        await asyncio.sleep(0.1)
    await tabs.close()


def _told(served: Served) -> dict[str, Any]:
    """Return what must outlive the process: jobs, pauses, schedules, runs, deeds."""
    states = [f"state:{each}" for each in ("queued", "running", "failed", "quarantined")]
    return {
        "jobs": _count(),
        **{each: [job["id"] for job in ask(served, f"/jobs?q={each}")["jobs"]] for each in states},
        "queues": [(each["queue"], each["paused"]) for each in ask(served, "/queues")],
        "schedules": [
            (each["schedule"], each["state"], each["why"]) for each in ask(served, "/schedules")
        ],
        "workflows": ask(served, "/workflows"),
        "topics": ask(served, "/topics"),
        "audit": ask(served, "/audit"),
    }


def _count() -> int:
    """Count the jobs that senders know of, whatever became of them."""
    from benchmarks.dashboard.traffic import shop
    from ropeway.stepping import step
    from ropeway.store import Filter

    return step(shop.app.connection.blocking().count(Filter(), 100_000_000)).number


def tabs(number: int, seconds: float) -> None:
    """Have so many tabs open on a shop where nothing happens; tell what they cost."""
    with tempfile.TemporaryDirectory() as home:
        use(Path(home))
        from benchmarks.dashboard import traffic

        with dashboard() as served, workers(1, "--children", "1"):
            traffic.prepare()
            for _ in traffic.send(20.0, 20.0):
                pass
            time.sleep(20)
            for name, paths in (("one page", PAGES[:1]), ("every page", PAGES)):
                used = asyncio.run(_opened(served, number, paths, seconds))
                print(f"{number} tabs on {name}: {used:.2%} of a core", flush=True)


async def _opened(served: Served, number: int, paths: tuple[str, ...], seconds: float) -> float:
    opened = Tabs(served)
    for each in range(number):
        opened.open(paths[each % len(paths)])
    await asyncio.sleep(5)
    before, begun = cpu_seconds([served.pid]), time.monotonic()
    await asyncio.sleep(seconds)
    used = (cpu_seconds([served.pid]) - before) / (time.monotonic() - begun)
    print(f"  ({opened.told:,} pages sent, {opened.lost} connections lost)")
    await opened.close()
    return used
