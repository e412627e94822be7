"""Who is measured on RabbitMQ, each in the quick configuration that its own pages recommend.

Beside each is how its sends are answered, and in which kind of queue they rest. `share` is of our
number of tasks, by what each drained in a trial.
"""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from benchmarks.apps.verbs import DRAMATIQ_CONFIRMED
from benchmarks.contender import HERE, RABBITMQ, SQLITE, Contender
from benchmarks.environment import environment
from benchmarks.lineups import served
from benchmarks.lineups.served import LATE, PROCESSES, peer

_EVERY = frozenset({"drain", "send", "bulk", "latency"})
_SAFE = f"{LATE}, quorum queue, sends confirmed"


def ropeway() -> list[Contender]:
    """Workers of ropeway with RabbitMQ before Redis, then before SQLite."""
    bare, coroutine, usual = served.ropeway(RABBITMQ)
    on_redis = [
        replace(bare, scenarios=_EVERY - {"latency"}, promise=_SAFE),
        replace(coroutine, promise=_SAFE),
        replace(usual, scenarios=frozenset({"drain", "latency"}), promise=f"{_SAFE}, kept"),
    ]
    named = [replace(each, name=f"{each.name} + Redis") for each in on_redis]
    on_sqlite = [replace(each, name=f"{each.name} + SQLite", store=SQLITE) for each in on_redis]
    return [*named, *on_sqlite]


def tarsk(venvs: Path) -> list[Contender]:
    """A core in Rust; two children with 100 slots each."""
    tools = environment(venvs / "rabbitmq-tarsk", "tarsk-amqp") / "bin"
    slots = ("--children", str(PROCESSES), "--slots", "100")
    where = ("--app", "benchmarks.apps.tarsk_app:app")
    worker = ("tarsk", "worker", "--broker", HERE, *where, *slots)
    promise = f"{LATE}, classic queue"
    plain = peer(
        RABBITMQ, tools, "tarsk", "tarsk_app", worker, 0.3, promise=promise, coroutines=False
    )
    return [replace(plain, scenarios=_EVERY)]


def taskiq(venvs: Path) -> list[Contender]:
    """100 at once in each of two processes, of 200 taken ahead."""
    packages = ("taskiq-redis", "uvloop", "hiredis", "taskiq-aio-pika")
    tools = environment(venvs / "rabbitmq-taskiq", *packages) / "bin"
    at_once = ("--max-async-tasks", "100", "--max-prefetch", "100", "--log-level", "WARNING")
    where = "benchmarks.apps.taskiq_app:broker"
    worker = ("taskiq", "worker", where, "-w", str(PROCESSES), *at_once)
    plain = peer(RABBITMQ, tools, "Taskiq", "taskiq_app", worker, 0.1, promise=_SAFE)
    return [replace(plain, scenarios=_EVERY)]


def dramatiq(venvs: Path) -> list[Contender]:
    """Two processes with 8 threads each; as it comes, and with sends that are confirmed."""
    packages = ("hiredis", "dramatiq[redis,rabbitmq]")
    tools = environment(venvs / "rabbitmq-dramatiq", *packages) / "bin"
    worker = ("dramatiq", "benchmarks.apps.dramatiq_app", "-p", str(PROCESSES), "-t", "8")
    promise = f"{LATE}, classic queue, sends not confirmed"
    usual = peer(
        RABBITMQ, tools, "Dramatiq", "dramatiq_app", worker, 0.1, promise=promise, coroutines=False
    )
    confirmed = replace(
        usual,
        name="Dramatiq, confirmed",
        promise=f"{LATE}, classic queue, sends confirmed",
        env={DRAMATIQ_CONFIRMED: "1"},
        scenarios=frozenset({"send", "bulk"}),
    )
    return [replace(usual, scenarios=_EVERY), confirmed]


PEERS = (tarsk, taskiq, dramatiq)
