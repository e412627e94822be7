"""Measure topics on one backend: python -m benchmarks.topics sqlite --events 1000000."""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from benchmarks.processes import Started, worker_of
from benchmarks.servers import empty, stop_all

_APP = "benchmarks.topics.topics_app"
_KEYS, _LATENCIES = 100, 200


def main() -> None:
    """Publish, read with one subscription, then with others beside it, and time single events."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("sqlite", "redis", "postgres"))
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--readers", type=int, default=10)
    parser.add_argument("--children", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as base:
        server = empty(asked.kind, Path(base), Path(base) / "server")
        os.environ["ROPEWAY_URL"] = server.url if server else f"sqlite:///{base}/jobs.db"
        os.environ["TOPICS_NOTES"] = f"{base}/notes"
        try:
            print(f"load before: {os.getloadavg()[0]:.1f}", flush=True)
            _measure(asked, Path(base))
        finally:
            if server:
                server.close()
            stop_all()


def _measure(asked: argparse.Namespace, base: Path) -> None:
    os.environ["TOPICS_READERS"] = "1"
    module = importlib.import_module(_APP)
    half = asked.events // 10
    _told("publish, empty topic", half, lambda: _publish(module, half))
    rest = asked.events - 2 * half
    _told("publish", rest, lambda: _publish(module, rest))
    _told("publish, full topic", half, lambda: _publish(module, half))
    with _worker(base, 1, asked.children):
        _read(module, "one subscription alone", 1)
        _latencies(module, base / "notes")
    with _worker(base, asked.readers + 1, asked.children):
        _read(module, f"{asked.readers} subscriptions together", asked.readers)


def _publish(module: Any, count: int) -> None:
    prices = (module.Tick(f"S{each % _KEYS}", each * 0.5) for each in range(count))
    module.ticks.publish_many(prices)


def _told(what: str, count: int, work: Callable[[], object]) -> None:
    began = time.perf_counter()
    work()
    took = time.perf_counter() - began
    print(f"{what}: {count:,} in {took:.1f} s, {count / took:,.0f}/s", flush=True)


def _worker(base: Path, readers: int, children: int) -> AbstractContextManager[Started]:
    options = ("--children", str(children))
    return worker_of(f"{_APP}:app", base, *options, TOPICS_READERS=str(readers))


def _read(module: Any, what: str, readers: int) -> None:
    began, first, behind = 0.0, 0, 1
    while behind:
        time.sleep(0.05)
        found = [each for each in module.ticks.subscriptions() if each.lag or began]
        done = sum(each.offset for each in module.ticks.subscriptions())
        if not began and len(found) >= min(readers, 1) and done:
            began, first = time.perf_counter(), done
        behind = sum(each.lag for each in found) if began else 1
    took = time.perf_counter() - began
    done = sum(each.offset for each in module.ticks.subscriptions()) - first
    print(f"{what}: {done:,} in {took:.1f} s, {done / took:,.0f}/s in total", flush=True)


def _latencies(module: Any, notes: Path) -> None:
    for _ in range(_LATENCIES):
        module.late.publish(time.time())
        time.sleep(0.02)
    time.sleep(1)
    found = sorted(float(line) * 1000 for line in notes.read_text().split())
    middle, worst = statistics.median(found), found[int(len(found) * 0.99)]
    print(f"publish to handler: p50 {middle:.2f} ms, p99 {worst:.2f} ms", flush=True)


if __name__ == "__main__":
    main()
