"""The programme of `ropeway demo`: send, work, kill a child half-way, check, show."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from ropeway.cli.demo import witness
from ropeway.cli.demo.check import check
from ropeway.cli.demo.collect import Collector
from ropeway.cli.demo.display import Display, display
from ropeway.cli.demo.fleet import worker
from ropeway.cli.demo.graph import friends
from ropeway.cli.demo.home import Home, fresh_home
from ropeway.cli.demo.plan import TOP, Question, questions
from ropeway.cli.demo.report import Run, report

if TYPE_CHECKING:
    from ropeway import Job


def run_demo(*, sabotage: bool = False, children: int = 2, plain: bool = False) -> int:
    """Run the demo in `.ropeway/demo` of the working directory; return the exit code.

    0: every answer is right and at least one call ran twice; 1: not so; 130: stopped by Ctrl-C.
    `sabotage` changes one answer, so that the check must fail. Raises `RopewayError` when it
    cannot run. However it ends, nothing is left running; the files stay to be looked into. Call it
    once in a process: the app of the demo keeps the URL of the moment in which it is imported.
    """
    show = display(plain=plain)
    try:
        with _ended_by_signals(), fresh_home() as home:
            return _run(home, show, sabotage=sabotage, children=children)
    except KeyboardInterrupt:
        show.say("Stopped. Nothing is left running.")
        return 130


def _run(home: Home, show: Display, *, sabotage: bool, children: int) -> int:
    asked = questions()
    show.say(f"A web of trust of {len(friends()):,} people: whom may each of them know?")
    started = time.monotonic()
    jobs = send(asked)
    show.say(f"{len(jobs):,} calls sent in {time.monotonic() - started:.1f} s; no worker runs yet.")

    started = time.monotonic()
    with worker(home, children) as process:
        collector = Collector(home, process)
        with show.bar(len(jobs)) as advance:
            collector.collect(jobs, advance, show.say)
        seconds = time.monotonic() - started

    answers = collector.answers
    if sabotage:
        show.say(f"Sabotage: the answer of {answers.sabotage()} was changed on purpose.")
    verdict = check(answers.suggested, answers.mutual, TOP)
    executions = witness.read(home.witness)
    run = Run(home.url, seconds, children, collector.kills, executions)
    return report(show, run, answers, verdict)


def send(asked: list[Question]) -> list[tuple[Question, Job[Any]]]:
    """Send one call for each question, in this order; they are durable when it returns."""
    # Imported here, for the app of the demo takes its URL from the environment of this moment.
    from ropeway.cli.demo.tasks import app, mutual, suggest

    jobs = app.send_many(
        suggest.call(one, TOP) if isinstance(one, int) else mutual.call(*one) for one in asked
    )
    return list(zip(asked, jobs, strict=True))


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind the stack, as Ctrl-C does, so that the worker is stopped."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
