"""`ropeway explain`: what an error code means, and what to do."""

from __future__ import annotations

import shutil
import textwrap

import click
import msgspec

from ropeway.cli.catalogue import Explanation, catalogue, closest, look_up
from ropeway.cli.listing import Drawn, print_list
from ropeway.cli.output import print_json
from ropeway.cli.shared import Shared, options
from ropeway.cli.table import Column

FIELDS = ("code", "name", "exit_code", "fact", "cause", "remedy", "example")

_COLUMNS = (
    Column(heading="CODE"),
    Column(heading="NAME"),
    Column(heading="EXIT", right=True),
    Column(heading="FACT", least=16),
)
_WIDEST = 100


def _codes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return [code for code in catalogue() if code.startswith(incomplete.upper())]


@click.command()
@click.argument("code", required=False, shell_complete=_codes)
@options("output", "json", "fields", "quiet", "verbose", "no_color")
@click.pass_obj
def explain(shared: Shared, code: str | None) -> None:
    """Say what an error code means, and what to do.

    CODE is a code or a name: RW-101, 101, UnknownTask. Without one all are listed.
    """
    known = catalogue()
    if code is None:
        records = [msgspec.to_builtins(each) for each in known.values()]
        rows = [[each.code, each.name, str(each.exit_code), each.fact] for each in known.values()]
        print_list(shared, FIELDS, records, lambda: Drawn(_COLUMNS, rows))
        return
    found = look_up(known, code)
    if found is None:
        meant = closest(known, code)
        hint = f"Did you mean {meant} ({known[meant].name})?" if meant else "See: ropeway explain"
        raise click.UsageError(f"There is no error {code!r}. {hint}")
    if shared.json:
        print_json(msgspec.to_builtins(found))
    else:
        print(page(found, min(_WIDEST, shutil.get_terminal_size().columns)))


def page(error: Explanation, width: int) -> str:
    """Write the explanation of one error for a terminal."""
    parts = [
        f"{error.code}  {error.name} (exit code {error.exit_code})",
        textwrap.fill(error.fact, width),
        _section("Why", error.cause, width),
        _section("What to do", error.remedy, width),
        "It looks like this\n" + textwrap.indent(error.example, "  "),
    ]
    return "\n\n".join(parts)


def _section(title: str, text: str, width: int) -> str:
    return f"{title}\n" + textwrap.fill(text, width, initial_indent="  ", subsequent_indent="  ")
