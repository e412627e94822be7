"""The options that many commands have in common, and talk on standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click
from msgspec import Struct

from ropeway.cli import safe
from ropeway.config import seconds
from ropeway.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])


class Shared(Struct):
    """What the common options said, wherever on the command line they stood."""

    app: str | None = None
    url: str | None = None
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    no_color: bool = False

    def say(self, text: str) -> None:
        """Write a line for people on standard error, unless they asked for quiet."""
        if not self.quiet:
            print(safe.lines(text), file=sys.stderr, flush=True)


def a_duration(text: str) -> float:
    """Read the seconds of an option: a number, or a text such as 90s, 5m, 1h30m."""
    try:
        return seconds(float(text) if text.strip()[-1:].isdigit() else text)
    except (ConfigError, ValueError):
        raise click.BadParameter(f"{text!r} is not a duration; write 90, 90s or 1h30m") from None


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
    "json": _flag("--json", says="Print JSON, errors too."),
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


LOOKING = ("url", "json", "quiet", "verbose", "no_color")
"""The common options of commands that print data and import no app."""
