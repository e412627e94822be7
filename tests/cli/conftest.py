"""A directory of its own for each test of the command line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from tests.cli import support


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a project of its own, without settings from outside; commands may set variables."""
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("ROPEWAY_") and name not in {"NO_COLOR", "FORCE_COLOR"}
    }
    clean["XDG_CONFIG_HOME"] = str(tmp_path / "config")
    with mock.patch.dict(os.environ, clean, clear=True):
        yield tmp_path


@pytest.fixture
def tasks(here: Path) -> Path:
    """Write an app into the working directory."""
    path = here / "tasks.py"
    path.write_text(support.APP)
    return path


@pytest.fixture
def jobs(here: Path) -> dict[str, str]:
    """Make a job in every state; return their ids, by state or view."""
    support.every_state()
    return support.IDS
