"""How errors are shown: a code, the fact and the hint on standard error; no traceback unasked."""

from __future__ import annotations

import sys
import traceback

import click

from ropeway import safe
from ropeway.cli.output import to_json
from ropeway.errors import RopewayError, TaskFailed

INTERRUPTED = 130
_INDENT = " " * 8


def report(error: RopewayError, *, json: bool, verbose: bool) -> int:
    """Show an error on standard error and return its exit code."""
    if json:
        more = {"traceback": _trace(error)} if verbose else {}
        _print_json(error.code, error.fact, error.hint, **more)
        return error.exit_code
    fact = safe.lines(error.fact).replace("\n", "\n" + _INDENT)
    print(f"{error.code}  {fact}", file=sys.stderr)
    if error.hint:
        hint = safe.lines(error.hint).replace("\n", f"\n{_INDENT}  ")
        print(f"{_INDENT}→ {hint}", file=sys.stderr)
    if verbose:
        print(safe.lines(_trace(error)), file=sys.stderr)
    return error.exit_code


def report_usage(error: click.UsageError) -> int:
    """Show a wrong usage as JSON and return its exit code."""
    _print_json("usage", error.format_message(), "")
    return error.exit_code


def _print_json(code: str, message: str, hint: str, **more: str) -> None:
    body = {"error": {"code": code, "message": message, "hint": hint, **more}}
    print(to_json(body, pretty=False), file=sys.stderr)


def _trace(error: RopewayError) -> str:
    if isinstance(error, TaskFailed) and error.traceback:
        return error.traceback  # where the task failed says more than where we heard of it
    return "".join(traceback.format_exception(error)).rstrip()
