"""The options that many commands have in common, and talk on standard error."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import click
from msgspec import Struct

from ropeway import safe
from ropeway.config import seconds, size
from ropeway.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])
Output = Literal["table", "json", "jsonl", "csv"]
OUTPUTS: tuple[Output, ...] = ("table", "json", "jsonl", "csv")


class Shared(Struct):
    """What the common options said, wherever on the command line they stood."""

    app: str | None = None
    url: str | None = None
    context: str | None = None
    protected: str | None = None
    confirm: str | None = None
    output: Output = "table"
    fields: tuple[str, ...] = ()
    utc: bool = False
    quiet: bool = False
    verbose: bool = False
    no_color: bool = False

    @property
    def json(self) -> bool:
        """Whether what is printed is for a program that reads JSON, errors too."""
        return self.output in {"json", "jsonl"}

    def say(self, text: str) -> None:
        """Write a line for people on standard error, unless they asked for quiet."""
        if not self.quiet:
            print(safe.lines(text), file=sys.stderr, flush=True)

    def hint(self, text: str) -> None:
        """Say what could be done next, where somebody looks at both the data and the talk."""
        if sys.stdout.isatty() and sys.stderr.isatty() and self.output == "table":
            self.say(text)


def a_duration(text: str) -> float:
    """Read the seconds of an option: a number, or a text such as 90s, 5m, 1h30m."""
    try:
        return seconds(float(text) if text.strip()[-1:].isdigit() else text)
    except (ConfigError, ValueError):
        raise click.BadParameter(f"{text!r} is not a duration; write 90, 90s or 1h30m") from None


def a_resource(text: str) -> tuple[str, int]:
    """Read `gpu=2`, as click wants it read."""
    from ropeway.resources import read

    try:
        return read(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no amount of a resource; write gpu=2") from None


def a_size(text: str) -> int:
    """Read the bytes of an option: a number, or a text such as 512MB or 2GiB."""
    try:
        return size(text)
    except ConfigError:
        raise click.BadParameter(f"{text!r} is not a size; write 512MB or 2GiB") from None


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    shared = ctx.ensure_object(Shared)
    if not value or param.name is None:
        return
    setattr(shared, param.name, value)
    # Through the environment, so that the processes which a command starts have it too.
    if param.name == "url":
        os.environ["ROPEWAY_URL"] = value
    elif param.name == "no_color":
        os.environ["NO_COLOR"] = "1"
    elif param.name == "utc":
        os.environ["TZ"] = "UTC"
        time.tzset()


def _in_context(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Take the place from the context that was named, or from the one in use if nothing was said.

    The one in use is for commands that import no app: it does not move a worker or a program.
    """
    shared = ctx.ensure_object(Shared)
    _refuse_both(shared)
    if value is None and (
        shared.url
        or shared.context
        or os.environ.get("ROPEWAY_URL")
        or isinstance(ctx.command, click.Group)
        or any(option.name == "app" for option in ctx.command.params)
    ):
        return
    from ropeway.cli import contexts

    known = contexts.read()
    name = value or known.used
    if name is None:
        return
    context = known.find(name)
    url, broker = contexts.resolved(context, os.environ)
    os.environ.update(ROPEWAY_URL=url, ROPEWAY_BROKER=broker)
    shared.context = name
    shared.protected = name if context.protected else None
    _refuse_both(shared)


def _refuse_both(shared: Shared) -> None:
    if shared.url and shared.context:
        raise click.UsageError("Say either --url or --context, not both.")


def _context_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from ropeway.cli.complete import context_names

    return context_names(ctx, param, incomplete)


def _as_json(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Shared).output = "json"


def _names(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        names = tuple(name.strip() for name in value.split(","))
        if "" in names:
            raise click.BadParameter("a name is empty; write --fields id,state", ctx, param)
        ctx.ensure_object(Shared).fields = names


def _flag(*names: str, says: str) -> Callable[[F], F]:
    return click.option(*names, is_flag=True, expose_value=False, callback=_remember, help=says)


_OPTIONS: dict[str, Callable[..., Any]] = {
    "app": click.option(
        "-A",
        "--app",
        metavar="MODULE[:ATTR]",
        expose_value=False,
        callback=_remember,
        help="The app: a module, module:attribute or file.",
    ),
    "url": click.option(
        "-u",
        "--url",
        metavar="URL",
        expose_value=False,
        callback=_remember,
        help="Where jobs are kept; also ROPEWAY_URL.",
    ),
    "context": click.option(
        "-C",
        "--context",
        metavar="NAME",
        expose_value=False,
        callback=_in_context,
        shell_complete=_context_names,
        help="Where jobs are kept, by its name: see ropeway contexts.",
    ),
    "confirm": click.option(
        "--confirm",
        metavar="NAME",
        expose_value=False,
        callback=_remember,
        help="The name of a protected context, where something would be asked.",
    ),
    "output": click.option(
        "-o",
        "--output",
        type=click.Choice(OUTPUTS),
        expose_value=False,
        callback=_remember,
        help="How lists are printed; with json and jsonl errors are JSON too.",
    ),
    "json": click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        callback=_as_json,
        help="The same as -o json.",
    ),
    "fields": click.option(
        "--fields",
        metavar="NAMES",
        expose_value=False,
        callback=_names,
        help="Print only these fields of a list, in this order: id,state,error.type.",
    ),
    "utc": _flag("--utc", says="Dates for people in UTC instead of this machine's time zone."),
    "quiet": _flag("-q", "--quiet", says="Say only what was asked for, and errors."),
    "verbose": _flag("-v", "--verbose", says="Say more; show tracebacks of errors."),
    "no_color": _flag("--no-color", says="No colours; NO_COLOR does the same."),
}


def options(*names: str) -> Callable[[F], F]:
    """Give a command some of the common options; without names, all of them."""

    def decorate(function: F) -> F:
        for name in reversed(names or tuple(_OPTIONS)):
            function = _OPTIONS[name](function)
        return function

    return decorate


def confirmable(function: F) -> F:
    """Give a command `--dry-run` and `--yes`: see `ropeway.cli.confirm`."""
    dry = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
    yes = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
    return dry(yes(function))


LOOKING = ("url", "context", "confirm", "output", "json", "utc", "quiet", "verbose", "no_color")
"""The common options of commands that print data and import no app."""

LISTING = (*LOOKING, "fields")
"""The same for commands that print a list: see `ropeway.cli.listing`."""
