"""Run work outside the request: tasks, a broker, workers and results, from one file to a cluster."""

import importlib
from typing import TYPE_CHECKING, Any

from ropeway.version import __version__ as __version__

__all__ = [
    "Call",
    "Depends",
    "Event",
    "Job",
    "Retention",
    "Retry",
    "RetryPolicy",
    "Ropeway",
    "RopewayError",
    "Run",
    "State",
    "Task",
    "TaskFailed",
    "TimeLimit",
    "Topic",
    "Unique",
    "Workflow",
    "current",
    "group",
]

if TYPE_CHECKING:
    from ropeway.app import Ropeway
    from ropeway.calls import Call, group
    from ropeway.context import current
    from ropeway.depends import Depends
    from ropeway.errors import Retry, RopewayError, TaskFailed, TimeLimit
    from ropeway.results import Job
    from ropeway.retry import RetryPolicy
    from ropeway.runs.handle import Run
    from ropeway.states import State
    from ropeway.task import Task
    from ropeway.topics import Event, Retention, Topic
    from ropeway.unique import Unique
    from ropeway.workflows.build import Workflow
else:
    # Each is imported when it is first asked for, so that what needs none of them, such as the
    # help of the command line, starts without an event loop.
    _PLACES = {
        "Call": "calls",
        "Depends": "depends",
        "Event": "topics.events",
        "Job": "results",
        "Retention": "topics.retention",
        "Retry": "errors",
        "RetryPolicy": "retry",
        "Ropeway": "app",
        "RopewayError": "errors",
        "Run": "runs.handle",
        "State": "states",
        "Task": "task",
        "TaskFailed": "errors",
        "TimeLimit": "errors",
        "Topic": "topics.topic",
        "Unique": "unique",
        "Workflow": "workflows.build",
        "current": "context",
        "group": "calls",
    }

    def __getattr__(name: str) -> Any:
        place = _PLACES.get(name)
        if place is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{__name__}.{place}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
