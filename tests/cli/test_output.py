"""Tables and JSON, for people and for programs."""

from __future__ import annotations

import io
import json
import sys

import pytest
from rich.cells import cell_len
from rich.console import Console

from ropeway.cli import output
from ropeway.cli.jobview import COLUMNS
from ropeway.cli.table import Cell, Column, draw, fit, print_table
from tests.cli.support import ESCAPES

ROW = ["0" * 36, "shop.photos.notify_friends", "push", "failed", "5", "12ms", "2.1s", "3m ago"]
LONG = [*ROW, "TimeoutError: the push gateway did not answer within two seconds"]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def drawn(width: int, *rows: list[str]) -> list[str]:
    """Draw the table of jobs on a terminal without colours."""
    stream = io.StringIO()
    console = Console(file=stream, width=width, height=25, force_terminal=True, no_color=True)
    draw(console, COLUMNS, rows, [Cell("✕", "red")] * len(rows))
    return stream.getvalue().replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines()


def test_elsewhere_a_line_for_each_record(capsys: pytest.CaptureFixture[str]) -> None:
    """Split by tabs, no heading, no mark, nothing left out, and no way to fake a column."""
    columns = [Column(heading="A"), Column(heading="B", least=2, optional=1)]
    print_table(columns, [["one\ttwo", ""], [ESCAPES, "x" * 300]], [Cell("!"), Cell("!")])
    first, second = capsys.readouterr().out.splitlines()
    assert first == "one\\ttwo\t-"
    assert second.split("\t") == [
        r"red\x1b[31m bell\x07 csi\x9b2J rtl\u202e end",
        "x" * 300,
    ]


def test_on_a_terminal_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """With headings and marks."""
    monkeypatch.setattr(sys, "stdout", stream := Terminal())
    monkeypatch.setenv("COLUMNS", "40")
    print_table([Column(heading="NAME")], [["one"]], [Cell("✓")])
    assert "NAME" in stream.getvalue()
    assert "✓  one" in stream.getvalue()


def test_everything_is_shown_where_there_is_room() -> None:
    """Nothing is cut on a wide terminal."""
    heading, line = drawn(200, LONG)
    assert heading.split() == [column.heading for column in COLUMNS]
    assert line.startswith("✕  000000000000000000000000000000000000  shop.photos.notify_friends")
    assert line.endswith("two seconds")


@pytest.mark.parametrize("width", [80, 90, 100, 120, 140])
def test_a_table_fits_its_terminal(width: int) -> None:
    """The id and the state are whole, the rest is cut or left out."""
    for line in drawn(width, LONG):
        assert cell_len(line) <= width
    assert "0" * 36 in line
    assert "failed" in line


def test_the_error_is_cut_first_and_the_least_needed_column_goes_first() -> None:
    """So that a narrow terminal shows what matters most."""
    _, line = drawn(120, LONG)
    assert line.endswith("…")
    heading, _ = drawn(100, LONG)
    assert "QUEUE" not in heading
    assert "ERROR" in heading


def test_a_terminal_too_narrow_for_anything() -> None:
    """Columns that are never left out stay, and lines are longer than the terminal."""
    widths = fit(COLUMNS, [len(text) for text in LONG], 10)
    assert [COLUMNS[number].heading for number in widths] == ["ID", "TASK", "STATE", "AGE"]


def test_wide_characters_count_twice() -> None:
    """Columns stay straight after Chinese."""
    first, second = drawn(200, [*ROW[:1], "你好", *ROW[2:], "x"], [*ROW, "x"])[1:]
    assert cell_len(first) == cell_len(second)


def test_json_is_one_line_when_piped(capsys: pytest.CaptureFixture[str]) -> None:
    """And it is harmless."""
    output.print_json([{"a": ESCAPES}, None, 10**30])
    text = capsys.readouterr().out
    assert text.count("\n") == 1
    assert "\x9b" not in text and "\x1b" not in text
    assert json.loads(text) == [{"a": ESCAPES}, None, 10**30]


def test_json_is_indented_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """For people."""
    monkeypatch.setattr(sys, "stdout", stream := Terminal())
    output.print_json({"a": 1})
    assert stream.getvalue() == '{\n  "a": 1\n}\n'
