"""Where an error was raised, and what errors of one cause have in common."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from ropeway.executors.outcomes import failure_of
from ropeway.executors.where import raised_in
from ropeway.message import fingerprint


def _deep(depth: int) -> None:
    if depth:
        _deep(depth - 1)
    else:
        raise ValueError(depth)


def _through_the_library() -> None:
    json.loads("{")


def _raised(run: Callable[[], object]) -> BaseException:
    try:
        run()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def test_where_is_the_innermost_function_of_ones_own() -> None:
    """The function that raised, or that called into a library which did; with no number."""
    for run, name in ((lambda: _deep(3), "_deep"), (_through_the_library, "_through_the_library")):
        error = _raised(run)
        assert error.__traceback__ is not None
        assert raised_in(error.__traceback__.tb_next) == f"{__name__}:{name}"
    assert raised_in(None) == ""


def test_an_installed_task_is_its_own_package() -> None:
    """Where all code is installed, that of the task's package counts as one's own."""
    error = _raised(lambda: json.loads("{"))
    assert error.__traceback__ is not None
    inside = error.__traceback__.tb_next
    assert inside is not None and inside.tb_next is not None
    assert raised_in(inside.tb_next) == "json.decoder:JSONDecoder.raw_decode"


def test_a_module_without_a_name() -> None:
    """Code that was run from a string, in whatever namespace, has a place too."""
    for globals_ in ({}, {"__name__": 5}):
        scope: dict[str, Any] = dict(globals_)
        exec("def f(): raise ValueError", scope)
        if scope.get("__name__") != 5:
            scope["f"].__globals__.pop("__name__", None)
        error = _raised(scope["f"])
        assert error.__traceback__ is not None
        assert raised_in(error.__traceback__.tb_next) == "?:f"


@pytest.mark.parametrize("depth", [0, 3])
def test_a_fingerprint_is_the_same_for_the_same_cause(depth: int) -> None:
    """Not the text makes a cause, but the task, the type of the error and the place."""
    call: Any = SimpleNamespace(task="t")
    one = failure_of(_raised(lambda: _deep(depth)), call).fingerprint
    assert one == failure_of(_raised(lambda: _deep(5)), call).fingerprint
    other: Any = SimpleNamespace(task="u")
    assert one != failure_of(_raised(lambda: _deep(5)), other).fingerprint
    assert one != failure_of(_raised(_through_the_library), call).fingerprint


def test_a_fingerprint_of_anything() -> None:
    """Any text makes twelve hexadecimal digits, half a surrogate pair too."""
    odd = fingerprint("\ud800", "", "\0")
    assert len(odd) == 12
    assert int(odd, 16) >= 0
