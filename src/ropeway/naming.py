"""Which functions can be tasks, and what a task is called that was given no name."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ropeway.errors import BadTask
from ropeway.task import Task


def default_name(function: Callable[..., Any]) -> str:
    """The name of a task that was given none: `module.function`.

    In a file that is run directly the module is called `__main__`; a worker imports the same file
    under its own name, so that name is used.
    """
    module = function.__module__
    if module == "__main__":
        main = sys.modules["__main__"]
        spec = getattr(main, "__spec__", None)
        path = getattr(main, "__file__", None)
        module = spec.name.removesuffix(".__main__") if spec else Path(path or "main").stem
    return f"{module}.{function.__qualname__}"


def refuse_unusable(function: object) -> None:
    """Raise `BadTask` for what cannot be a task: only a function that a worker finds can."""
    if isinstance(function, Task):
        raise BadTask(f"{function.name} is a task already")
    if not inspect.isfunction(function):
        raise BadTask(
            f"{function!r} is not a plain function", hint="decorate a function defined with def"
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise BadTask(
            f"{function.__qualname__} is a generator", hint="return a list, or send more tasks"
        )
    if "<lambda>" in function.__qualname__:
        raise BadTask("a lambda has no name that a worker could find", hint="use def")
