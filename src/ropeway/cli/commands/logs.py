"""`ropeway jobs logs`: what one job printed and logged, from the logs of its workers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

import click

from ropeway import safe
from ropeway.cli.complete import job_ids
from ropeway.cli.listing import Drawn, chosen_fields, pick, print_list
from ropeway.cli.output import to_json
from ropeway.cli.shared import Shared, options
from ropeway.words import NOTHING

FIELDS = ("time", "level", "logger", "message", "job", "task", "attempt", "exception")
_OPTIONS = ("output", "json", "fields", "quiet", "verbose", "no_color")


@click.command()
@click.argument("job", metavar="ID", shell_complete=job_ids)
@click.argument("files", metavar="[FILE]...", nargs=-1, type=click.File(errors="replace"))
@options(*_OPTIONS)
@click.pass_obj
def logs(shared: Shared, job: str, files: tuple[TextIO, ...]) -> None:
    """Print what one job printed and logged, from the logs of its workers.

    FILE is a worker's log, written with --log-format json (the default but on a terminal); without
    one it is read from standard input: journalctl -u worker -o cat | ropeway jobs logs ID. What
    stands in front of the JSON of a line is passed over. ID is the id of a job or its start.
    """
    if not files and sys.stdin.isatty():
        raise click.UsageError(
            "name a worker's log, or pipe it in: journalctl -u worker -o cat | ropeway jobs logs ID"
        )
    seen = Seen(job.strip().lower())
    found = seen.of(line for file in files or (sys.stdin,) for line in file)
    if shared.output in {"json", "csv"}:
        print_list(shared, FIELDS, list(found), lambda: Drawn((), []))
    else:
        _print_each(shared, found)
    if not seen.found and not shared.json:
        shared.say(seen.nothing())


class Seen:
    """Looks for the lines of one job, and counts what it has seen."""

    def __init__(self, start: str) -> None:
        self._start = start
        self.lines = self.readable = self.found = 0
        self._job: str | None = None

    def of(self, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Yield what each line of the job says. Raises a wrong usage if there are two such jobs."""
        for line in lines:
            self.lines += bool(line.strip())
            said = _read(line)
            if said is None:
                continue
            self.readable += 1
            job = said.get("job")
            if not isinstance(job, str) or not job.startswith(self._start):
                continue
            if self._job not in {None, job}:
                raise click.UsageError(
                    f"{self._start!r} begins the id of several jobs:\n  {self._job}\n  {job}"
                )
            self._job = job
            self.found += 1
            yield {name: said.get(name) for name in FIELDS}

    def nothing(self) -> str:
        """Say why nothing was found."""
        if self.lines and not self.readable:
            return "no line is JSON: give the worker --log-format json"
        return f"no line is of job {self._start}, of {self.lines:,}"


def _read(line: str) -> dict[str, Any] | None:
    start = line.find("{")
    try:
        said = json.loads(line[start:]) if start >= 0 else None
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) and "message" in said else None


def _print_each(shared: Shared, found: Iterable[dict[str, Any]]) -> None:
    """Print each line when it comes, so that a log that grows can be followed."""
    names = chosen_fields(shared, FIELDS)
    for said in found:
        record = said if names is None else pick(said, names)
        if shared.output == "jsonl":
            print(to_json(record, pretty=False), flush=True)
        elif names is None:
            print(_for_people(said), flush=True)
        else:
            print("\t".join(safe.one_line(_text(value)) for value in record.values()), flush=True)


def _for_people(said: dict[str, Any]) -> str:
    head = [_text(said[name]) for name in ("time", "attempt", "level", "logger")]
    text = _text(said["message"])
    if said["exception"]:
        text += f"\n{said['exception']}"
    first, *more = safe.lines(text).split("\n")
    lines = ["\t".join([*map(safe.one_line, head), first]), *(f"  {line}" for line in more)]
    return "\n".join(lines)


def _text(value: Any) -> str:
    return NOTHING if value is None else str(value)
