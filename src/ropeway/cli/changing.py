"""Changing jobs from the command line: which ones, asked first, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click
import msgspec
from msgspec import Struct

from ropeway.bulk import Done, Plan
from ropeway.cli.complete import job_ids
from ropeway.cli.confirm import confirm
from ropeway.cli.find import find_job
from ropeway.cli.look import by_hand
from ropeway.cli.output import print_json
from ropeway.cli.shared import Shared, confirmable
from ropeway.config import load, per_second
from ropeway.errors import ConfigError, Refused
from ropeway.operate.finding import chosen as found_jobs
from ropeway.operate.operator import JobVerb
from ropeway.searching import parse
from ropeway.states import State
from ropeway.stepping import step
from ropeway.store import Backend
from ropeway.words import several

_WORDS: dict[JobVerb, str] = {"retry": "run again", "cancel": "cancel", "remove": "remove"}

F = TypeVar("F", bound=Callable[..., Any])


class Asked(Struct, frozen=True, kw_only=True):
    """What the command line said of which jobs to change, and how."""

    words: tuple[str, ...]
    search: str | None
    everything: bool
    limit: int | None
    dry_run: bool
    yes: bool


def choosing(function: F) -> F:
    """Give a command the arguments and options that `Asked` is made of."""
    for add in (
        confirmable,
        click.option("--limit", type=click.IntRange(min=1), help="At most so many, the newest."),
        click.option("--all", "everything", is_flag=True, help="All that there are."),
        click.option(
            "--filter", "search", metavar="SEARCH", help="Those that a search finds, as in jobs ls."
        ),
        click.argument("words", metavar="[ID]...", nargs=-1, shell_complete=job_ids),
    ):
        function = add(function)
    return function


def a_rate(text: str) -> float:
    """Read the jobs a second of an option."""
    try:
        return per_second(text)
    except ConfigError:
        raise click.BadParameter(f"{text!r} is not a rate; write 10/s, 600/m or 5000/h") from None


def chosen(backend: Backend, asked: Asked, states: Sequence[State]) -> list[str]:
    """Return the ids of the jobs that are meant: those named, or those in `states` of a search."""
    if sum(map(bool, (asked.words, asked.search, asked.everything))) != 1:
        raise click.UsageError("Name jobs by their ids, or write --filter SEARCH, or --all.")
    if asked.words:
        found = dict.fromkeys(find_job(backend, "", word).id for word in asked.words)
        return list(found)[: asked.limit]
    now = step(backend.now())
    query = parse(asked.search or "", now)
    return step(found_jobs(backend, query, states, asked.limit, now))


def change_all(
    shared: Shared, backend: Backend, asked: Asked, ids: Sequence[str], verb: JobVerb, plan: Plan
) -> None:
    """Ask, change the jobs, and say what became of it.

    Nobody is asked of jobs that were named, unless they are to be removed. Jobs that were named and
    are left as they are, are an error; of a search they are only counted.
    """
    named, words = bool(asked.words) and verb != "remove", _WORDS[verb]
    if ids and not asked.dry_run and not named:
        confirm(f"{words} {several(len(ids))} of {load({}).where}", yes=asked.yes)
    operator = by_hand(backend)
    change = operator.preview(ids, plan) if asked.dry_run else operator.change(verb, ids, plan)
    done = step(change)
    report(shared, words, done)
    if asked.words and done.skipped:
        raise Refused(
            f"{sum(done.skipped.values())} of the {several(len(ids))} were left as they are: "
            f"{reasons(done)}",
            hint="see: ropeway jobs show ID",
        )


def report(shared: Shared, verb: str, done: Done) -> None:
    """Print how many there were and were changed, and say why others were not."""
    if shared.json:
        print_json(msgspec.to_builtins(done))
        return
    print(done.done)
    if done.dry_run:
        shared.say(f"would {verb} {several(done.done)}, of which the first: {_first(done)}")
    if done.skipped:
        shared.say(f"left as they are: {reasons(done)}")


def reasons(done: Done) -> str:
    """Return why jobs were left as they are, and how many for each reason."""
    return "; ".join(f"{number}: {reason}" for reason, number in done.skipped.items())


def _first(done: Done) -> str:
    return ", ".join(done.sample) or "none"
