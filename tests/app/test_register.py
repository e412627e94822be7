"""What can be a task, what it is called, and what is refused where it is written."""

from __future__ import annotations

import functools
import subprocess
import sys
from datetime import datetime
from typing import Any

import pytest

from ropeway import RetryPolicy, Ropeway
from ropeway.errors import BadArguments, BadTask
from tests.worker.rig import Rig


def plain(x: int) -> int:
    return x


async def coroutine(x: int) -> int:
    return x


def generator() -> Any:
    yield 1


async def async_generator() -> Any:
    yield 1


class Thing:
    def method(self, x: int) -> int:
        return x

    @classmethod
    def of_class(cls, x: int) -> int:
        return x

    @staticmethod
    def static(x: int) -> int:
        return x

    def __call__(self, x: int) -> int:
        return x


@pytest.fixture
def app(rig: Rig) -> Ropeway:
    """Return an app of the test's own."""
    return Ropeway()


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: x, "lambda"),
        (generator, "generator"),
        (async_generator, "generator"),
        (Thing.method, "method"),
        (Thing().method, "not a plain function"),
        (Thing.of_class, "not a plain function"),
        (Thing(), "not a plain function"),
        (Thing, "not a plain function"),
        (functools.partial(plain, 1), "not a plain function"),
        (len, "not a plain function"),
        (None.__class__, "not a plain function"),
        ("tasks.add", "not a plain function"),
    ],
)
def test_what_cannot_be_a_task(app: Ropeway, function: Any, words: str) -> None:
    """It is refused when it is decorated, in words that name the reason; nothing is registered."""
    with pytest.raises(BadTask, match=words):
        app.task(function)
    assert app.tasks == {}


def test_two_tasks_of_one_name(app: Ropeway) -> None:
    """The second of two tasks of one name is refused; the first stays."""
    first = app.task(plain)
    with pytest.raises(BadTask, match="two tasks are called"):
        app.task(plain)
    with pytest.raises(BadTask, match="two tasks are called"):
        app.task(name=first.name)(coroutine)
    assert list(app.tasks.values()) == [first]
    assert app.task(name="other")(plain).name == "other"


def test_a_task_twice(app: Ropeway) -> None:
    """A task is no function that could be made a task again."""
    task = app.task(plain)
    with pytest.raises(BadTask, match="is a task already"):
        app.task(task)


def test_a_static_method(app: Ropeway) -> None:
    """A static method is a plain function under its qualified name."""
    assert app.task(Thing.static).name.endswith("Thing.static")


def test_a_task_is_still_the_function(app: Ropeway) -> None:
    """Calling a task just runs the function; its name and words are kept."""
    task = app.task(plain)
    assert task(3) == 3
    assert task.__name__ == "plain"
    assert task.__wrapped__ is plain
    assert "plain" in repr(task)


async def test_an_async_task_is_still_the_function(app: Ropeway) -> None:
    """Calling an async task makes its coroutine."""
    assert await app.task(coroutine)(4) == 4


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"retries": -1}, BadArguments),
        ({"retries": True}, BadArguments),
        ({"timeout": -1}, BadArguments),
        ({"timeout": "soon"}, BadArguments),
        ({"timeout": float("nan")}, BadArguments),
        ({"timeout": float("inf")}, BadArguments),
        ({"keep": "for ever"}, BadArguments),
        ({"ack": "never"}, BadArguments),
        ({"store": "no"}, BadArguments),
        ({"key": ""}, BadArguments),
        ({"expires": -1}, BadArguments),
        ({"expires": datetime(2030, 1, 1)}, BadArguments),  # noqa: DTZ001
        ({"limits": "api"}, BadArguments),
        ({"limits": [""]}, BadArguments),
        ({"tags": "urgent"}, BadArguments),
        ({"headers": {"a": 1}}, BadArguments),
        ({"headers": {"a": "x" * 20_000}}, BadArguments),
        ({"unique": "soon"}, BadArguments),
        ({"retry_on": ValueError}, BadArguments),
        ({"dont_retry_on": ("ValueError",)}, BadArguments),
        ({"delay": 5}, TypeError),
        ({"queue": ""}, BadArguments),
        ({"queue": "x" * 256}, BadArguments),
        ({"queue": "ü" * 128}, BadArguments),
        ({"priority": 10}, BadArguments),
        ({"priority": -1}, BadArguments),
        ({"priority": 5.5}, BadArguments),
        ({"prio": 5}, TypeError),
    ],
)
def test_options_that_cannot_be(app: Ropeway, options: dict[str, Any], kind: type) -> None:
    """A wrong option is refused where it is written, not by a worker later on."""
    with pytest.raises(kind):
        app.task(**options)(plain)
    assert app.tasks == {}


def test_a_policy_as_a_whole(app: Ropeway) -> None:
    """`retries` takes a count or a whole policy."""
    policy = RetryPolicy(retries=1, base=7)
    assert app.task(retries=policy)(plain).definition.policy == policy
    assert app.task(retries=9)(coroutine).definition.policy.retries == 9


def test_a_policy_and_hopeless_errors(app: Ropeway) -> None:
    """`dont_retry_on` beside a whole policy is not dropped without a word."""
    try:
        task = app.task(retries=RetryPolicy(retries=5), dont_retry_on=(KeyError,))(plain)
    except BadTask:
        return
    assert any("KeyError" in name for name in task.definition.policy.non_retryable)


MAIN = """
from ropeway import Ropeway

app = Ropeway()

@app.task
def add(x: int, y: int) -> int:
    return x + y

if __name__ == "__main__":
    print(add.name)
    print(add.send(20, 22).result(timeout=10))
"""


@pytest.mark.parametrize("how", ["file", "path", "module"])
def test_a_file_that_is_run_is_the_module_a_worker_imports(rig: Rig, how: str) -> None:
    """A task defined in `__main__` has the name under which a worker imports the same file."""
    rig.folder.joinpath("tasks.py").write_text(MAIN)
    rig.worker()
    how_to_run = {
        "file": ["tasks.py"],
        "path": [str(rig.folder / "tasks.py")],
        "module": ["-m", "tasks"],
    }[how]
    done = subprocess.run(
        [sys.executable, *how_to_run],
        cwd=rig.folder,
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    assert done.stdout.split() == ["tasks.add", "42"], done.stderr


def test_a_package_that_is_run(rig: Rig) -> None:
    """A task in the `__main__` of a package has the package's name."""
    package = rig.folder / "shop"
    package.mkdir()
    package.joinpath("__init__.py").touch()
    package.joinpath("__main__.py").write_text(MAIN.replace("print(add.send", "0 and (add.send"))
    done = subprocess.run(
        [sys.executable, "-m", "shop"],
        cwd=rig.folder,
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    assert done.stdout.split() == ["shop.add"], done.stderr
