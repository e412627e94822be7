"""A program that sends its share of a workload: `python -m chaos.producer RUN INDEX BEGIN`."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from chaos import tasks
from chaos.evidence import POISON, load_setup
from chaos.history import History, now
from chaos.workload import Item, draw, share
from ropeway.calls import Call
from ropeway.errors import BackendUnavailable, Backpressure, RopewayError

_PATIENCE = 60.0
"""Seconds for which a call is asked for again: longer than any outage lasts."""

_LARGEST = 50


class Producer:
    """Writes down what it is about to ask for, asks, and writes down the answer."""

    def __init__(self, history: History) -> None:
        self._history = history

    async def send(self, items: Sequence[Item]) -> None:
        """Send calls, again and unchanged until there is an answer."""
        calls = [(item, _call(item)) for item in items]
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if await self._try(calls):
                return
            await asyncio.sleep(0.2)

    async def _try(self, calls: Sequence[tuple[Item, Call[str]]]) -> bool:
        for item, call in calls:
            digest = tasks.digest_of(item.payload)
            note = POISON if item.task == POISON else ""
            self._history.log("invoke", "send", id=call.message.id, n=item.n, v=digest, note=note)
        try:
            await tasks.app.asend_many(call for _, call in calls)
        except RopewayError as error:
            # Of several calls some may have been sent; one was refused, or nobody knows.
            definite = len(calls) == 1 and isinstance(error, (BackendUnavailable, Backpressure))
            for _, call in calls:
                note = type(error).__name__
                self._history.log(
                    "fail" if definite else "info", "send", id=call.message.id, note=note
                )
            return False
        for _, call in calls:
            self._history.log("ok", "send", id=call.message.id)
        return True


def _call(item: Item) -> Call[str]:
    arguments = (item.n, item.payload, item.pause, item.fails)
    if item.task in tasks.COROUTINES:
        return tasks.COROUTINES[item.task].call(*arguments)
    return tasks.PLAIN[item.task].call(*arguments)


async def _in_one_call(producer: Producer, late: Sequence[Item]) -> None:
    await producer.send(late)


async def _by_coroutines(producer: Producer, late: Sequence[Item]) -> None:
    await asyncio.gather(*(producer.send([item]) for item in late))


STYLES = ((1, _in_one_call), (_LARGEST, _in_one_call), (_LARGEST, _by_coroutines))
"""The ways to send what is due, which the producers take in turn: how much at most, and how."""


async def produce(items: Sequence[Item], producer: Producer, begin: int, index: int) -> None:
    """Send each item when it is due; what is late goes at once."""
    most, send = STYLES[index % len(STYLES)]
    for late in _when_due(items, begin, most):
        await send(producer, late)


def _when_due(items: Sequence[Item], begin: int, most: int) -> Iterator[Sequence[Item]]:
    done = 0
    while done < len(items):
        elapsed = (now() - begin) / 1e9
        if items[done].at > elapsed:
            time.sleep(min(items[done].at - elapsed + 0.01, 1.0))
            continue
        late = [item for item in items[done : done + most] if item.at <= elapsed]
        yield late
        done += len(late)


def main(run: str, index: str, begin: str) -> None:
    """Send what falls to this producer."""
    folder = Path(run)
    setup = load_setup(folder)
    items = share(draw(setup.seed, setup.profile), int(index), setup.profile.producers)
    producer = Producer(History(folder / "history", "producer"))
    asyncio.run(produce(items, producer, int(begin), int(index)))


if __name__ == "__main__":
    main(*sys.argv[1:])
