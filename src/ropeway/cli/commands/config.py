"""`ropeway config`: the settings, where each comes from, and whether they can be used."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from ropeway.cli.apps import import_app
from ropeway.cli.groups import Suggesting
from ropeway.cli.listing import Drawn, print_list
from ropeway.cli.output import print_json
from ropeway.cli.shared import Shared, options
from ropeway.cli.table import Column
from ropeway.config import DURATIONS, Settings, load, origins, refuse_unknown_variables, shown
from ropeway.connect import Connection
from ropeway.worker.locate import choose_target

_DURATION = r"^(\d+(\.\d+)?\s*(ms|s|m|h|d|w)\s*)+$"

FIELDS = ("setting", "value", "place")

_COLUMNS = (
    Column(heading="SETTING"),
    Column(heading="VALUE", least=16),
    Column(heading="FROM", least=16),
)


@click.group(cls=Suggesting)
@options()
def config() -> None:
    """Look at the settings: show, validate, schema."""


@config.command()
@options()
@click.pass_obj
def show(shared: Shared) -> None:
    """Show each setting, its value, and where that comes from.

    Without --app no app is imported, and what is written in its code is not seen. Passwords in a
    URL are not shown. Durations are seconds.
    """
    records = settings_shown(_given(shared))
    rows = [[each["setting"], str(each["value"]), each["place"]] for each in records]
    print_list(shared, FIELDS, records, lambda: Drawn(_COLUMNS, rows))


@config.command()
@options()
@click.pass_obj
def validate(shared: Shared) -> None:
    """Check that every setting can be used; exit code 10 if one cannot.

    Also that a backend speaks the url, and that no ROPEWAY_ variable is misspelt. With --app what
    its code says is checked too. Nothing is opened.
    """
    refuse_unknown_variables()
    Connection.of(load(_given(shared)))
    if shared.json:
        print_json({"valid": True})
    else:
        shared.say("the settings can be used")


@config.command()
@options("output", "json", "quiet", "verbose", "no_color")
def schema() -> None:
    """Print the JSON Schema of the settings, for editors and for checks before a deploy.

    It is of the table `[tool.ropeway]` of a pyproject.toml. Durations may also be texts: "5m".
    """
    print_json(schema_of_settings())


def schema_of_settings() -> dict[str, Any]:
    """Return what `[tool.ropeway]` may hold, as JSON Schema."""
    found = msgspec.json.schema_components([Settings])[1]["Settings"]
    properties: dict[str, Any] = found["properties"]
    told = properties | {"app": {"type": "string", "description": "the app: module:attribute"}}
    for name in DURATIONS:
        of = {key: each for key, each in told[name].items() if key != "type"}
        text = {"type": "string", "pattern": _DURATION}
        told[name] = of | {"anyOf": [{"type": "number", "minimum": 0}, text]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "[tool.ropeway]",
        "type": "object",
        "properties": told,
        "additionalProperties": False,
    }


def settings_shown(given: dict[str, Any]) -> list[dict[str, Any]]:
    """Return each setting, its value without passwords, and its place, for people and programs."""
    values = shown(load(given))
    return [
        {"setting": origin.setting, "value": values[origin.setting], "place": origin.place}
        for origin in origins(given)
    ]


def _given(shared: Shared) -> dict[str, Any]:
    return import_app(choose_target(shared.app)).given if shared.app else {}
