"""`ropeway support-bundle`: what somebody needs who shall help, in one archive without secrets."""

from __future__ import annotations

import os
import platform
import re
import sys
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import click
import msgspec

from ropeway import __version__
from ropeway.cli.bundle import (
    Part,
    last_lines,
    of_facts,
    part,
    secrets_of,
    without_secrets,
    write,
)
from ropeway.cli.commands.config import settings_shown
from ropeway.cli.commands.doctor import examine
from ropeway.cli.listing import Drawn, print_list
from ropeway.cli.look import looking
from ropeway.cli.output import print_lines
from ropeway.cli.shared import Shared, options
from ropeway.cli.table import Column
from ropeway.config import load
from ropeway.errors import RopewayError
from ropeway.operate.facts import gather
from ropeway.operate.queue import CAP
from ropeway.stepping import step

FIELDS = ("name", "bytes", "says")
_COLUMNS = (Column(heading="FILE"), Column(heading="BYTES", right=True), Column(heading="WHAT"))
_README = """\
A support bundle of ropeway {version}.

It holds versions, what `ropeway doctor` says, settings, and numbers of queues, workers and errors.
It holds no argument and no result of any job, no message of an error, and no output of a task.
Passwords and tokens are replaced by dots: those of URLs, those in variables of the environment, and
whatever stands after the name of a secret. Log files are in it only if they were named; what an app
itself has written into them is not known, so look at them before you pass the bundle on.

"""


@click.command("support-bundle")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--log",
    "logs",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Add the last 1000 lines of this log of a worker; may be repeated.",
)
@click.option(
    "--print", "shown", is_flag=True, help="Print all that would be in it; write nothing."
)
@options()
@click.pass_obj
def support_bundle(shared: Shared, file: Path | None, logs: tuple[Path, ...], shown: bool) -> None:
    """Write an archive for those who shall help, without secrets and without data of jobs.

    It holds versions, what doctor says, the settings, and numbers of queues, workers and errors;
    its files are listed. FILE is ropeway-support-DATE.tar.gz if it is not said. A database that
    cannot be reached is no obstacle: the bundle says why.
    """
    now = time.time()
    parts = _parts(shared, logs)
    if shown:
        print_lines("\n".join(f"== {each.name}: {each.says}\n{each.text}" for each in parts))
        return
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    path = file or Path(f"ropeway-support-{stamp}.tar.gz")
    write(path, parts, now)
    records = [
        {"name": each.name, "bytes": len(each.text.encode()), "says": each.says} for each in parts
    ]
    rows = [[str(value) for value in record.values()] for record in records]
    print_list(shared, FIELDS, records, lambda: Drawn(_COLUMNS, rows))
    shared.say(f"written to {path}; look at it before you pass it on: tar xzf {path}")


def _parts(shared: Shared, logs: tuple[Path, ...]) -> list[Part]:
    found = list(_gathered(shared, logs))
    contents = "".join(f"{each.name:<14}{each.says}\n" for each in found)
    readme = Part("README.txt", "what this is", _README.format(version=__version__) + contents)
    return without_secrets([readme, *found], secrets_of(_urls(), os.environ))


def _gathered(shared: Shared, logs: tuple[Path, ...]) -> Iterator[Part]:
    yield part("versions.json", "ropeway, Python, the system and packages", _versions())
    checks = [msgspec.to_builtins(check) for check in examine(shared.app)]
    yield part("doctor.json", "what ropeway doctor says", checks)
    try:
        yield part("settings.json", "each setting, and where it comes from", settings_shown({}))
        with looking() as (backend, missing):
            if backend is None:
                yield part("database.json", "why there are no figures", {"missing": missing})
            else:
                yield from of_facts(step(gather(backend, CAP)))
    except RopewayError as error:
        told = {"code": error.code, "fact": error.fact, "hint": error.hint}
        yield part("database.json", "why there are no figures", told)
    yield from last_lines(logs)


def _versions() -> dict[str, Any]:
    return {
        "ropeway": __version__,
        "python": f"{platform.python_implementation()} {sys.version}",
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "variables": sorted(name for name in os.environ if name.startswith("ROPEWAY_")),
        "packages": dict(_packages()),
    }


def _packages() -> Iterator[tuple[str, str]]:
    for needed in requires("ropeway") or ():
        name = re.split(r"[^\w.-]", needed, maxsplit=1)[0]
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def _urls() -> list[str]:
    try:
        settings = load({})
    except RopewayError:
        return [value for name, value in os.environ.items() if name.startswith("ROPEWAY_")]
    return [url for url in (settings.url, settings.broker, settings.outbox) if url]
