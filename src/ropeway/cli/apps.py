"""Importing an app for a command, and finding one of its tasks."""

from __future__ import annotations

import contextlib
import difflib
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any, cast

import click

from ropeway.errors import AppNotFound, RopewayError, UnknownTask
from ropeway.task import Task
from ropeway.worker.locate import load_app

if TYPE_CHECKING:
    from ropeway.app import Ropeway


def import_app(target: str) -> Ropeway:
    """Import the app; what it prints goes to standard error, which is for talk.

    Raises `AppNotFound`, also when the module fails: with the place in it, and the cause chained.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return cast("Ropeway", load_app(target))
    except RopewayError:
        raise
    except Exception as error:
        raise AppNotFound(
            f"{target} cannot be imported: {_what_and_where(error)}",
            hint="-v shows the whole traceback",
        ) from error


def _what_and_where(error: Exception) -> str:
    what = traceback.format_exception_only(error)[-1].strip()
    frames = traceback.extract_tb(error.__traceback__)
    here = [frame for frame in frames if not frame.filename.startswith("<")]
    if isinstance(error, SyntaxError) or not here:
        return f"{what} ({getattr(error, 'filename', None)}:{getattr(error, 'lineno', None)})"
    return f"{what} ({os.path.relpath(here[-1].filename)}:{here[-1].lineno})"


def find_task(tasks: dict[str, Task[..., Any]], name: str, target: str) -> Task[..., Any]:
    """Return the task of that name, or the only one whose name ends in it."""
    if name in tasks:
        return tasks[name]
    found = [known for known in tasks if known.endswith(f".{name}")]
    if len(found) == 1:
        return tasks[found[0]]
    if found:
        raise click.UsageError(f"{name!r} may be any of: {', '.join(sorted(found))}")
    raise UnknownTask(f"{target} has no task {name!r}", hint=_meant(list(tasks), name))


def _meant(known: list[str], name: str) -> str:
    if not known:
        return "it has no tasks at all: decorate a function with @app.task"
    short = {task.rpartition(".")[2]: task for task in known}
    close = difflib.get_close_matches(name, [*known, *short], 1, 0.5)
    if close:
        return f"did you mean {short.get(close[0], close[0])}?"
    return f"it has: {', '.join(sorted(known)[:10])}"
