"""From `module:attribute`, or a file, to the app that it holds."""

from __future__ import annotations

import importlib
import os
import re
import sys
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ropeway.config import Settings, project_table
from ropeway.connect import Connecting
from ropeway.errors import AppNotFound
from ropeway.exchanges import Exchanges
from ropeway.limits import Limits
from ropeway.middleware import Hooks
from ropeway.schedules.api import Schedules
from ropeway.topics import Topics

CANDIDATES = ("tasks.py", "app.py", "main.py")
_MAKES_APP = re.compile(r"\bRopeway\(")


@runtime_checkable
class Application(Protocol):
    """What a worker needs of an app."""

    settings: Settings
    tasks: dict[str, Any]
    inner: dict[str, Any]
    limits: Limits
    exchanges: Exchanges
    schedules: Schedules
    topics: Topics
    connection: Connecting
    hooks: Hooks


def choose_target(given: str | None) -> str:
    """Return which app to use, without importing it.

    `given`, else `ROPEWAY_APP`, else `app` in `[tool.ropeway]`, else the one of tasks.py, app.py
    and main.py here that makes a Ropeway object. Raises `AppNotFound`.
    """
    target = given or os.environ.get("ROPEWAY_APP") or project_table().get("app")
    if target:
        return str(target)
    found = [name for name in CANDIDATES if _makes_app(Path(name))]
    if len(found) == 1:
        return found[0]
    what = (
        f"several files here make one: {', '.join(found)}"
        if found
        else (f"none of {', '.join(CANDIDATES)} here makes a Ropeway object")
    )
    raise AppNotFound(f"no app was named, and {what}", hint="name it: -A module:app")


def _makes_app(path: Path) -> bool:
    return path.is_file() and bool(_MAKES_APP.search(path.read_text(errors="replace")))


def load_app(target: str) -> Application:
    """Import the app that `target` names: `module`, `module:attribute`, `file.py`.

    Errors of the module itself come through as they are; `AppNotFound` says what was missing.
    """
    place, _, attribute = target.partition(":")
    if place.endswith(".py"):
        if not Path(place).is_file():
            raise AppNotFound(f"there is no file {place}", hint=f"looked in {Path.cwd()}")
        place = ".".join(Path(place).with_suffix("").parts)
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{place}.".startswith(f"{error.name}."):
            raise
        raise AppNotFound(
            f"there is no module {error.name!r}", hint=f"looked in {here} and the Python path"
        ) from None
    return _in_module(module, place, attribute)


def _in_module(module: Any, place: str, attribute: str) -> Application:
    if attribute:
        found = getattr(module, attribute, None)
        if not isinstance(found, Application):
            raise AppNotFound(f"{place}:{attribute} is not a Ropeway object")
        return found
    apps = {id(value): (name, value) for name, value in vars(module).items() if _is_app(value)}
    if len(apps) != 1:
        names = ", ".join(f"{place}:{name}" for name, _ in apps.values()) or "none"
        raise AppNotFound(f"{place} must hold one Ropeway object", hint=f"found: {names}")
    ((_, app),) = apps.values()
    found_app: Application = app
    return found_app


def _is_app(value: object) -> bool:
    return isinstance(value, Application) and not isinstance(value, type)
