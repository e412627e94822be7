"""Lists as tables, JSON, JSON lines and CSV, and some of their fields only."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import click
import pytest

from ropeway.cli.commands import doctor
from ropeway.cli.listing import Drawn, cell, chosen_fields, pick, print_list
from ropeway.cli.shared import Output, Shared
from ropeway.cli.table import Column
from ropeway.operate import job, limit, queue
from tests.cli.support import ESCAPES, call, process

RECORDS = [{"name": "one", "count": 2, "error": None}, {"name": "=1+1", "count": 0, "error": {}}]
FIELDS = ("name", "count", "error")


def printed(output: Output, *fields: str) -> None:
    """Print `RECORDS` as a list."""
    drawn = Drawn([Column(heading="NAME")], [[str(record["name"])] for record in RECORDS])
    print_list(Shared(output=output, fields=fields), FIELDS, RECORDS, lambda: drawn)


def test_a_table_is_what_was_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    """Unless fields are asked for: then it has those."""
    printed("table")
    assert capsys.readouterr().out == "one\n=1+1\n"
    printed("table", "count", "name")
    assert capsys.readouterr().out == "2\tone\n0\t=1+1\n"


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """One array, with the fields that were asked for."""
    printed("json")
    assert json.loads(capsys.readouterr().out) == RECORDS
    printed("json", "count")
    assert json.loads(capsys.readouterr().out) == [{"count": 2}, {"count": 0}]


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """A value on each line."""
    printed("jsonl")
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == RECORDS


def test_csv(capsys: pytest.CaptureFixture[str]) -> None:
    """A line of headings; what holds more is JSON; nothing is a formula."""
    printed("csv")
    found = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert found == [["name", "count", "error"], ["one", "2", ""], ["'=1+1", "0", "{}"]]


def test_csv_of_nothing_has_its_headings(here: Path) -> None:
    """So that a program that reads it finds its columns."""
    assert call("queues", "ls", "-o", "csv").stdout == ",".join(queue.FIELDS) + "\n"
    assert call("queues", "ls", "-o", "jsonl").stdout == ""


def test_fields_in_fields() -> None:
    """A dot looks into an object; what is not there is None."""
    record = {"error": {"type": "E"}, "id": "1"}
    assert pick(record, ["error.type", "error.no", "id.x"]) == {
        "error.type": "E",
        "error.no": None,
        "id.x": None,
    }


@pytest.mark.parametrize(
    ("name", "meant"), [("stat", "Did you mean 'state'?"), ("zzz", "There are: id, state.")]
)
def test_a_field_that_there_is_not(name: str, meant: str) -> None:
    """Is refused, whether or not there are records."""
    with pytest.raises(click.UsageError, match=meant.replace("?", r"\?")):
        chosen_fields(Shared(fields=(name,)), ("id", "state"))


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), ("a b", "a b"), (1.5, "1.5"), (True, "true"), ({}, "{}")]
)
def test_cells(value: object, text: str) -> None:
    """Text is text, the rest is JSON."""
    assert cell(value) == text


def test_the_fields_are_those_of_the_records(jobs: dict[str, str]) -> None:
    """What a command declares is what it prints."""
    assert call("limits", "set", "api", "30/m").exit_code == 0
    for words, fields in (
        (("jobs", "ls"), job.FIELDS),
        (("queues", "ls"), queue.FIELDS),
        (("limits", "ls"), limit.FIELDS),
        (("doctor",), doctor.FIELDS),
    ):
        record = json.loads(call(*words, "--json").stdout)[0]
        assert tuple(record) == fields


def test_fields_of_jobs(jobs: dict[str, str]) -> None:
    """Wherever the options stand."""
    before = call("-o", "csv", "--fields", "state,error.type", "jobs", "ls", "--state", "failed")
    after = call("jobs", "ls", "--state", "failed", "--fields", "state,error.type", "-o", "csv")
    assert before.stdout == after.stdout == "state,error.type\nfailed,ValueError\n"


def test_csv_is_harmless(jobs: dict[str, str]) -> None:
    """An error may hold anything."""
    text = call("jobs", "ls", "--state", "failed", "-o", "csv").stdout
    assert "\x1b" not in text and "\x9b" not in text
    assert ESCAPES.split("\x1b", maxsplit=1)[0] in text


@pytest.mark.parametrize(
    "words", [("-o", "json"), ("-ojson",), ("--output=jsonl",), ("--output", "jsonl"), ("--json",)]
)
def test_errors_are_json_where_json_is_asked_for(here: Path, words: tuple[str, ...]) -> None:
    """Also wrong usage."""
    error = json.loads(call("jobs", "lss", *words).stderr)["error"]
    assert error["code"] == "usage"


def test_the_last_of_two_outputs_counts(here: Path) -> None:
    """As with most programs."""
    assert call("queues", "ls", "--json", "-o", "table").stdout == ""
    assert call("queues", "ls", "-o", "table", "--json").stdout == "[]\n"


def test_dates_are_local_or_utc(jobs: dict[str, str]) -> None:
    """The zone is named."""
    there = {**os.environ, "TZ": "EST5"}
    assert " EST  " in process("jobs", "show", jobs["failed"], env=there).stdout
    utc = process("jobs", "show", jobs["failed"], "--utc", env=there).stdout
    assert " UTC  " in utc and "EST" not in utc
