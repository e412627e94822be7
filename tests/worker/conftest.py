"""What every test of the worker gets: a rig, and the workers' logs when it fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.resting import eventually, pytest_runtest_call
from tests.worker.rig import Rig, opened

__all__ = ["eventually", "pytest_runtest_call"]


@pytest.fixture
def rig(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Rig]:
    """Return a place for tasks and workers; everything that is started there ends with the test."""
    with opened(tmp_path, monkeypatch, request) as rig:
        yield rig
