"""What `ropeway top` shows: one text for each tab, written from facts alone."""

from __future__ import annotations

import io
from collections.abc import Sequence

from ropeway import safe
from ropeway.cli import queueview, workerview
from ropeway.cli.table import Column, draw
from ropeway.operate.facts import Facts
from ropeway.operate.flow import Flow
from ropeway.store import Cause
from ropeway.words import NOTHING, often

TABS = ("overview", "queues", "workers", "errors")

_CAUSES = (
    Column(heading="JOBS", right=True),
    Column(heading="STATE"),
    Column(heading="TASK", least=12),
    Column(heading="ERROR", least=16),
)


def heading(tab: str, clock: str) -> str:
    """Write the first line: the tabs with their keys, the one that is shown in brackets."""
    named = [f"[{n} {name}]" if name == tab else f" {n} {name} " for n, name in enumerate(TABS, 1)]
    return f"ropeway top  {clock} {' '.join(named)}  q quit"


def keeping_up(flow: Flow | None) -> str:
    """Write the line about arrivals and service, as the dashboard has it."""
    if flow is None:
        return "flow      measuring"
    rates = f"{_rate(flow.arriving)} arrive, {_rate(flow.settled)} are settled"
    return f"flow      {rates}; {flow.says}"


def _rate(rate: float) -> str:
    return often(rate) if rate else "none"


def body(tab: str, overview: Sequence[str], facts: Facts, width: int) -> list[str]:
    """Write the lines below the first, no wider than can be helped; they are harmless."""
    match tab:
        case "queues":
            rows = [
                queueview.row(stats, facts.pauses.get(stats.queue), facts.now, facts.cap)
                for stats in facts.queues
            ]
            return _table(queueview.COLUMNS, rows, width, "no queue holds anything")
        case "workers":
            drawn = workerview.drawn(facts.workers, facts.now)
            return _table(drawn.columns, drawn.rows, width, "no worker runs")
        case "errors":
            causes = (*facts.failed, *facts.quarantined)
            none = "nothing failed of what was sent in the last hour, nothing is in quarantine"
            return _table(_CAUSES, [_cause(each) for each in causes], width, none)
        case _:
            return [safe.one_line(line) for line in overview]


def _cause(cause: Cause) -> list[str]:
    error = cause.newest.error
    told = f"{error.type}: {error.message}".partition("\n")[0] if error else NOTHING
    number = f"{cause.number:,}{'' if cause.whole else '+'}"
    return [number, str(cause.newest.state), cause.newest.message.task, told]


def _table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int, none: str
) -> list[str]:
    if not rows:
        return [none]
    from rich.console import Console

    file = io.StringIO()
    harmless = [[safe.one_line(text) or NOTHING for text in row] for row in rows]
    draw(Console(file=file, width=width, force_terminal=False), columns, harmless)
    return file.getvalue().splitlines()
