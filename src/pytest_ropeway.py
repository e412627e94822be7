"""The pytest plugin of ropeway: an app's sandbox as a fixture.

A module of its own, beside the package, so that a run of pytest that does not ask for the fixture
imports nothing of ropeway.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ropeway import Ropeway
    from ropeway.testing.sandbox import Sandbox

_OPTIONS = ("start", "concurrency", "patience")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say that the configuration may name the app."""
    parser.addini("ropeway_app", "the Ropeway app under test: module, module:attribute or file.py")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        "ropeway(start=..., concurrency=..., patience=...): how the fixture ropeway_sandbox is made;"
        " start is a datetime with a time zone, or one as ISO text",
    )


@pytest.fixture(scope="session")
def ropeway_app(pytestconfig: pytest.Config) -> Ropeway:
    """The app under test: as `ropeway_app` in the configuration says, else found as a worker would.

    Define a fixture of this name to give another one.
    """
    from ropeway import Ropeway
    from ropeway.worker.locate import choose_target, load_app

    app = load_app(choose_target(pytestconfig.getini("ropeway_app") or None))
    assert isinstance(app, Ropeway)
    return app


@pytest.fixture
def ropeway_sandbox(request: pytest.FixtureRequest, ropeway_app: Ropeway) -> Iterator[Sandbox]:
    """The app's sandbox, for one test: nothing is kept elsewhere, and time stands still."""
    with ropeway_app.testing(**_marked(request)) as sandbox:
        yield sandbox


def _marked(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return what the markers say; the one that is nearest to the test wins."""
    options: dict[str, Any] = {}
    for marker in reversed(list(request.node.iter_markers("ropeway"))):
        unknown = [repr(each) for each in marker.args]
        unknown += [name for name in marker.kwargs if name not in _OPTIONS]
        if unknown:
            raise pytest.UsageError(
                f"@pytest.mark.ropeway does not take {', '.join(unknown)}; "
                f"it takes {', '.join(f'{name}=' for name in _OPTIONS)}"
            )
        options |= marker.kwargs
    if isinstance(options.get("start"), str):
        options["start"] = _date(options["start"])
    return options


def _date(text: str) -> datetime:
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        date = None
    if date is None or date.tzinfo is None:
        raise pytest.UsageError(
            f"@pytest.mark.ropeway(start={text!r}) is no date with a time zone; "
            'write "2030-01-01T09:00+00:00"'
        )
    return date
