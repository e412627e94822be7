"""The tutorials of RabbitMQ work with ropeway on one side and plain pika on the other, both ways."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from ropeway.connect import Connection
from ropeway.states import State
from ropeway.stepping import step
from ropeway.store import Filter
from tests.backends.rabbitmq_rig import plain as connection
from tests.conftest import Eventually
from tests.servers.rabbitmq import RabbitMQ

TUTORIALS = Path(__file__).parents[2] / "examples" / "rabbitmq_tutorials"


class Run:
    """Starts programs in a folder, with a broker and a store of their own."""

    def __init__(self, folder: Path, url: str) -> None:
        self.url, self._folder = url, folder
        self.started: list[subprocess.Popen[str]] = []

    def __call__(self, *words: str) -> subprocess.Popen[str]:
        with (self._folder / "log").open("a") as sink:
            process = subprocess.Popen(
                [sys.executable, *words],
                cwd=self._folder,
                env={
                    **os.environ,
                    "ROPEWAY_BROKER": self.url,
                    "ROPEWAY_URL": f"sqlite:///{self._folder}/tutorials.db",
                },
                stdout=sink,
                stderr=sink,
                text=True,
            )
        self.started.append(process)
        return process


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of the tutorials."""
    return Path(shutil.copytree(TUTORIALS, tmp_path / "tutorials"))


@pytest.fixture
def run(rabbitmq: RabbitMQ, folder: Path) -> Iterator[Run]:
    """Return what starts a program there, with an empty virtual host; all are ended."""
    run = Run(folder, rabbitmq.fresh())
    yield run
    for each in run.started:
        each.terminate()
    for each in run.started:
        each.wait(20)


@pytest.fixture
def plain(folder: Path) -> ModuleType:
    """Return the plain client."""
    spec = importlib.util.spec_from_file_location("plain_pika", folder / "plain_pika.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ended(process: subprocess.Popen[str]) -> None:
    """Wait for a program that ends well."""
    assert process.wait(40) == 0


def results(folder: Path) -> list[str]:
    """Return the results of all jobs that have succeeded."""
    store = Connection(f"sqlite:///{folder}/tutorials.db").blocking()
    found = step(store.search(Filter(state=State.SUCCEEDED), limit=200)).jobs
    return sorted(str(json.loads(each.value or b"0")) for each in found)


# Module, queues, what pika publishes, and the results of the jobs.
WORKED = [
    ("one_hello", "hello", ("", "hello", "receive"), ["x"]),
    ("two_work", "work", ("", "work", "work"), ["done: x"]),
    ("three_logs", "log-*", ("logs", "", "note"), ["log-file: x", "log-screen: x"]),
    (
        "four_direct",
        "disk,screen",
        ("direct_logs", "error", "note"),
        ["disk error: x", "screen error: x"],
    ),
    (
        "five_topics",
        "kernel,critical,everything",
        ("topic_logs", "kern.info", "note"),
        ["everything kern.info: x", "kernel kern.info: x"],
    ),
]


@pytest.mark.timeout(150)  # six workers begin
def test_pika_sends_and_ropeway_works(
    run: Run,
    folder: Path,
    plain: ModuleType,
    eventually: Eventually,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A job for each queue that the message gets to; and who asks for a result is told it."""
    with connection(run.url) as channel:
        for module, queues, words, _ in WORKED:
            ended(run("-c", f"import {module}; {module}.app.exchanges.declare()"))
            if not words[0]:
                channel.queue_declare(queues, durable=True, arguments={"x-queue-type": "quorum"})
            plain.publish(channel, *words, '{"text": "x"}')
        for module, queues, _, _ in [*WORKED, ("six_rpc", "rpc", (), [])]:
            run("-m", "ropeway", "worker", f"{module}:app", "--children", "1", "--queues", queues)
        expected = sorted(result for *_, results in WORKED for result in results)
        eventually(lambda: results(folder) == expected, 60)
        channel.queue_declare("rpc", durable=True, arguments={"x-queue-type": "quorum"})
        plain.call(channel, "rpc", "fib", '{"n": 20}')
    with connection(run.url) as channel:
        plain.call(channel, "rpc", "fib", '{"n": "many"}')
    told = capsys.readouterr().out
    assert "succeeded: 6765" in told
    assert "failed:" in told
    assert "bad_arguments" in told


RECEIVED = [
    ("one_hello", ("", "plain"), 1, "Hello World!"),
    ("two_work", ("", "plain"), 3, "Task 2.."),
    ("three_logs", ("logs", ""), 1, "info: Hello World!"),
    ("four_direct", ("direct_logs", "error"), 1, "error note: "),
    ("five_topics", ("topic_logs", "kern.*"), 1, "kern.critical note: "),
    ("seven_confirms", ("", "plain"), 100, '"number":99'),
]


@pytest.mark.timeout(150)
def test_ropeway_sends_and_pika_receives(
    run: Run, plain: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    """Queues and exchanges of ropeway are those of the server, and its messages are plain."""
    for module, (exchange, key), count, expected in RECEIVED:
        with connection(run.url) as channel:
            if exchange:
                ended(run("-c", f"import {module}; {module}.app.exchanges.declare()"))
                queue = channel.queue_declare("", exclusive=True).method.queue
                channel.queue_bind(queue, exchange, key)
            ended(run(f"{module}.py"))
            plain.consume(channel, queue if exchange else key, count)
        assert expected in capsys.readouterr().out
