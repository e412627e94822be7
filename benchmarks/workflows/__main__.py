"""Measure workflows on one backend: python -m benchmarks.workflows redis --steps 1000 --items 10000."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.processes import Started, cpu_seconds, worker_of
from benchmarks.servers import Serving, empty, stop_all

_APP = "benchmarks.workflows.workflows_app"
_PATIENCE = 600.0


def main() -> None:
    """Run chains of steps, then maps with a reduce in turn with as many plain tasks; then the peer's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("sqlite", "redis", "postgres"))
    parser.add_argument("--steps", type=int, default=1_000)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--children", type=int, default=1)
    parser.add_argument("--peer", choices=("celery",), help="on the same server; with redis only")
    default = Path(os.environ.get("BENCH_VENVS", tempfile.gettempdir())) / "ropeway-bench-venvs"
    parser.add_argument("--venvs", type=Path, default=default)
    asked = parser.parse_args()
    if asked.peer and asked.kind != "redis":
        parser.error(f"--peer {asked.peer} is compared on redis")
    with tempfile.TemporaryDirectory() as base:
        server = empty(asked.kind, Path(base), Path(base) / "server")
        os.environ["ROPEWAY_URL"] = server.url if server else f"sqlite:///{base}/jobs.db"
        try:
            print(f"load before: {os.getloadavg()[0]:.1f}", flush=True)
            took = _measure(asked, Path(base), server)
            if asked.peer and server:
                _peer(asked, server, Path(base), took)
        finally:
            if server:
                server.close()
            stop_all()


def _measure(asked: argparse.Namespace, base: Path, server: Serving | None) -> tuple[float, float]:
    """Print all figures; returns the seconds of the chain and of the map."""
    module = importlib.import_module(_APP)
    works: dict[str, Callable[[], None]] = {
        "plain": lambda: _plain(module, asked.items),
        "map": lambda: _map(module, asked.items),
    }
    with worker_of(f"{_APP}:app", base, "--children", str(asked.children)) as worker:
        assert module.step.send(0).result(_PATIENCE) == 1
        chains = [
            _costs(worker, server, lambda: _chain(module, asked.steps)) for _ in range(asked.rounds)
        ]
        took = ", ".join(f"{seconds / asked.steps * 1e3:.2f}" for seconds, _ in chains)
        cost = ", ".join(f"{used / asked.steps * 1e6:.0f}" for _, used in chains)
        print(f"chain of {asked.steps:,}: {took} ms a step, CPU {cost} us a step", flush=True)
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
        for _ in range(asked.rounds):
            for name, work in works.items():
                seconds, used = _costs(worker, server, work)
                found[name].append((seconds, used))
                each = used / asked.items * 1e6
                print(f"{name} of {asked.items:,}: {seconds:.2f} s, CPU {each:.0f} us each")
    plain, mapped = (statistics.median(used for _, used in found[name]) for name in works)
    print(
        f"an item of a map costs {100 * (mapped / plain - 1):+.0f} % beside a plain task",
        flush=True,
    )
    return min(chains)[0], min(found["map"])[0]


def _chain(module: Any, steps: int) -> None:
    with module.app.workflow("chain") as wf:
        last = wf.add(module.first.call())
        for _ in range(steps):
            last = wf.add(module.step.call(last))
    assert wf.send().result(_PATIENCE) == steps


def _plain(module: Any, items: int) -> None:
    jobs = module.app.send_many(module.one.call(each) for each in range(items))
    assert sum(job.result(_PATIENCE) for job in jobs) == items * (items - 1) // 2


def _map(module: Any, items: int) -> None:
    with module.app.workflow("map") as wf:
        parts = wf.map(module.one, wf.add(module.many.call(items)))
        wf.add(module.total.call(parts))
    assert wf.send().result(_PATIENCE) == items * (items - 1) // 2


def _costs(
    worker: Started, server: Serving | None, work: Callable[[], None]
) -> tuple[float, float]:
    """Return the seconds that some work takes, and the processor time of all who take part in it."""

    def so_far() -> float:
        own = resource.getrusage(resource.RUSAGE_SELF)
        of_server = server.cpu_seconds() if server else 0.0
        return cpu_seconds(worker.tree()) + own.ru_utime + own.ru_stime + of_server

    began, before = time.perf_counter(), so_far()
    work()
    seconds = time.perf_counter() - began
    time.sleep(0.5)  # what is settled behind the last result belongs to it
    return seconds, so_far() - before


def _peer(
    asked: argparse.Namespace, server: Serving, base: Path, took: tuple[float, float]
) -> None:
    """Have Celery do the same on the same server, and say how many times as long it takes."""
    python = asked.venvs / "redis-celery" / "bin" / "python"
    folder = Path(__file__).parent
    environment = os.environ | {"PEER_URL": server.url, "PYTHONPATH": str(folder)}
    command = [
        str(python),
        "-m",
        "celery",
        "-A",
        "celery_flows",
        "worker",
        "-c",
        "2",
        "-l",
        "ERROR",
    ]
    worker = Started(command, folder=base, env=environment)
    try:
        command = [str(python), "celery_flows.py", str(asked.steps), str(asked.items)]
        said = subprocess.check_output(command, cwd=folder, env=environment, text=True)
    finally:
        worker.stop()
    found = [json.loads(line) for line in said.splitlines()]
    chain = min(seconds for what, _, seconds in found if what == "chain")
    chord = min(seconds for what, _, seconds in found if what == "chord")
    each = chain / asked.steps * 1e3
    print(f"Celery's chain: {each:.2f} ms a step, {chain / took[0]:.1f} times as long")
    print(f"Celery's chord: {chord:.2f} s, {chord / took[1]:.1f} times as long", flush=True)


if __name__ == "__main__":
    main()
