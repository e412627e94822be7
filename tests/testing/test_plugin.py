"""The pytest plugin, as the tests of an app use it."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

TASKS = """
from ropeway import Ropeway

app = Ropeway()

@app.task
async def add(x: int, y: int) -> int:
    return x + y
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """Return a project with an app, whose tests are run as a user runs them."""
    pytester.makepyfile(tasks=TASKS)
    pytester.makeini(
        "[pytest]\naddopts = --strict-markers\nfilterwarnings = error\n"
        "asyncio_default_fixture_loop_scope = function\n"
    )
    return pytester


def test_a_sandbox_of_the_app_that_is_found(project: pytest.Pytester) -> None:
    """Each test has its own; the app and its database are left alone."""
    project.makepyfile(
        """
        from tasks import add, app

        def test_one(ropeway_sandbox):
            assert add.send(2, 3).result() == 5

        def test_two(ropeway_sandbox, ropeway_app):
            assert ropeway_app is app
            assert ropeway_sandbox.sent() == []
            add.using(delay="1h").send(1, 1)
            assert len(ropeway_sandbox.advance("1h")) == 1
        """
    )
    project.runpytest_subprocess().assert_outcomes(passed=2)
    assert not project.path.joinpath(".ropeway").exists()


def test_async_tests_use_it_as_well(project: pytest.Pytester) -> None:
    """The tasks run on the test's own loop."""
    project.makepyfile(
        """
        import asyncio
        import pytest
        from tasks import add, app

        @app.task
        async def where() -> int:
            return id(asyncio.get_running_loop())

        @pytest.mark.asyncio
        async def test_it(ropeway_sandbox):
            job = await where.asend()
            assert await job.aresult() == id(asyncio.get_running_loop())
            await add.asend(2, 3)
            assert len(await ropeway_sandbox.arun()) == 1
        """
    )
    project.runpytest_subprocess().assert_outcomes(passed=1)


def test_the_configuration_or_a_fixture_names_the_app(project: pytest.Pytester) -> None:
    """Where the app is not found by itself, or there are several."""
    project.makepyfile(shop=TASKS + "\nother = Ropeway('memory://', keep=5)\n")
    project.makeini("[pytest]\nropeway_app = shop:other\n")
    project.makepyfile(
        test_named="""
        def test_it(ropeway_app, ropeway_sandbox):
            assert ropeway_app.settings.keep == 5
        """,
        test_given="""
        import pytest
        import shop

        @pytest.fixture
        def ropeway_app():
            return shop.app

        def test_it(ropeway_sandbox):
            job = shop.add.send(1, 2)
            assert job.result() == 3
        """,
    )
    project.runpytest_subprocess().assert_outcomes(passed=2)


def test_the_marker_says_how(project: pytest.Pytester) -> None:
    """For a module, a class or a test; the nearest wins."""
    project.makepyfile(
        """
        import pytest
        from datetime import datetime, UTC

        pytestmark = pytest.mark.ropeway(start="2030-01-01T00:00+00:00")

        def test_module(ropeway_sandbox):
            assert ropeway_sandbox.now == datetime(2030, 1, 1, tzinfo=UTC)

        @pytest.mark.ropeway(start=datetime(2031, 1, 1, tzinfo=UTC))
        def test_nearest(ropeway_sandbox):
            assert ropeway_sandbox.now.year == 2031
        """
    )
    project.runpytest_subprocess().assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("marker", "said"),
    [
        ("strat='2030-01-01'", "*does not take strat; it takes start=, concurrency=, patience=*"),
        ("start='2030-01-01'", "*start='2030-01-01') is no date with a time zone*"),
        ("start='soon'", "*start='soon') is no date with a time zone*"),
    ],
)
def test_a_slip_in_the_marker_is_an_error(project: pytest.Pytester, marker: str, said: str) -> None:
    """Never a test that silently runs otherwise."""
    project.makepyfile(
        f"""
        import pytest

        @pytest.mark.ropeway({marker})
        def test_it(ropeway_sandbox): ...
        """
    )
    result = project.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([said])


def test_an_app_that_is_not_found_is_an_error(pytester: pytest.Pytester) -> None:
    """With what to do about it."""
    pytester.makepyfile("def test_it(ropeway_sandbox): ...")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*no app was named*"])


def test_it_costs_nothing_when_it_is_not_used(pytester: pytest.Pytester) -> None:
    """Nothing of ropeway is imported before a test asks for it."""
    pytester.makepyfile(
        """
        import sys

        def test_it():
            assert "pytest_ropeway" in sys.modules
            assert not [name for name in sys.modules if name.split(".")[0] == "ropeway"]
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
