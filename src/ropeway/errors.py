"""Every error that ropeway raises: a code, the fact, and what to do about it."""

from __future__ import annotations

import socket
from typing import ClassVar

_UNKNOWN = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


class RopewayError(Exception):
    """Something that ropeway was asked to do could not be done."""

    code: ClassVar[str] = "RW-000"
    exit_code: ClassVar[int] = 1

    def __init__(self, fact: str = "", *, hint: str = "") -> None:
        fact = fact or (type(self).__doc__ or "").strip().splitlines()[0]
        super().__init__(f"{fact}\n  → {hint}" if hint else fact)
        self.fact = fact
        self.hint = hint


class ConfigError(RopewayError):
    """A setting has a value that cannot be used."""

    code = "RW-001"
    exit_code = 10


class AppNotFound(RopewayError):
    """No Ropeway object could be found."""

    code = "RW-002"
    exit_code = 2


class Declined(RopewayError):
    """Nothing was changed: it was not confirmed."""

    code = "RW-003"
    exit_code = 3


class BadSearch(RopewayError):
    """A search cannot be understood."""

    code = "RW-004"
    exit_code = 2


class BackendMissing(RopewayError):
    """No installed backend speaks the scheme of the URL."""

    code = "RW-011"
    exit_code = 10


class UnknownTask(RopewayError):
    """No task of that name is registered."""

    code = "RW-101"
    exit_code = 6


class BadArguments(RopewayError):
    """The arguments do not fit the task's signature."""

    code = "RW-102"
    exit_code = 2


class NotEncodable(RopewayError):
    """A value cannot be written as a message."""

    code = "RW-103"


class MessageTooLarge(RopewayError):
    """Arguments or a result are larger than `max_blob`."""

    code = "RW-104"


class BadTask(RopewayError):
    """A function cannot be registered as a task."""

    code = "RW-105"


class BadSchedule(RopewayError):
    """A schedule cannot be: its expression, its zone, its dates or its task."""

    code = "RW-106"
    exit_code = 2


class BlockingCall(RopewayError):
    """A blocking call was made on a running event loop."""

    code = "RW-120"


class WaitRefused(RopewayError):
    """A task would wait in the last slot that could run what it waits for."""

    code = "RW-121"


class BackendUnavailable(RopewayError):
    """The backend cannot be reached or opened."""

    code = "RW-201"
    exit_code = 7

    def __init__(self, fact: str = "", *, hint: str = "", away: bool = False) -> None:
        super().__init__(fact, hint=hint)
        self.away = away
        """Whether nobody answers, or who does is starting: it may be back without anybody's help."""


def is_unknown_host(error: BaseException) -> bool:
    """Whether an error of the system says that there is no such host."""
    return isinstance(error, socket.gaierror) and error.errno in _UNKNOWN


class Backpressure(RopewayError):
    """The backend takes no more work now."""

    code = "RW-202"
    exit_code = 7


class Indeterminate(RopewayError):
    """The backend did not answer: it may or may not have applied the change; repeat it unchanged."""

    code = "RW-203"
    exit_code = 7


class Unsupported(RopewayError):
    """The backend lacks a capability that this needs."""

    code = "RW-210"


class Refused(RopewayError):
    """The backend refused a change."""

    code = "RW-220"
    exit_code = 9


class NotUnique(Refused):
    """A job that has to be the only one is there already."""

    code = "RW-221"

    def __init__(self, fact: str = "", *, hint: str = "", job_id: str = "") -> None:
        super().__init__(fact, hint=hint)
        self.job_id = job_id


class Unroutable(Refused):
    """No queue takes what was published to an exchange."""

    code = "RW-222"


class TopologyConflict(Refused):
    """An exchange is there with other properties."""

    code = "RW-223"


class JobNotFound(RopewayError):
    """No job of that id is kept."""

    code = "RW-301"
    exit_code = 6


class ResultTimeout(RopewayError, TimeoutError):
    """The job did not finish within the time given to wait for it."""

    code = "RW-302"
    exit_code = 8


