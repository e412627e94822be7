"""`ropeway new`: the first files of a project."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import click

from ropeway.cli.output import print_json
from ropeway.cli.shared import Shared, options
from ropeway.errors import Refused

_SUFFIX = ".in"  # so that no tool takes them for modules of ropeway

_NEXT = {
    "script": ("ropeway dev &", "python send.py"),
    "flask": ("ropeway dev &", "flask --app web run"),
    "fastapi": ("ropeway dev &", "fastapi dev web.py"),
    "django": ("ropeway dev &", "python manage.py migrate", "python manage.py runserver"),
}
TEMPLATES = tuple(_NEXT)


def a_name(text: str) -> str:
    """Read the name of a project, which is that of a package too."""
    if not re.fullmatch(r"[A-Za-z](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", Path(text).name):
        raise click.BadParameter(f"{text!r} is not a name; write letters, digits, - and _")
    return text


@click.command()
@click.argument("name", type=a_name)
@click.option(
    "--template",
    type=click.Choice(TEMPLATES),
    default="script",
    show_default=True,
    help="What the project is: tasks with a script, or with a web application.",
)
@options("output", "json", "quiet", "verbose", "no_color")
@click.pass_obj
def new(shared: Shared, name: str, template: str) -> None:
    """Write the first files of a project into a new folder.

    NAME is the folder. Prints the files; on standard error, the commands that come next.
    """
    folder = Path(name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refused(f"there is something at {folder} already", hint="name a new folder")
    written = []
    for source in sorted(_files(template).items()):
        path = folder / source[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source[1].replace("@NAME@", folder.name), encoding="utf-8")
        written.append(str(path))
    if shared.json:
        print_json({"files": written})
        return
    print("\n".join(written))
    shared.say("Next:\n" + "\n".join(f"  {line}" for line in steps(folder, template)))


def _files(template: str) -> dict[str, str]:
    return dict(_inside(resources.files("ropeway.cli") / "templates" / template))


def _inside(place: Traversable, under: str = "") -> Iterator[tuple[str, str]]:
    for each in place.iterdir():
        if each.is_dir():
            yield from _inside(each, f"{under}{each.name}/")
        elif each.name.endswith(_SUFFIX):
            yield under + each.name.removesuffix(_SUFFIX), each.read_text(encoding="utf-8")


def steps(folder: Path, template: str) -> list[str]:
    """Return the commands that come next."""
    return [f"cd {shlex.quote(str(folder))}", *_NEXT[template]]
