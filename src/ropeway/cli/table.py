"""Tables: on a terminal with headings, marks and as many columns as fit; elsewhere split by tabs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from ropeway import safe
from ropeway.words import NOTHING

if TYPE_CHECKING:
    from rich.console import Console

_GAP = "  "


class Cell(Struct, frozen=True):
    """The text of a cell and its style on a terminal."""

    text: str
    style: str = ""


class Column(Struct, frozen=True, kw_only=True):
    """A column, and what becomes of it where a terminal is narrow.

    Its texts may be cut to `least` characters (0: never cut). Columns with an `optional` number
    are left out, the highest first, when cutting is not enough.
    """

    heading: str
    right: bool = False
    least: int = 0
    optional: int = 0


def print_table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], marks: Sequence[Cell] = ()
) -> None:
    """Print rows: on a terminal as a table, elsewhere a line each, without headings and marks."""
    harmless = [[safe.one_line(text) or NOTHING for text in row] for row in rows]
    if not sys.stdout.isatty():
        for row in harmless:
            print("\t".join(row))
        return
    from rich.console import Console

    draw(Console(), columns, harmless, marks)


def draw(
    console: Console,
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    marks: Sequence[Cell] = (),
) -> None:
    """Draw a table that is no wider than `console`, if that can be done."""
    from rich.cells import cell_len, set_cell_size
    from rich.text import Text

    headings = [column.heading for column in columns]
    full = [max(map(cell_len, texts)) for texts in zip(headings, *rows, strict=True)]
    margin = 1 + len(_GAP) if marks else 0
    widths = fit(columns, full, console.width - margin)

    def line(texts: Sequence[str]) -> str:
        cells = []
        for number, width in widths.items():
            text = texts[number]
            if cell_len(text) > width:
                text = set_cell_size(text, width - 1) + "…"
            space = " " * (width - cell_len(text))
            cells.append(space + text if columns[number].right else text + space)
        return _GAP.join(cells).rstrip()

    console.print(Text(" " * margin + line(headings), style="bold"), soft_wrap=True)
    for number, row in enumerate(rows):
        text = Text()
        if marks:
            text.append(marks[number].text, style=marks[number].style).append(_GAP)
        console.print(text.append(line(row)), soft_wrap=True)


def fit(columns: Sequence[Column], full: Sequence[int], room: int) -> dict[int, int]:
    """Return which columns to show, by number, and how wide: `full` wide where there is room."""
    widths = dict(enumerate(full))
    order = sorted(widths, key=lambda number: columns[number].optional)
    while _least(columns, widths) > room and columns[order[-1]].optional:
        del widths[order.pop()]
    # The last column is the first to be cut: it holds the longest and least regular texts.
    for number in sorted(widths, reverse=True):
        least = columns[number].least
        if least:
            excess = sum(widths.values()) + len(_GAP) * (len(widths) - 1) - room
            widths[number] = max(min(least, widths[number]), widths[number] - max(0, excess))
    return widths


def _least(columns: Sequence[Column], widths: dict[int, int]) -> int:
    cut = [min(columns[n].least or width, width) for n, width in widths.items()]
    return sum(cut) + len(_GAP) * (len(cut) - 1)
