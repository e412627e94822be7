"""`ropeway status`: one screen that says how things are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import click
import msgspec

from ropeway import safe
from ropeway.cli.look import looking
from ropeway.cli.output import on_terminal, print_json
from ropeway.cli.shared import LOOKING, Shared, options
from ropeway.config import load
from ropeway.operate.attention import Remark, remarks
from ropeway.operate.facts import Facts, gather
from ropeway.operate.queue import CAP, summary
from ropeway.stepping import step
from ropeway.store import Cause

_COUNTS = ("ready", "delayed", "leased")


@click.command()
@options(*LOOKING)
@click.pass_obj
def status(shared: Shared) -> None:
    """Say how things are: healthy or not, what waits and why, what fails.

    Each line of "needs attention" is followed by a command that shows more or mends it. Nothing
    is changed. The exit code is 0 however things are: see `ropeway check` for monitoring.
    """
    url = load({}).where
    with looking() as (backend, missing):
        facts = step(gather(backend, CAP)) if backend else Facts(now=0.0, cap=CAP)
    if missing:
        shared.say(missing)
    found = remarks(facts)
    if shared.json:
        print_json(as_record(url, facts, found))
        return
    for line in lines(url, facts, found):
        _print(safe.one_line(line), found)


def lines(url: str, facts: Facts, found: list[Remark]) -> list[str]:
    """Write the screen."""
    needs = "1 thing needs" if len(found) == 1 else f"{len(found)} things need"
    written = [
        f"{needs} attention" if found else "healthy",
        f"database  {url}",
        f"workers   {_workers(facts)}",
        f"queues    {_queues(facts)}",
        f"failures  {_failures(facts)}",
    ]
    for remark in found:
        written += [f"! {remark.says}", f"    → {remark.command}"]
    return written


def _workers(facts: Facts) -> str:
    if not facts.workers:
        return "none"
    states = Counter(worker.state for worker in facts.workers)
    told = ", ".join(f"{number} {state}" for state, number in states.most_common())
    busy = sum(sum(worker.busy.values()) for worker in facts.workers)
    slots = sum(sum(worker.slots.values()) for worker in facts.workers)
    return f"{told}; {busy} of {slots} slots busy"


def _queues(facts: Facts) -> str:
    if not facts.queues:
        return "nothing waits" + (f"; {len(facts.pauses)} paused" if facts.pauses else "")
    counts = {name: sum(getattr(stats, name) for stats in facts.queues) for name in _COUNTS}
    capped = any(getattr(stats, name) >= facts.cap for stats in facts.queues for name in _COUNTS)
    plus = "+" if capped else ""
    paused = f"; {len(facts.pauses)} paused" if facts.pauses else ""
    told = "{ready:,}{plus} ready, {delayed:,}{plus} delayed, {leased:,}{plus} running"
    where = "1 queue" if len(facts.queues) == 1 else f"{len(facts.queues)} queues"
    return told.format(plus=plus, **counts) + f" in {where}{paused}"


def _failures(facts: Facts) -> str:
    failed, kept = _number(facts.failed), _number(facts.quarantined)
    return f"{failed} of what was sent in the last hour, {kept} in quarantine"


def _number(causes: Sequence[Cause]) -> str:
    number = sum(cause.number for cause in causes)
    return f"{number:,}{'' if all(cause.whole for cause in causes) else '+'}"


def as_record(url: str, facts: Facts, found: list[Remark]) -> dict[str, Any]:
    """Return the screen for JSON."""
    return {
        "healthy": not found,
        "url": url,
        "workers": dict(Counter(str(worker.state) for worker in facts.workers)),
        "busy": sum(sum(worker.busy.values()) for worker in facts.workers),
        "slots": sum(sum(worker.slots.values()) for worker in facts.workers),
        "queues": [summary(q, facts.pauses.get(q.queue), facts.cap) for q in facts.queues],
        "paused": sorted(facts.pauses),
        "failed_lately": sum(cause.number for cause in facts.failed),
        "quarantined": sum(cause.number for cause in facts.quarantined),
        "remarks": [msgspec.to_builtins(remark) for remark in found],
    }


def _print(line: str, found: list[Remark]) -> None:
    if not on_terminal():
        print(line)
        return
    from rich.console import Console
    from rich.text import Text

    style = "bold green" if line == "healthy" else "yellow" if line.startswith("!") else ""
    if found and line.endswith("attention"):
        style = "bold yellow"
    Console().print(Text(line, style=style), soft_wrap=True)
