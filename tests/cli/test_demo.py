"""`ropeway demo` hands its options over; what the demo does is tested with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ropeway.cli.demo import runner
from ropeway.errors import RopewayError
from tests.cli.support import call


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ([], {"sabotage": False, "children": 2, "plain": False}),
        (
            ["--sabotage", "--children", "5", "--plain"],
            {"sabotage": True, "children": 5, "plain": True},
        ),
    ],
)
def test_options(
    here: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], wanted: dict[str, object]
) -> None:
    """And its exit code is the command's."""
    seen: list[dict[str, object]] = []

    def run(**options: object) -> int:
        seen.append(options)
        return 1

    monkeypatch.setattr(runner, "run_demo", run)
    assert call("demo", *words).exit_code == 1
    assert seen == [wanted]


def test_an_error(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is shown like any other."""

    def run(**_: object) -> int:
        raise RopewayError("another demo runs here")

    monkeypatch.setattr(runner, "run_demo", run)
    found = call("demo")
    assert found.exit_code == 1
    assert found.stderr == "RW-000  another demo runs here\n"


def test_wrong_usage(here: Path) -> None:
    """No children, no demo."""
    assert call("demo", "--children", "0").exit_code == 2
