"""Reading a crontab: its lines as commands with their times, and what of it means nothing here."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from ropeway.cron.expression import cron_of
from ropeway.cron.zones import zone_of
from ropeway.errors import BadSchedule

_SETTING = re.compile(r"""\s*([A-Za-z_]\w*)\s*=\s*(?:"([^"]*)"|'([^']*)'|(.*?))\s*""")
_UNESCAPED = re.compile(r"(?<!\\)%")
_ZONEINFO = "zoneinfo/"
_LONGEST_NAME = 60


class Line(Struct, frozen=True, kw_only=True):
    """A line that runs something: `problem` says why it cannot be a schedule."""

    number: int
    cron: str = ""
    command: str = ""
    timezone: str = "UTC"
    name: str = ""
    problem: str = ""


class Crontab(Struct, frozen=True):
    """What a crontab says; `ignored` are names of settings that have no meaning here."""

    lines: list[Line]
    ignored: list[str]


def local_zone() -> str:
    """Return the name of this machine's time zone, by which cron goes; UTC if it has none."""
    found = os.environ.get("TZ") or os.path.realpath("/etc/localtime").partition(_ZONEINFO)[2]
    try:
        return zone_of(found).key or "UTC"
    except BadSchedule:
        return "UTC"


def parse(text: str, *, timezone: str, system: bool, prefix: str) -> Crontab:
    """Read a crontab; with `system` its lines name a user before the command."""
    lines, ignored, names = list[Line](), list[str](), set[str]()
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        setting = _SETTING.fullmatch(line)
        if setting and setting[1] in {"CRON_TZ", "TZ"}:
            timezone = next(each for each in setting.groups()[1:] if each is not None)
        elif setting:
            ignored.append(setting[1])
        else:
            read = _read(number, line, timezone, system)
            lines.append(_named(read, prefix, names))
    return Crontab(lines, ignored)


def _read(number: int, line: str, timezone: str, system: bool) -> Line:
    words = line.split(None, 1 if line.startswith("@") else 5)
    times = 1 if line.startswith("@") else 5
    if len(words) <= times:
        return Line(number=number, problem="it has no command")
    cron, command = " ".join(words[:times]), words[times]
    if system:
        _, _, command = command.partition(" ")
        command = command.strip() or ""
        if not command:
            return Line(number=number, cron=cron, problem="it has a user and no command")
    return Line(
        number=number,
        cron=cron,
        command=command.replace(r"\%", "%"),
        timezone=timezone,
        problem=_problem(cron, command, timezone),
    )


def _problem(cron: str, command: str, timezone: str) -> str:
    if cron.lower() == "@reboot":
        return "@reboot is no time: have the service of the worker start it"
    if _UNESCAPED.search(command):
        return "% gives the command input in a crontab: write that into the command"
    try:
        zone_of(timezone)
        cron_of(cron)
    except BadSchedule as error:
        return error.fact
    return ""


def _named(line: Line, prefix: str, names: set[str]) -> Line:
    """Give a line a name that is made of its command, the same at each reading."""
    base = re.sub(r"[^A-Za-z0-9]+", "-", line.command).strip("-")[:_LONGEST_NAME] or "line"
    name, again = prefix + base, 2
    while name in names:
        name, again = f"{prefix}{base}-{again}", again + 1
    if not line.problem:
        names.add(name)
    return replace(line, name=name)


def problems(lines: Sequence[Line]) -> list[str]:
    """Return a sentence for each line that cannot be a schedule."""
    return [f"line {each.number}: {each.problem}" for each in lines if each.problem]
