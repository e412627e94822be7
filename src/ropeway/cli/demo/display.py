"""What the demo shows: a live bar and a table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console

Advance = Callable[[], None]
"""Counts one more answer."""


class Display(Protocol):
    """Where the demo writes; `Plain` and `Live` are the two of them."""

    def say(self, text: str) -> None:
        """Write one line; while a bar is shown, above it."""

    def bar(self, total: int) -> AbstractContextManager[Advance]:
        """Show how far it is, until the block ends."""

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write a table; the first columns hold numbers, the last one text."""


class Plain:
    """Lines for pipes and logs: one for every tenth of the way."""

    def say(self, text: str) -> None:
        """Write one line at once, so that whoever reads a pipe sees it in time."""
        print(text, flush=True)

    @contextmanager
    def bar(self, total: int) -> Iterator[Advance]:
        """Write a line whenever another tenth is full."""
        done = 0

        def advance() -> None:
            nonlocal done
            tenths_before, done = done * 10 // total, done + 1
            if done * 10 // total > tenths_before:
                self.say(f"{done * 100 // total:3d} %  {done:,} of {total:,} answers")

        yield advance

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write aligned columns."""
        widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
        for row in (headings, *rows):
            cells = [text.rjust(width) for text, width in zip(row, widths, strict=True)]
            self.say("  ".join([*cells[:-1], row[-1]]))


class Live:
    """A terminal: a bar that moves, a table with a rule under its headings."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, text: str) -> None:
        """Write one line, which is never folded, so that a command can be copied."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def bar(self, total: int) -> Iterator[Advance]:
        """Draw a bar with the count and the time; it redraws itself at its own pace."""
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
        )

        columns = (
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:3.0f} %"),
            MofNCompleteColumn(),
            TextColumn("answers"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console) as progress:
            task = progress.add_task("answers", total=total)
            yield lambda: progress.advance(task)

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write the table."""
        from rich.box import SIMPLE_HEAD
        from rich.table import Table

        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for heading in headings[:-1]:
            table.add_column(heading, justify="right")
        table.add_column(headings[-1])
        for row in rows:
            table.add_row(*row)
        self._console.print(table)


def display(*, plain: bool) -> Display:
    """Give the display that fits: plain if asked for, or where standard output is no terminal."""
    if plain or not sys.stdout.isatty():
        return Plain()
    from rich.console import Console

    return Live(Console())
