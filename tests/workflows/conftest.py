"""What every test of workflows gets: an app with tasks, on each backend that needs no server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workflows.shop import Shop


@pytest.fixture(params=["memory", "sqlite"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    """Return an app with some tasks, which notes what ran."""
    place = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/jobs.db"}[request.param]
    return Shop(place)
