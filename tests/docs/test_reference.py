"""The reference is complete: what a user can name has an entry, or the build fails."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any

import click
import pytest

import ropeway
from ropeway import capabilities, config, errors
from ropeway.cli import main
from ropeway.cli.catalogue import catalogue
from tests.docs import pages


def has_entry(text: str, name: str) -> bool:
    """Tell if a heading, a directive, or the start of a row or list item is about `name`."""
    dotted = rf"(?:ropeway\.(?:\w+\.)*)?{re.escape(name)}\b"
    about = (
        rf"^#+ .*`@?{dotted}",
        rf"^#+ @?{dotted}",
        rf"^::: {dotted}\s*$",
        rf"^ *[|*+-]? *\[?`@?{dotted}",
    )
    return any(re.search(pattern, text, re.MULTILINE) for pattern in about)


def in_backticks(text: str, name: str) -> bool:
    """Tell if the page writes `name` as code."""
    return bool(re.search(rf"`[^`\n]*\b{re.escape(name)}\b[^`\n]*`", text))


def fields(cls: type[Any]) -> Iterable[str]:
    """Return the fields of a struct or a dataclass."""
    if dataclasses.is_dataclass(cls):
        return [field.name for field in dataclasses.fields(cls)]
    return tuple(cls.__struct_fields__)


def error_classes() -> list[type[Any]]:
    """Return the public exceptions that `ropeway.errors` defines."""
    return [
        value
        for name, value in vars(errors).items()
        if inspect.isclass(value)
        and issubclass(value, BaseException)
        and value.__module__ == errors.__name__
        and not name.startswith("_")
    ]


def command_paths(command: click.Command, path: str = "ropeway") -> Iterator[str]:
    """Yield the full name of every visible command, through groups that load lazily."""
    if not isinstance(command, click.Group):
        return
    with click.Context(command, info_name=path) as context:
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None, f"{path} lists {name} and does not have it"
            if not child.hidden:
                yield f"{path} {name}"
                yield from command_paths(child, f"{path} {name}")


def lacking(page: str, names: Iterable[str], present: Any) -> list[str]:
    """Return the names that the page does not present; no names at all is a fault of the test."""
    wanted, text = list(names), pages.page(page)
    assert wanted, f"nothing to look for in {page}"
    return [name for name in wanted if not present(text, name)]


def test_public_names() -> None:
    """Every name of `ropeway.__all__` has an entry."""
    assert not lacking("docs/reference/api.md", ropeway.__all__, has_entry)


def test_settings() -> None:
    """Every setting is on the page of settings."""
    assert not lacking("docs/reference/settings.md", fields(config.Settings), in_backticks)


def test_capabilities() -> None:
    """Every capability of a backend is on the page of capabilities."""
    names = fields(capabilities.Capabilities)
    assert not lacking("docs/reference/capabilities.md", names, in_backticks)


def test_errors() -> None:
    """Every error is there by its name and its code, in one section or one row."""
    parts = pages.sections(pages.page("docs/reference/errors.md"))
    wanted = [(cls.__name__, str(getattr(cls, "code", ""))) for cls in error_classes()]
    absent = [
        f"{name} {code}".strip()
        for name, code in wanted
        if not any(re.search(rf"\b{name}\b", part) and code in part for part in parts)
    ]
    assert wanted
    assert not absent


def test_every_code_is_explained() -> None:
    """Whole: what it is, why it happens, what to do in code or as a command, and how it looks."""
    explained = catalogue()
    codes = {cls.__dict__["code"]: cls for cls in error_classes() if "code" in cls.__dict__}
    assert explained.keys() == codes.keys()
    for code, told in explained.items():
        assert told.name == codes[code].__name__
        assert told.exit_code == codes[code].exit_code, f"{code} has another exit code"
        assert told.fact, f"{code} does not say what it is"
        assert told.cause, f"{code} has no cause"
        assert "`" in told.remedy, f"{code} does not say what to type"
        assert told.example.startswith(f"{code}  "), f"{code} has no example that begins so"


def test_error_codes_are_unique() -> None:
    """A code leads to one entry."""
    codes = [cls.__dict__["code"] for cls in error_classes() if "code" in cls.__dict__]
    assert sorted(set(codes)) == sorted(codes)


def test_commands() -> None:
    """Every command and sub-command is there with its full name."""
    assert isinstance(main, click.Group)

    def present(text: str, name: str) -> bool:
        return bool(re.search(rf"\b{re.escape(name)}\b", text))

    assert not lacking("docs/reference/cli.md", command_paths(main), present)


@pytest.mark.parametrize("name", ropeway.__all__)
def test_docstrings(name: str) -> None:
    """Every public class and function says what it is, in words of its own."""
    value = getattr(ropeway, name)
    if inspect.isclass(value) or inspect.isroutine(value):
        said = (value.__dict__.get("__doc__") if inspect.isclass(value) else value.__doc__) or ""
        assert said.strip(), f"{name} has no docstring"
        assert not said.startswith(f"{name}("), f"{name} has a generated docstring only"


def test_the_public_names_are_few() -> None:
    """At most 40 names, each of which exists, so that a user can know them all."""
    assert len(ropeway.__all__) <= 40
    assert [name for name in ropeway.__all__ if not hasattr(ropeway, name)] == []
