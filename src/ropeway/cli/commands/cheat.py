"""`ropeway cheat`: command lines for copying."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem

from ropeway.cli.listing import Drawn, print_list
from ropeway.cli.recipes import TOPICS
from ropeway.cli.shared import Shared, options

FIELDS = ("topic", "says", "command")


def _completed(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [
        CompletionItem(name, help=topic.title)
        for name, topic in TOPICS.items()
        if name.startswith(incomplete)
    ]


@click.command()
@click.argument("topic", required=False, shell_complete=_completed)
@options("output", "json", "fields", "quiet", "verbose", "no_color")
@click.pass_obj
def cheat(shared: Shared, topic: str | None) -> None:
    """Print command lines to copy, by what one wants to do.

    TOPIC is one of start, work, stuck, failed, calm, routing, schedules, topics, watch, keep.
    Without one all are printed. Nothing is run, and nothing is opened.
    """
    if topic is not None and topic not in TOPICS:
        close = difflib.get_close_matches(topic, TOPICS, 1, 0.5)
        meant = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(TOPICS)}."
        raise click.UsageError(f"There is no topic {topic!r}. {meant}")
    names = list(TOPICS) if topic is None else [topic]
    if shared.output == "table" and not shared.fields:
        print(page(names))
        return
    records = [
        {"topic": name, "says": recipe.says, "command": recipe.command}
        for name in names
        for recipe in TOPICS[name].recipes
    ]
    print_list(shared, FIELDS, records, lambda: Drawn((), ()))


def page(names: Sequence[str]) -> str:
    """Write topics as a shell reads them: what is said is a comment, and each line can be copied."""
    parts = [
        [f"## {name}: {TOPICS[name].title}"]
        + [f"\n# {recipe.says}\n{recipe.command}" for recipe in TOPICS[name].recipes]
        for name in names
    ]
    return "\n\n".join("\n".join(lines) for lines in parts)
