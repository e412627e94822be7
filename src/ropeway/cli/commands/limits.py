"""`ropeway limits`: look at limits, and change them while workers run."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import click

from ropeway.cli import limitview
from ropeway.cli.complete import limit_names
from ropeway.cli.groups import Suggesting
from ropeway.cli.listing import print_list
from ropeway.cli.look import by_hand, changing, looking
from ropeway.cli.output import print_json, print_lines
from ropeway.cli.shared import LISTING, LOOKING, Shared, options
from ropeway.limiting import (
    LimitInfo,
    LimitValue,
    all_in_force,
    in_force,
    limit_of,
)
from ropeway.metering import LimitUse, naming, used
from ropeway.operate import limit as limits_told
from ropeway.operate.limit import allows
from ropeway.stepping import step
from ropeway.store import Backend


@click.group(cls=Suggesting)
@options(*LOOKING)
def limits() -> None:
    """Look at limits, and change them while workers run: ls, show, set, reset."""


@limits.command()
@options(*LISTING)
@click.pass_obj
def ls(shared: Shared) -> None:
    """List the limits in force, what of each is used and what waits for it.

    RUNNING calls name it, and ROOM more may start now; WAITING are due, of the newest 1,000 jobs
    that wait. SET is who changed it by hand: without that it is as the code says.
    """
    found: list[LimitUse] = []
    now = 0.0
    with looking() as (backend, missing):
        if backend is None:
            shared.say(missing)
        else:
            now, found = step(backend.now()), step(used(backend, step(all_in_force(backend))))
            if not found and not shared.json:
                shared.say("nothing is limited: workers declare limits when they start")
    print_list(
        shared,
        limits_told.FIELDS,
        [limits_told.summary(use) for use in found],
        lambda: limitview.drawn(found, now),
    )


@limits.command()
@click.argument("limit", shell_complete=limit_names)
@options(*LOOKING)
@click.pass_obj
def show(shared: Shared, limit: str) -> None:
    """Show one limit: what it allows, which jobs run and wait, who has set it."""
    with changing() as backend:
        use, now = _use(backend, limit), step(backend.now())
        jobs = step(naming(backend, limit))
        _question_the_name(shared, backend, use)
    if shared.json:
        print_json(limits_told.summary(use))
    else:
        print_lines(limitview.page(use, jobs, now))


@limits.command("set")
@click.argument("limit", shell_complete=limit_names)
@click.argument("value", nargs=-1, required=True)
@click.option("--why", default="", metavar="TEXT", help="The reason, for whoever looks.")
@options(*LOOKING)
@click.pass_obj
def set_(shared: Shared, limit: str, value: Sequence[str], why: str) -> None:
    """Change a limit now, for every worker.

    VALUE is how many calls at once (5), how many in a time (30/m, "30/m burst 5"), both (5 30/m), or
    none. What runs is not stopped. It holds until it is reset: a worker that starts later, whatever
    its code says, does not change it.
    """
    wanted = limit_of(limit, _value(value))
    with changing() as backend:
        _question_the_name(shared, backend, _use(backend, limit))
        step(by_hand(backend).set_limit(wanted, why))
        use = _use(backend, limit)
    if shared.json:
        print_json(limits_told.summary(use))
    else:
        how = f"{limit} allows {allows(wanted)} now, whatever code is deployed"
        shared.say(f"{how}; until {limitview.reset_command(limit)}")


@limits.command()
@click.argument("limit", shell_complete=limit_names)
@options(*LOOKING)
@click.pass_obj
def reset(shared: Shared, limit: str) -> None:
    """Go back to what the code says: that of the worker that started last.

    Without code that declares the limit nothing is limited.
    """
    with changing() as backend:
        _question_the_name(shared, backend, _use(backend, limit))
        was, now = step(by_hand(backend).reset_limit(limit))
        use = _use(backend, limit)
    if shared.json:
        print_json({**limits_told.summary(use), "was_overridden": bool(was and was.overridden)})
    elif now is None:
        shared.say(f"{limit} limits nothing: no code declares it")
    else:
        again = " again" if was and was.overridden else ", which nobody had changed"
        shared.say(f"{limit} allows {allows(now.limit)}, as the code says{again}")


def _value(words: Sequence[str]) -> LimitValue:
    """Read `5`, `30/m burst 5` or `5 30/m` from the words of a command line."""
    first, _, rest = " ".join(words).strip().partition(" ")
    if not first.lstrip("-").isdigit():
        return " ".join(words).strip()
    return (int(first), rest.strip()) if rest else int(first)


def _use(backend: Backend, name: str) -> LimitUse:
    found = step(in_force(backend, [name])) or [LimitInfo(name=name)]
    (use,) = step(used(backend, found))
    return use


def _question_the_name(shared: Shared, backend: Backend, use: LimitUse) -> None:
    """Say so if nobody has declared the limit or uses it, as its name may be a slip."""
    name = use.limit.name
    known = [limit.name for limit in step(all_in_force(backend))]
    if name in known or use.running or use.waiting:
        return
    close = difflib.get_close_matches(name, known, 1, 0.5)
    meant = f"; did you mean {close[0]}?" if close else ""
    shared.say(f"no limit {name} is in force, and no job names it{meant}")
