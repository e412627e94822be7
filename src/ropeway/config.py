"""The settings, in one validated object; where they come from, and in which order."""

from __future__ import annotations

import difflib
import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from ropeway.errors import ConfigError
from ropeway.safe import masked

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
Durability = Literal["disk", "process"]
_FACTORS = {
    "": 1,
    "B": 1,
    **{f"{letter}B": 1000**power for power, letter in enumerate("KMGT", 1)},
    **{f"{letter}IB": 1024**power for power, letter in enumerate("KMGT", 1)},
}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)")


def seconds(value: float | str, name: str = "duration") -> float:
    """Return `value` as seconds: a number, or a text such as `"90s"`, `"5m"` or `"1h30m"`.

    Raises `ConfigError` for anything else, and for what is negative or not finite.
    """
    if isinstance(value, str):
        parts = _DURATION.findall(value)
        if not parts or _DURATION.sub("", value).strip():
            raise ConfigError(
                f"{name}={value!r} is not a duration", hint='write 90, "90s", "5m" or "1h30m"'
            )
        value = sum(float(number) * _UNITS[unit] for number, unit in parts)
    try:
        usable = not isinstance(value, bool) and 0 <= value <= sys.float_info.max
    except TypeError:  # what a file holds may be of any type
        usable = False
    if not usable:
        raise ConfigError(f"{name}={value!r} is not a duration", hint="write seconds, 0 or more")
    return float(value)


def per_second(value: float | str, name: str = "rate") -> float:
    """Return `value` as a number a second: a number, or a text such as `"10/s"` or `"500/h"`.

    Raises `ConfigError` for anything else, and for what is not positive or not finite.
    """
    given = value
    try:
        if isinstance(value, str):
            number, _, unit = value.replace(" ", "").partition("/")
            value = float(number) / _UNITS[unit or "s"]
        usable = not isinstance(value, bool) and 0 < value <= sys.float_info.max
    except (ValueError, KeyError, TypeError):
        usable = False
    if not usable:
        raise ConfigError(f"{name}={given!r} is not a rate", hint='write 10, "10/s" or "500/h"')
    return float(value)


