"""Run work outside the request: tasks, a broker, workers and results, from one file to a cluster."""

from ropeway.app import Ropeway
from ropeway.context import current
from ropeway.errors import Retry, RopewayError, TaskFailed, TimeLimit
from ropeway.results import Job
from ropeway.retry import RetryPolicy
from ropeway.states import State
from ropeway.task import Call, Task
from ropeway.unique import Unique
from ropeway.version import __version__ as __version__

__all__ = [
    "Call",
    "Job",
    "Retry",
    "RetryPolicy",
    "Ropeway",
    "RopewayError",
    "State",
    "Task",
    "TaskFailed",
    "TimeLimit",
    "Unique",
    "current",
]
