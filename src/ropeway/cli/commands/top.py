"""`ropeway top`: how things are, looked at again and again."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ropeway.cli import topview
from ropeway.cli.commands.status import as_record
from ropeway.cli.commands.status import lines as status_lines
from ropeway.cli.look import changing
from ropeway.cli.output import on_terminal, to_json
from ropeway.cli.shared import LOOKING, Shared, a_duration, options
from ropeway.config import load
from ropeway.errors import BackendUnavailable
from ropeway.operate.attention import remarks
from ropeway.operate.facts import Facts, gather
from ropeway.operate.flow import Flow, Sample, flow, sample_of
from ropeway.operate.queue import CAP
from ropeway.stepping import step
from ropeway.store import Backend

if TYPE_CHECKING:
    from rich.text import Text

_LEAST = 0.1
_SAMPLES = 30
_WIDTH = 120


class Watch:
    """Looks at a database, and remembers enough to tell whether workers keep up."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._samples = deque[Sample](maxlen=_SAMPLES)
        self._url = load({}).where
        self.facts = Facts(now=0.0, cap=CAP)
        self.trouble = ""

    def look(self) -> None:
        """Look again; a place that cannot be reached is `trouble`, and the last facts stay."""
        try:
            self.facts = step(gather(self._backend, CAP))
        except BackendUnavailable as error:
            self.trouble = f"! {error.code} {error.fact}: these are the last figures"
        else:
            self.trouble = ""
            self._samples.append(sample_of(self.facts))

    @property
    def flow(self) -> Flow | None:
        """How arrivals and service stand."""
        return flow(list(self._samples))

    def frame(self, tab: str, width: int) -> list[str]:
        """Write the screen."""
        overview = status_lines(self._url, self.facts, remarks(self.facts))
        overview.insert(4, topview.keeping_up(self.flow))
        head = topview.heading(tab, time.strftime("%H:%M:%S"))
        trouble = [self.trouble] if self.trouble else []
        return [head, *trouble, "", *topview.body(tab, overview, self.facts, width)]

    def record(self) -> dict[str, object]:
        """Return the screen for JSON: what `status` has, and what arrives and is settled."""
        found = self.flow
        return {
            **as_record(self._url, self.facts, remarks(self.facts)),
            "arriving": found.arriving if found else None,
            "settled": found.settled if found else None,
            "trouble": self.trouble or None,
        }


def _an_interval(ctx: click.Context, param: click.Parameter, value: float) -> float:
    if value < _LEAST:
        raise click.BadParameter(f"looking more often than every {_LEAST} s tells nothing more")
    return value


@click.command()
@click.option(
    "--every",
    type=a_duration,
    default="2s",
    callback=_an_interval,
    metavar="DURATION",
    help="How often to look. Default: 2s.",
)
@click.option(
    "--tab",
    type=click.Choice(topview.TABS),
    default="overview",
    show_default=True,
    help="What to show first.",
)
@click.option("--once", is_flag=True, help="Print one screen and end.")
@options(*LOOKING)
@click.pass_obj
def top(shared: Shared, every: float, tab: str, once: bool) -> None:
    """Watch how things are: overview, queues, workers, errors.

    The keys 1 to 4 change what is shown, q ends it. Without a terminal, and with --json, one text
    after the other is printed until it is stopped. Nothing is changed.
    """
    with changing() as backend:
        watch = Watch(backend)
        if on_terminal() and sys.stdin.isatty() and not once and not shared.json:
            _on_screen(watch, every, tab)
        else:
            _as_text(shared, watch, every, tab, once)


def _as_text(shared: Shared, watch: Watch, every: float, tab: str, once: bool) -> None:
    while True:
        watch.look()
        if once and watch.trouble:
            raise BackendUnavailable(watch.trouble.removeprefix("! "))
        if shared.json:
            print(to_json(watch.record(), pretty=False), flush=True)
        else:
            print("\n".join(watch.frame(tab, _WIDTH)), end="\n" if once else "\n\n", flush=True)
        if once:
            return
        time.sleep(every)


def _on_screen(watch: Watch, every: float, tab: str) -> None:
    from rich.console import Console
    from rich.live import Live

    from ropeway.cli.keys import GONE, pressed

    console = Console()
    with Live(console=console, screen=True, auto_refresh=False) as live, pressed() as wait:
        until = 0.0
        while True:
            if time.monotonic() >= until:
                watch.look()
                until = time.monotonic() + every
            live.update(_drawn(watch.frame(tab, console.width)), refresh=True)
            for key in wait(max(0.0, until - time.monotonic())):
                if key in ("q", "Q", GONE):
                    return
                if key in "1234":
                    tab = topview.TABS[int(key) - 1]


def _drawn(lines: Sequence[str]) -> Text:
    from rich.text import Text

    text = Text(no_wrap=True, overflow="ellipsis")
    for number, line in enumerate(lines):
        style = "bold" if not number else "yellow" if line.startswith("!") else ""
        text.append(f"{line}\n", style="bold green" if line == "healthy" else style)
    return text
