"""Tasks: registered functions, and the ways to ask for a call of one."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, cast

import msgspec
from msgspec import Struct

from ropeway.codecs import JSON, MSGPACK
from ropeway.config import Settings, seconds
from ropeway.errors import Backpressure, BadArguments, ConfigError, MessageTooLarge, Refused
from ropeway.ids import new_id
from ropeway.message import DEFAULT_BAND, DEFAULT_QUEUE, HIGHEST_BAND, LOWEST_BAND, Kind, Message
from ropeway.results import Job
from ropeway.retry import DEFAULT, RetryPolicy
from ropeway.signature import Signature
from ropeway.stepping import step
from ropeway.store import Backend
from ropeway.transition import Answer, Transition

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Source(Protocol):
    """What a task needs of its app."""

    @property
    def settings(self) -> Settings: ...

    @property
    def store(self) -> Backend: ...


class Options(Struct, frozen=True, kw_only=True):
    """How a call is sent."""

    queue: str = DEFAULT_QUEUE
    band: int = DEFAULT_BAND
    delay: float = 0.0
    due: float | None = None


class Call(Generic[R_co]):
    """A task with its arguments, checked and encoded, not yet sent; hand it to `send_many`."""

    __slots__ = ("message", "result_type")

    def __init__(self, message: Message, result_type: Any) -> None:
        self.message = message
        self.result_type = result_type

    def __repr__(self) -> str:
        return f"<Call {self.message.task} {self.message.body.decode(errors='replace')}>"


class Sender(Generic[P, R]):
    """A task together with how to send it: what `using` returns."""

    def __init__(self, task: Definition, app: Source, options: Options) -> None:
        self._definition = task
        self._app = app
        self._options = options

    def send(self, /, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Ask for a call. When it returns, the message is on the disk of the backend.

        Raises `BadArguments` or `NotEncodable` before anything is stored, `MessageTooLarge`,
        and `BackendUnavailable`, `Backpressure` or `Indeterminate` if the backend cannot take it.
        """
        return step(self.asend(*args, **kwargs))

    async def asend(self, /, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """The same as `send`, for async code."""
        (job,) = await send_all(self._app, [self.call(*args, **kwargs)])
        return job

    def call(self, /, *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        """Check and encode the arguments; nothing is sent until `send_many` takes the call."""
        definition, options = self._definition, self._options
        codec = MSGPACK if self._app.settings.codec == "msgpack" else JSON
        body = definition.signature.encode(args, kwargs, codec)
        limit = self._app.settings.max_message
        if len(body) > limit:
            raise MessageTooLarge(
                f"the arguments of {definition.name} take {len(body):,} bytes, "
                f"more than max_message={limit:,}",
                hint="send a reference (a path, a key) and load the data in the task",
            )
        message = Message(
            id=new_id(),
            task=definition.name,
            body=body,
            queue=options.queue,
            band=options.band,
            due=options.due,
            delay=options.delay,
            kind=definition.kind,
            content_type=codec.content_type,
        )
        return Call(message, definition.signature.result_type)

    def using(
        self,
        *,
        queue: str | None = None,
        delay: float | str | timedelta | None = None,
        at: datetime | None = None,
        priority: int | None = None,
    ) -> Sender[P, R]:
        """Return this task with other options for sending.

        `delay` (seconds, `"5m"` or a timedelta) counts from when the backend takes the message;
        `at` is an absolute date with a time zone. `priority` is 0 to 9, 9 first.
        """
        return Sender(
            self._definition, self._app, _options(self._options, queue, delay, at, priority)
        )


class Definition:
    """What is registered of a task: the function and everything that applies to each call."""

    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        kind: Kind,
        policy: RetryPolicy = DEFAULT,
        timeout: float | None = None,
    ) -> None:
        self.function = function
        self.name = name
        self.kind = kind
        self.policy = policy
        self.timeout = timeout
        self.signature = Signature(function, name)


class Task(Sender[P, R]):
    """A registered plain function; calling it just runs it."""

    def __init__(
        self, function: Callable[P, Any], definition: Definition, app: Source, options: Options
    ) -> None:
        super().__init__(definition, app, options)
        self._function = function
        self.__name__ = getattr(function, "__name__", definition.name)
        self.__doc__ = function.__doc__
        self.__module__ = function.__module__
        self.__wrapped__ = function

    @property
    def name(self) -> str:
        """The name under which messages ask for it."""
        return self._definition.name

    @property
    def options(self) -> Options:
        """How it is sent by default."""
        return self._options

    @property
    def definition(self) -> Definition:
        """What workers know of it."""
        return self._definition

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return cast("R", self._function(*args, **kwargs))


class AsyncTask(Task[P, R]):
    """A registered coroutine function; calling it makes its coroutine."""

    def __call__(  # type: ignore[override]  # the same function, in its other colour
        self, /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, R]:
        made: Coroutine[Any, Any, R] = self._function(*args, **kwargs)
        return made


async def send_all(app: Source, calls: Sequence[Call[R]]) -> list[Job[R]]:
    """Send calls in as few commits as possible; the jobs come back in the same order."""
    answers = await app.store.commit([Transition(publish=(call.message,)) for call in calls])
    for answer in answers:
        if not answer.ok:
            raise _refusal(answer)
    return [Job(app, call.message.id, call.result_type) for call in calls]


def _refusal(answer: Answer) -> Exception:
    if answer.reason == "full":
        return Backpressure("the queue is full", hint="send again later")
    return Refused(f"the message was refused: {answer.reason} ({answer.key})")


def _options(
    old: Options,
    queue: str | None,
    delay: float | str | timedelta | None,
    at: datetime | None,
    priority: int | None,
) -> Options:
    changes: dict[str, Any] = {}
    if queue is not None:
        changes["queue"] = checked_queue(queue)
    if priority is not None:
        changes["band"] = checked_priority(priority)
    if delay is not None and at is not None:
        raise BadArguments("both delay and at were given", hint="give one of them")
    if delay is not None:
        plain = delay.total_seconds() if isinstance(delay, timedelta) else delay
        try:
            changes |= {"delay": seconds(plain, "delay"), "due": None}
        except ConfigError as error:
            raise BadArguments(error.fact, hint=error.hint) from None
    if at is not None:
        changes |= {"delay": 0.0, "due": _instant(at)}
    return msgspec.structs.replace(old, **changes)


def checked_queue(queue: str) -> str:
    """Return a usable queue name, or raise `BadArguments`."""
    try:
        size = len(queue.encode()) if isinstance(queue, str) else 0
    except UnicodeEncodeError:  # half a surrogate pair
        size = 0
    if not 0 < size <= 255:
        raise BadArguments(f"queue={queue!r} is not a name", hint="use 1 to 255 bytes of text")
    return queue


def checked_priority(priority: int) -> int:
    """Return a usable priority, or raise `BadArguments`."""
    if not isinstance(priority, int) or not LOWEST_BAND <= priority <= HIGHEST_BAND:
        raise BadArguments(
            f"priority={priority!r} is not from {LOWEST_BAND} to {HIGHEST_BAND}",
            hint="9 is claimed first",
        )
    return priority


def _instant(at: datetime) -> float:
    if at.tzinfo is None:
        raise BadArguments(
            f"at={at.isoformat()} has no time zone", hint="write datetime(..., tzinfo=UTC)"
        )
    return at.astimezone(UTC).timestamp()
