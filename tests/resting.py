"""What changes for a test when a pair has its jobs: the store knows one from its first hand-over on.

Until then who looks is told that nothing is kept of it. That is declared (`recorded` is no), so a
test that needs to look earlier is not for a pair; it has to be true that the job waits, though.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

import pytest

from ropeway.errors import JobNotFound, Unsupported
from tests.conftest import Eventually, wait_until
from tests.worker.rig import Rig

T = TypeVar("T")


@pytest.fixture
def eventually(rig: Rig) -> Eventually:
    """Return bounded waiting, to which a job that still rests in the broker is one to wait for."""
    if not rig.paired:
        return wait_until

    def wait(predicate: Callable[[], T], timeout: float = 10.0) -> T:
        def look() -> T | None:
            try:
                return predicate()
            except JobNotFound:
                return None

        found = wait_until(look, timeout)
        assert found is not None
        return found

    return wait


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Skip what a pair declares that it cannot, where it is true."""
    try:
        return (yield)
    except (JobNotFound, Unsupported) as error:
        rig: Rig | None = getattr(item, "funcargs", {}).get("rig")
        if rig is not None and rig.paired and (_is_declared(rig, error) or rig.resting()):
            pytest.skip(f"declared: {error.fact}")
        raise


def _is_declared(rig: Rig, error: JobNotFound | Unsupported) -> bool:
    """Whether it is refused for want of a capability that this pair says it lacks."""
    able = rig.module.app.connection.blocking().capabilities
    lacking = [name for name in able.__struct_fields__ if not getattr(able, name)]
    return isinstance(error, Unsupported) and any(repr(name) in error.fact for name in lacking)
