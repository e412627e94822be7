"""`ropeway completion`: what a shell needs to complete commands, options and names."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from ropeway.cli.shared import Shared, options

SHELLS = ("bash", "zsh", "fish")

_INSTALL = {
    "bash": "echo 'eval \"$(ropeway completion bash)\"' >> ~/.bashrc",
    "zsh": "echo 'eval \"$(ropeway completion zsh)\"' >> ~/.zshrc",
    "fish": "ropeway completion fish > ~/.config/fish/completions/ropeway.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@options("quiet")
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what a shell needs to complete commands, options, queues and job ids.

    Nothing is installed: on a terminal the line that does it is told.
    """
    root = ctx.find_root()
    made = get_completion_class(shell)
    assert made is not None
    print(made(root.command, {}, "ropeway", "_ROPEWAY_COMPLETE").source())
    ctx.ensure_object(Shared).hint(f"to have it in every new shell: {_INSTALL[shell]}")
