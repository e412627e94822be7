"""What serves a backend to those who ask over a line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.backends.served import Counter, Elsewhere, serving, serving_elsewhere


@pytest.fixture
async def counter() -> AsyncIterator[Counter]:
    """Return what serves on the test's own loop."""
    async with serving() as counter:
        yield counter


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    """Return what serves on the loop of another thread."""
    with serving_elsewhere() as elsewhere:
        yield elsewhere
