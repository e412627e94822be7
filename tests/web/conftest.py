"""A dashboard over jobs in every state, and somebody who looks at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from starlette.testclient import TestClient

from ropeway import Ropeway
from ropeway.web import Dashboard, Grant
from tests.web.support import HOSTILE, filled

Look = Callable[..., TestClient]


@pytest.fixture
def app(tmp_path: object) -> Ropeway:
    """Return an app without jobs."""
    return Ropeway(f"sqlite:///{tmp_path}/jobs.db")


@pytest.fixture
def sent(app: Ropeway) -> dict[str, str]:
    """Return the ids of jobs in every state, with hostile texts wherever a text can be."""
    return filled(app, HOSTILE)


@pytest.fixture
def look(app: Ropeway) -> Iterator[Look]:
    """Return what makes a client in some role."""
    opened: list[TestClient] = []

    def make(
        role: str | None = "admin", *, prefix: str = "", read_only: bool = False
    ) -> TestClient:
        dashboard = Dashboard(
            app,
            access=lambda request: None if role is None else Grant("kim", role),
            read_only=read_only,
        )
        client = TestClient(
            dashboard,
            base_url="http://localhost",
            root_path=prefix,
            follow_redirects=False,
            headers={"sec-fetch-site": "same-origin"},
        )
        client.__enter__()
        opened.append(client)
        return client

    yield make
    for client in opened:
        client.__exit__(None, None, None)
