"""The program that sends and reads: `python -m benchmarks.client MODULE ACTION [ARGUMENT ...]`.

It runs in the library's own environment and answers with one line of JSON.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

from benchmarks.apps.verbs import Verbs
from benchmarks.timing import WARM_UP, Answer, Timed, Watched, gap, timed


def fill(verbs: Verbs, file: str, count: str) -> Answer:
    """Queue many at once, and write their ids to a file."""
    verbs.send(0)  # opens the database; nobody reads this one
    jobs: list[str] = []
    answer = timed(int(count), lambda: jobs.extend(verbs.send_many(int(count))))
    Path(file).write_text("\n".join(jobs))
    return answer


def send(verbs: Verbs, count: str) -> Answer:
    """Send one by one; the second half is timed apart too, for by then the log has started over."""
    verbs.send(0)
    whole, half = int(count), int(count) // 2
    measured = Timed(whole)
    for i in range(half):
        verbs.send(i)
    later = Timed(whole - half)
    for i in range(half, whole):
        verbs.send(i)
    return {**measured.answer(), "later_us": later.answer()["us"]}


def send_by_threads(verbs: Verbs, count: str, threads: str) -> Answer:
    """Send from several threads at once."""
    verbs.send(0)
    share = int(count) // int(threads)

    def work() -> None:
        with ThreadPoolExecutor(int(threads)) as pool:
            list(pool.map(lambda _: [verbs.send(i) for i in range(share)], range(int(threads))))

    return timed(share * int(threads), work)


def send_by_coroutines(verbs: Verbs, count: str, coroutines: str) -> Answer:
    """Send from several coroutines of one loop."""
    share = int(count) // int(coroutines)

    async def one() -> None:
        for i in range(share):
            await verbs.asend(i)

    async def main() -> Answer:
        await verbs.asend(0)
        measured = Timed(share * int(coroutines))
        await asyncio.gather(*(one() for _ in range(int(coroutines))))
        return measured.answer()

    return asyncio.run(main())


def check(verbs: Verbs, file: str) -> Answer:
    """Read back every result of `fill`."""
    jobs = Path(file).read_text().split()
    values: list[int] = []
    answer = timed(len(jobs), lambda: values.extend(verbs.result(job, 30.0) for job in jobs))
    wrong = [i for i, value in enumerate(values) if value != 2 * i]
    if wrong:
        raise SystemExit(f"{len(wrong)} results are wrong, the first is that of job {wrong[0]}")
    return answer


def latency(verbs: Verbs, rounds: str, verb: str = "round_trip") -> Answer:
    """Round trips with random gaps, the first few not counted."""
    there_and_back = getattr(verbs, verb)
    took: list[float] = []
    for number in range(int(rounds) + WARM_UP):
        time.sleep(gap())
        start = time.perf_counter()
        value = there_and_back(number)
        took.append(time.perf_counter() - start)
        assert value == 2 * number
    return {"seconds": took[WARM_UP:]}


def starts(verbs: Verbs, rounds: str) -> Answer:
    """From before a send to the begin of its run, with random gaps, the first few not counted."""
    watched = Watched()
    for number in range(int(rounds) + WARM_UP):
        time.sleep(gap())
        watched.sends()
        verbs.send(number)
        while not watched.has_started():
            time.sleep(watched.LOOK)
    return watched.answer()


def alatency(verbs: Verbs, rounds: str) -> Answer:
    """The same by the verbs for async code."""

    async def main() -> list[float]:
        took: list[float] = []
        for number in range(int(rounds) + WARM_UP):
            await asyncio.sleep(gap())
            start = time.perf_counter()
            value = await verbs.around_trip(number)
            took.append(time.perf_counter() - start)
            assert value == 2 * number
        return took[WARM_UP:]

    return {"seconds": asyncio.run(main())}


def keep_sending(verbs: Verbs, go: str) -> Answer:
    """Send one by one from when a file appears until it is gone."""
    took: list[float] = []
    verbs.send(1)
    while not os.path.exists(go):
        time.sleep(0.002)
    while os.path.exists(go):
        start = time.perf_counter()
        verbs.send(1)
        took.append(time.perf_counter() - start)
    return {"seconds": took}


def block(verbs: Verbs, seconds: str) -> Answer:
    """Wait for a result that does not come."""
    verbs.wait_in_vain(float(seconds))
    return {}


def poison(verbs: Any, way: str) -> Answer:
    """Send a call that kills its process; of ropeway alone."""
    return {"job": verbs.poison(way)}


def states(verbs: Any) -> Answer:
    """Count jobs by their state; of ropeway alone."""
    counted: Answer = verbs.states()
    return counted


def facts(verbs: Verbs) -> Answer:
    """Versions and the like."""
    return verbs.facts()


ACTIONS: dict[str, Callable[..., Answer]] = {
    action.__name__: action
    for action in (
        fill,
        send,
        send_by_threads,
        send_by_coroutines,
        check,
        latency,
        starts,
        alatency,
        keep_sending,
        block,
        poison,
        states,
        facts,
    )
}


def main(arguments: list[str]) -> None:
    """Do one thing and print what came of it."""
    module, action, *rest = arguments
    verbs = cast("Verbs", importlib.import_module(f"benchmarks.apps.{module}"))
    answer = ACTIONS[action](verbs, *rest)
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(0)