class TaskFailed(RopewayError):
    """The job ended without a result."""

    code = "RW-304"
    exit_code = 5

    def __init__(
        self, fact: str = "", *, hint: str = "", type: str = "", traceback: str = ""
    ) -> None:
        super().__init__(fact, hint=hint)
        self.type = type
        self.traceback = traceback


class JobCancelled(TaskFailed):
    """The job was cancelled before it had a result."""

    code = "RW-306"


class ResultMismatch(RopewayError):
    """A kept result does not fit the task's return annotation."""

    code = "RW-305"


class BodyLost(RopewayError):
    """Arguments or a result that were kept apart from their job are gone."""

    code = "RW-307"


class ScheduleNotFound(RopewayError):
    """No schedule of that name is there."""

    code = "RW-321"
    exit_code = 6


class RunNotFound(RopewayError):
    """No run of that id is kept."""

    code = "RW-331"
    exit_code = 6


class RunFailed(TaskFailed):
    """A run of a workflow ended without a result: one of its nodes failed, or it was cancelled."""

    code = "RW-332"


class SignalTimeout(RopewayError):
    """A workflow waited for a signal, and it did not come in time."""

    code = "RW-333"


class BadWorkflow(RopewayError):
    """A workflow cannot be built: nodes wait for each other, or for one that is not there."""

    code = "RW-334"
    exit_code = 2


class TopicNotFound(RopewayError):
    """No topic of that name is there."""

    code = "RW-401"
    exit_code = 6


class SubscriptionNotFound(RopewayError):
    """No durable subscription of that name is there."""

    code = "RW-402"
    exit_code = 6


class HistoryGap(RopewayError):
    """Events were removed before somebody read them who was to see them."""

    code = "RW-403"

    def __init__(
        self, fact: str = "", *, hint: str = "", topic: str = "", first: int = 0, last: int = 0
    ) -> None:
        super().__init__(fact, hint=hint)
        self.topic, self.first, self.last = topic, first, last

    @classmethod
    def between(cls, topic: str, first: int, last: int) -> HistoryGap:
        """Say which offsets of a topic are missing."""
        return cls(
            f"events {first} to {last} of topic {topic} were removed before they were read",
            hint="go on with the next, or keep them longer: app.topic(..., keep=...)",
            topic=topic,
            first=first,
            last=last,
        )


class WorkerNotFound(RopewayError):
    """No worker of that name is there, or several are."""

    code = "RW-311"
    exit_code = 6


class WorkerSilent(RopewayError, TimeoutError):
    """A worker did not do what it was told, or did not say so in time."""

    code = "RW-312"
    exit_code = 8


class Forbidden(RopewayError):
    """Somebody may not do this, or may not look."""

    code = "RW-501"
    exit_code = 4


class ForeignPage(RopewayError):
    """A change was asked for by a page of somebody else."""

    code = "RW-502"
    exit_code = 4


class Unsafe(ConfigError):
    """The dashboard would be open to everybody."""

    code = "RW-503"


class OperationNotFound(RopewayError):
    """No operation has that id, or it ended more than a week ago."""

    code = "RW-313"
    exit_code = 6


class BadRole(ConfigError):
    """What somebody may do is not said in a way that can be understood."""

    code = "RW-504"


class LoginRefused(Forbidden):
    """Somebody came back from a provider of logins, and is not let in: what it said does not hold."""

    code = "RW-505"


class ProviderAway(RopewayError):
    """The provider of logins does not answer, or answers what is no OpenID Connect."""

    code = "RW-506"
    exit_code = 7


class Stuck(RopewayError):
    """A test waits for what cannot come."""

    code = "RW-601"


class Retry(Exception):
    """Raise it in a task to have the call run again, `after` seconds from now."""

    def __init__(self, reason: str = "", *, after: float | None = None) -> None:
        super().__init__(reason or "the task asked to be run again")
        self.after = after


class TimeLimit(Exception):
    """Raised inside a plain function that runs longer than its `timeout`.

    A coroutine function is cancelled instead, as by `asyncio.timeout`.
    """
