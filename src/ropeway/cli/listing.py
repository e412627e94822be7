"""Printing lists: a table for people, or JSON, JSON lines or CSV for programs; all of it or some."""

from __future__ import annotations

import csv
import difflib
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click
from msgspec import Struct

from ropeway import safe
from ropeway.cli.output import print_json, to_json
from ropeway.cli.shared import Shared
from ropeway.cli.table import Cell, Column, print_table

Fields = Sequence[str]
"""The names of what a list's records hold, in the order in which they are printed."""


class Drawn(Struct, frozen=True):
    """What a list looks like on a terminal."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    marks: Sequence[Cell] = ()


def print_list(
    shared: Shared, fields: Fields, records: Sequence[dict[str, Any]], draw: Callable[[], Drawn]
) -> None:
    """Print `records`, each of which has the `fields`, as the common options say.

    A table shows what `draw` returns, or the fields that were asked for. Raises a wrong usage for
    a field that there is not, also when there are no records.
    """
    chosen = chosen_fields(shared, fields)
    picked = records if chosen is None else [pick(record, chosen) for record in records]
    match shared.output:
        case "json":
            print_json(picked)
        case "jsonl":
            for record in picked:
                print(to_json(record, pretty=False))
        case "csv":
            _print_csv(chosen or fields, picked)
        case "table" if chosen is None:
            if records:
                drawn = draw()
                print_table(drawn.columns, drawn.rows, drawn.marks)
        case "table":
            columns = [Column(heading=name.upper(), least=8) for name in chosen or ()]
            if picked:
                print_table(columns, [[cell(value) for value in r.values()] for r in picked])


def chosen_fields(shared: Shared, fields: Fields) -> Fields | None:
    """Return the fields that were asked for, or None for all; raises a wrong usage."""
    for name in shared.fields:
        head = name.partition(".")[0]
        if head not in fields:
            close = difflib.get_close_matches(head, fields, 1, 0.5)
            meant = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(fields)}."
            raise click.UsageError(f"There is no field {head!r}. {meant}")
    return shared.fields or None


def pick(record: dict[str, Any], names: Fields) -> dict[str, Any]:
    """Return some fields of a record; `error.type` is the type of what `error` holds, or None."""
    return {name: _at(record, name.split(".")) for name in names}


def _at(value: Any, path: Sequence[str]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def cell(value: Any) -> str:
    """Write a value into a cell: text as it is, nothing for None, JSON for the rest."""
    if value is None:
        return ""
    return value if isinstance(value, str) else to_json(value, pretty=False)


def _print_csv(fields: Fields, records: Sequence[dict[str, Any]]) -> None:
    """Print a line of headings and one for each record, as RFC 4180 has it but for its line ends.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(fields)
    for record in records:
        writer.writerow([_csv_cell(record.get(name)) for name in fields])


def _csv_cell(value: Any) -> str:
    text = safe.lines(cell(value))
    return f"'{text}" if isinstance(value, str) and text[:1] in set("=+-@\t") and text else text