def size(value: int | str, name: str = "size") -> int:
    """Return `value` as bytes: a number, or a text such as `"512MB"` or `"2GiB"`.

    Raises `ConfigError` for anything else, and for less than one byte.
    """
    found: object = value
    if isinstance(value, str):
        parts = _SIZE.fullmatch(value.strip())
        factor = _FACTORS.get(parts[2].upper()) if parts else None
        found = round(float(parts[1]) * factor) if parts and factor else None
    if isinstance(found, bool) or not isinstance(found, int) or found < 1:
        raise ConfigError(f"{name}={value!r} is not a size", hint='write "512MB" or "2GiB"')
    return found


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an app and its workers behave; durations are seconds.

    url: where messages and records are kept.
    broker: where plain messages travel, if not through `url`: the two are a pair then.
    outbox: where a message that is sent in somebody's transaction waits to be forwarded to `url`.
    lease: how long a worker may be silent before its jobs are handed to another.
    grace: how long a worker that was asked to stop lets running jobs finish.
    keep: how long results stay. keep_failed: how long failed and quarantined jobs stay.
    keep_count: how many records of each final state stay, whatever their age.
    durability: what an acknowledged change outlives: "disk", a power cut, or "process", the death
    of any process, which is quicker.
    unknown_grace: how long a job whose task no worker knows is tried before quarantine.
    block_timeout: how long a send waits for room in a full queue with overflow="block".
    max_message: largest body of a message or a result that travels in it, in bytes; a larger one is
    kept apart, up to max_blob.
    codec: how arguments are written: "json", for people and other languages, or "msgpack".
    signing: keys that messages are signed with, "name:secret" split by commas: the first signs, all
    of them verify, and what none of them has signed is not run.
    """

    url: str = ""
    broker: str = ""
    outbox: str = ""
    lease: float = 60.0
    grace: float = 30.0
    keep: float = 86_400.0
    keep_failed: float = 604_800.0
    keep_count: int = 1_000_000
    durability: Durability = "disk"
    unknown_grace: float = 600.0
    block_timeout: float = 30.0
    max_message: int = 1_048_576
    max_blob: int = 67_108_864
    codec: Literal["json", "msgpack"] = "json"
    signing: str = ""

    def __post_init__(self) -> None:
        if self.lease < 1:
            raise ConfigError(f"lease={self.lease} is too short", hint="use 1 second or more")
        if self.keep_count < 1:
            raise ConfigError(f"keep_count={self.keep_count} keeps no result", hint="use 1 or more")
        if self.max_message < 1024:
            raise ConfigError(
                f"max_message={self.max_message} is too small", hint="use 1024 bytes or more"
            )

    @property
    def where(self) -> str:
        """Where messages and records are, for people: without passwords."""
        return " and ".join(masked(each) for each in (self.broker, self.url) if each)

    @property
    def largest(self) -> int:
        """How many bytes a body may have at all, in its message or kept apart."""
        return max(self.max_message, self.max_blob)


def shown(settings: Settings) -> dict[str, Any]:
    """Return the settings for people and programs: without passwords and secrets."""
    keys = [each.strip().partition(":") for each in settings.signing.split(",") if each]
    values: dict[str, Any] = msgspec.to_builtins(settings)
    values |= {name: masked(values[name]) for name in ("url", "broker", "outbox")}
    return values | {"signing": ",".join(f"{name if colon else ''}:***" for name, colon, _ in keys)}


DURATIONS = ("lease", "grace", "keep", "keep_failed", "unknown_grace", "block_timeout")
"""The settings that are durations: numbers of seconds, or texts."""


IN_MEMORY = 100_000
"""How many records of each final state stay where they are kept in memory, unless it is said."""


def load(given: dict[str, Any]) -> Settings:
    """Build the settings: `ROPEWAY_*`, else `given`, else `[tool.ropeway]`, else the defaults.

    The environment comes first so that a deployment can be moved without a change of code.

    Unknown names and unusable values raise `ConfigError`, which names the closest known one.
    """
    merged = {**_from_project(), **given, **_from_environment()}
    unknown = [name for name in merged if name not in Settings.__struct_fields__]
    if unknown:
        close = difflib.get_close_matches(unknown[0], Settings.__struct_fields__, 1)
        raise ConfigError(
            f"there is no setting {unknown[0]!r}",
            hint=f"did you mean {close[0]!r}?" if close else "see docs/reference/settings.md",
        )
    for name in DURATIONS:
        if name in merged:
            merged[name] = seconds(merged[name], name)
    if not merged.get("url"):
        merged["url"] = default_url()
    if str(merged["url"]).startswith("redis"):
        merged.setdefault("keep_count", IN_MEMORY)
    try:
        return msgspec.convert(merged, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"a setting cannot be used: {error}") from None


OTHER_VARIABLES = (
    "ROPEWAY_APP",
    "ROPEWAY_DASHBOARD_SECRET",
    "ROPEWAY_OIDC_CLIENT_SECRET",
    "ROPEWAY_LOG_FORMAT",
    "ROPEWAY_LOG_LEVEL",
)
"""Variables that name no setting."""


class Origin(Struct, frozen=True):
    """Which place the value of a setting comes from."""

    setting: str
    place: str


def origins(given: dict[str, Any]) -> list[Origin]:
    """Say for each setting where `load(given)` finds it: a variable, the code, a file, nowhere."""
    environment, project = _from_environment(), _from_project()
    file = str(project_directory() / "pyproject.toml")

    def place(name: str) -> str:
        if name in environment:
            return f"ROPEWAY_{name.upper()}"
        if name in given:
            return "code"
        return file if name in project else "default"

    return [Origin(name, place(name)) for name in Settings.__struct_fields__]


def refuse_unknown_variables() -> None:
    """Raise `ConfigError` for a variable that begins like a setting's and names none."""
    known = [f"ROPEWAY_{name.upper()}" for name in Settings.__struct_fields__]
    known += OTHER_VARIABLES
    for name in sorted(os.environ):
        if name.startswith("ROPEWAY_") and name not in known:
            close = difflib.get_close_matches(name, known, 1)
            raise ConfigError(
                f"the variable {name} says nothing to ropeway",
                hint=f"did you mean {close[0]}?" if close else "see docs/reference/settings.md",
            )


def default_url() -> str:
    """The embedded database: in the directory of the nearest `pyproject.toml`, else here."""
    return f"sqlite:///{project_directory() / '.ropeway' / 'ropeway.db'}"


def project_directory() -> Path:
    """The directory of the nearest `pyproject.toml`, upwards, else the working directory."""
    here = Path.cwd()
    for directory in (here, *here.parents):
        if (directory / "pyproject.toml").is_file():
            return directory
    return here


def project_table() -> dict[str, Any]:
    """The `[tool.ropeway]` table of the nearest `pyproject.toml`, or an empty one."""
    path = project_directory() / "pyproject.toml"
    if not path.is_file():
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    return dict(table.get("tool", {}).get("ropeway", {}))


def _from_project() -> dict[str, Any]:
    return {name: value for name, value in project_table().items() if name != "app"}


def _from_environment() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in Settings.__struct_fields__:
        value = os.environ.get(f"ROPEWAY_{name.upper()}")
        if value:
            numeric = name in DURATIONS and re.fullmatch(r"\d+(\.\d+)?", value)
            found[name] = float(value) if numeric else value
    return found
