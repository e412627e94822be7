"""Who is measured on Redis, each in the quick configuration that its own pages recommend.

Results are off in drains where a library can do without. `share` is of our number of tasks, by what
each drained in a trial.
"""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from benchmarks.apps.verbs import CELERY_LATE, TASKIQ_STREAM
from benchmarks.contender import HERE, REDIS, Contender
from benchmarks.environment import environment, newer_python
from benchmarks.lineups.served import EARLY, EVERY, LATE, PROCESSES, peer
from benchmarks.several import command as several


def tarsk(venvs: Path) -> list[Contender]:
    """A core in Rust; two children with 100 slots each."""
    tools = environment(venvs / "redis-tarsk", "tarsk-redis") / "bin"
    slots = ("--children", str(PROCESSES), "--slots", "100")
    where = ("--app", "benchmarks.apps.tarsk_app:app")
    worker = ("tarsk", "worker", "--broker", HERE, *where, *slots)
    plain = peer(REDIS, tools, "tarsk", "tarsk_app", worker, 0.5, coroutines=False)
    return [replace(plain, scenarios=EVERY | {"backlog"})]


def ardiq(venvs: Path) -> list[Contender]:
    """A core in Rust; it always keeps results."""
    python = newer_python("ardiq")
    tools = environment(venvs / "redis-ardiq", "uvloop", "ardiq", python=python) / "bin"
    worker = ("ardiq", "run", "-q", "-w", str(PROCESSES), "benchmarks.apps.ardiq_app:app")
    promise = f"{LATE}, result kept"
    plain = peer(REDIS, tools, "ardiq", "ardiq_app", worker, 0.4, promise=promise)
    return [replace(plain, scenarios=EVERY | {"backlog"})]


def mayu(venvs: Path) -> list[Contender]:
    """A core in Rust; with the lock of the interpreter, so as processes."""
    tools = environment(venvs / "redis-mayu", "mayu", python=newer_python("mayu")) / "bin"
    where = "benchmarks.apps.mayu_app:app"
    worker = ("mayu", "worker", where, "--processes", str(PROCESSES), "--log-level", "WARNING")
    return [peer(REDIS, tools, "mayu", "mayu_app", worker, 0.3, coroutines=False)]


def taskiq(venvs: Path) -> list[Contender]:
    """With a list, which is its quickest broker, and with a stream."""
    packages = ("taskiq-redis", "uvloop", "hiredis", "taskiq")
    tools = environment(venvs / "redis-taskiq", *packages) / "bin"
    at_once = ("--max-async-tasks", "100", "--max-prefetch", "100", "--log-level", "WARNING")
    where = "benchmarks.apps.taskiq_app:broker"
    worker = ("taskiq", "worker", where, "-w", str(PROCESSES), *at_once)
    plain = peer(REDIS, tools, "Taskiq, list", "taskiq_app", worker, 0.1, promise=EARLY)
    stream = replace(plain, name="Taskiq, stream", promise=LATE, env={TASKIQ_STREAM: "1"})
    return [plain, stream]


def saq(venvs: Path) -> list[Contender]:
    """20 at once in each process: for each more it has a connection to the server."""
    # It imports typing_extensions, and does not say so.
    packages = ("typing-extensions", "uvloop", "saq[hiredis]")
    tools = environment(venvs / "redis-saq", *packages) / "bin"
    worker = ("saq", "benchmarks.apps.saq_app.settings", "--workers", str(PROCESSES), "--quiet")
    return [peer(REDIS, tools, "SAQ", "saq_app", worker, 0.06)]


def streaq(venvs: Path) -> list[Contender]:
    """100 at once in each process, on uvloop."""
    tools = environment(venvs / "redis-streaq", "uvloop", "hiredis", "streaq") / "bin"
    worker = ("streaq", "run", "-w", str(PROCESSES), "benchmarks.apps.streaq_app:worker")
    return [peer(REDIS, tools, "streaq", "streaq_app", worker, 0.03)]


def arq(venvs: Path) -> list[Contender]:
    """200 at once in each process, and a look every 10 ms."""
    tools = environment(venvs / "redis-arq", "uvloop", "hiredis", "arq") / "bin"
    worker = ("arq", "benchmarks.apps.arq_app.WorkerSettings")
    plain = peer(REDIS, tools, "arq", "arq_app", worker, 0.04)
    return [replace(plain, worker=several(PROCESSES, *plain.worker))]


def rq(venvs: Path) -> list[Contender]:
    """As it comes, which is a fork for each task, and with its worker that does not fork."""
    tools = environment(venvs / "redis-rq", "hiredis", "rq") / "bin"
    worker = ("rq", "worker-pool", "-n", str(PROCESSES), "-u", HERE, "-q")
    plain = peer(REDIS, tools, "RQ", "rq_app", worker, 0.005, promise=EARLY, coroutines=False)
    simple = replace(
        plain,
        name="RQ, no fork",
        worker=plain.started_with("-w", "rq.worker.SimpleWorker"),
        scenarios=frozenset({"drain", "latency"}),
        share=0.02,
    )
    return [plain, simple]


def huey(venvs: Path) -> list[Contender]:
    """Two processes, each blocked in a pop."""
    tools = environment(venvs / "redis-huey", "redis", "hiredis", "huey") / "bin"
    where = "benchmarks.apps.huey_redis_app.queue"
    worker = ("huey_consumer", where, "-q", "-k", "process", "-w", str(PROCESSES))
    plain = peer(
        REDIS, tools, "huey", "huey_redis_app", worker, 0.1, promise=EARLY, coroutines=False
    )
    return [replace(plain, scenarios=EVERY)]


def dramatiq(venvs: Path) -> list[Contender]:
    """Two processes with 8 threads each, which is its default."""
    tools = environment(venvs / "redis-dramatiq", "hiredis", "dramatiq[redis]") / "bin"
    worker = ("dramatiq", "benchmarks.apps.dramatiq_app", "-p", str(PROCESSES), "-t", "8")
    return [peer(REDIS, tools, "Dramatiq", "dramatiq_app", worker, 0.1, coroutines=False)]


def celery(venvs: Path) -> list[Contender]:
    """Two processes that take 128 ahead each; as it comes, and acknowledging late."""
    tools = environment(venvs / "redis-celery", "hiredis", "celery[redis]") / "bin"
    pool = ("-P", "prefork", "-c", str(PROCESSES), "-l", "WARNING")
    worker = ("celery", "-A", "benchmarks.apps.celery_app", "worker", *pool)
    plain = peer(
        REDIS, tools, "Celery", "celery_app", worker, 0.02, promise=EARLY, coroutines=False
    )
    late = replace(
        plain,
        name="Celery, acks_late",
        promise=LATE,
        env={CELERY_LATE: "1"},
        scenarios=frozenset({"drain"}),
    )
    return [plain, late]


PEERS = (tarsk, ardiq, mayu, taskiq, saq, streaq, arq, rq, huey, dramatiq, celery)
