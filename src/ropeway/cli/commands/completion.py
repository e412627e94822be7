"""`ropeway completion`: what a shell needs to complete commands, options and names."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import get_completion_class

from ropeway.cli.confirm import confirm
from ropeway.cli.shared import Shared, options
from ropeway.errors import Refused

SHELLS = ("bash", "zsh", "fish")

_LINE = 'eval "$(ropeway completion {shell})"'
_FILES = {"bash": ".bashrc", "zsh": ".zshrc", "fish": ".config/fish/completions/ropeway.fish"}


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.option("--install", is_flag=True, help="Have it in every new shell: shown, and asked about.")
@click.option("-y", "--yes", is_flag=True, help="With --install: do not ask.")
@options("quiet")
@click.pass_context
def completion(ctx: click.Context, shell: str, install: bool, yes: bool) -> None:
    """Print what a shell needs to complete commands, options and names.

    Names are those of queues, jobs, tasks, schedules, runs, topics, exchanges, limits, workers and
    contexts. With --install the file that the shell reads is changed.
    """
    shared = ctx.ensure_object(Shared)
    if install:
        _install(shared, shell, _source(ctx, shell), yes=yes)
        return
    print(_source(ctx, shell))
    shared.hint(f"to have it in every new shell: ropeway completion {shell} --install")


def _source(ctx: click.Context, shell: str) -> str:
    made = get_completion_class(shell)
    assert made is not None
    return made(ctx.find_root().command, {}, "ropeway", "_ROPEWAY_COMPLETE").source()


def _install(shared: Shared, shell: str, source: str, *, yes: bool) -> None:
    """Write what is missing, once; what else is in the file stays as it is."""
    path = Path.home() / _FILES[shell]
    line = _LINE.format(shell=shell)
    try:
        there = path.read_text(encoding="utf-8") if path.exists() else ""
        if shell == "fish":
            _write(shared, path, source, f"write the completions to {path}", there, yes=yes)
        elif line in there.splitlines():
            shared.say(f"{path} has it already")
        else:
            text = there + ("\n" if there and not there.endswith("\n") else "") + line + "\n"
            _write(shared, path, text, f"add this line to {path}: {line}", there, yes=yes)
    except (OSError, UnicodeError) as error:
        raise Refused(f"{path} cannot be changed: {error}", hint=f"add the line: {line}") from None


def _write(shared: Shared, path: Path, text: str, what: str, there: str, *, yes: bool) -> None:
    if text == there:
        shared.say(f"{path} has it already")
        return
    confirm(what, yes=yes)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    shared.say(f"{path} is written: open a new shell")
