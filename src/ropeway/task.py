"""Tasks: registered functions, and the ways to ask for a call of one."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Generic, ParamSpec, TypeVar, Unpack, cast

from msgspec.structs import replace

from ropeway.blobs import refuse_larger
from ropeway.calls import Call
from ropeway.codecs import JSON, MSGPACK
from ropeway.decide import NO_TERMS
from ropeway.errors import NotEncodable
from ropeway.ids import new_id
from ropeway.message import Kind, Message, Terms
from ropeway.nodes import Hole, holds_nodes
from ropeway.options import Options, Using, changed
from ropeway.results import Job
from ropeway.retry import DEFAULT, RetryPolicy
from ropeway.sending import Source, admitted, is_plain, send_all, sent
from ropeway.signature import Signature
from ropeway.stepping import step
from ropeway.tracing import trace_here
from ropeway.transition import Transition
from ropeway.unique import Unique, record_of

P = ParamSpec("P")
R = TypeVar("R")

_DEFAULTS = {name: getattr(Options(), name) for name in Options.__struct_fields__}
del _DEFAULTS["unique"], _DEFAULTS["connection"]  # they are no fields of a message


class Sender(Generic[P, R]):
    """A task together with how to send it: what `using` returns."""

    def __init__(self, task: Definition, app: Source, options: Options) -> None:
        self._definition = task
        self._app = app
        self._options = options
        # What was not asked for is left to the message's own defaults.
        self._fields = {
            name: value
            for name, default in _DEFAULTS.items()
            if (value := getattr(options, name)) != default
        }

    def send(self, /, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Ask for a call. When it returns, the message is on the disk of the backend.

        Raises `BadArguments` or `NotEncodable` before anything is stored, `MessageTooLarge`,
        and `BackendUnavailable`, `Backpressure` or `Indeterminate` if the backend cannot take it.
        """
        return step(self.asend(*args, **kwargs))

    async def asend(self, /, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """The same as `send`, for async code."""
        call, app = self.call(*args, **kwargs), self._app
        if is_plain(app, call):
            (answer,) = await app.store.commit([Transition(publish=(call.message,))])
            if answer.reason == "full":
                (answer,) = await admitted(app, [call], [answer])
            return sent(app, call, answer)
        (job,) = await send_all(app, [call])
        return job

    def call(self, /, *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        """Check and encode the arguments; `send_many` sends the call, or a workflow it is added to.

        There an argument may be a node, also within lists and dicts: its result takes its place.
        """
        definition, options = self._definition, self._options
        codec = MSGPACK if self._app.settings.codec == "msgpack" else JSON
        holes: Sequence[Hole] = ()
        try:
            body = definition.signature.encode(args, kwargs, codec)
        except NotEncodable:
            around = holds_nodes(args) or holds_nodes(kwargs)
            if codec is JSON and not around:
                raise
            codec = JSON
            if around:
                body, holes = definition.signature.encode_around(args, kwargs, codec)
            else:
                # An integer of more than 64 bits, perhaps: JSON has no such bound.
                body = definition.signature.encode(args, kwargs, codec)
        if len(body) > self._app.settings.max_message:
            what = f"the arguments of {definition.name} take"
            refuse_larger(len(body), self._app.settings, what)
        unique = options.unique
        message = Message(
            id=new_id(),
            task=definition.name,
            body=body,
            kind=definition.kind,
            content_type=codec.content_type,
            trace=trace_here(),
            **self._fields,
        )
        if unique is not None:
            message = _only(message, unique, definition)
        kind, over = definition.signature.result_type, options.connection
        return Call(message, kind, unique, over, self._app, holes)

    def each(self) -> tuple[Call[R], str]:
        """Return a call without arguments, and the name of the one that it is still to be given.

        Raises `BadArguments` for a task that one argument is not enough for.
        """
        definition = self._definition
        message = Message(
            id=new_id(),
            task=definition.name,
            body=b"{}",
            kind=definition.kind,
            trace=trace_here(),
            **self._fields,
        )
        options = self._options
        kind = definition.signature.result_type
        call: Call[R] = Call(message, kind, options.unique, options.connection, self._app)
        return call, definition.signature.only_parameter()

    def using(self, **options: Unpack[Using]) -> Sender[P, R]:
        """Return this task with other options for sending; what is None stays as it is.

        `queue`, `priority` (0 to 9, 9 first) and `delay` (seconds, `"5m"` or a timedelta, from when
        the backend takes the message) or `at` (a date with a time zone) say where and when it
        waits; with `needs` (`{"gpu": 1}`) for a worker that offers that. Calls of one `key` run one
        at a time and in order; `limits` names those that apply. `expires` (a duration after it is
        due, or a date) is when it must have started; `timeout` bounds a run, `retries` (a number or
        a `RetryPolicy`) says how often it is tried again. `unique` allows one live job. `keep` says
        how long the result stays, `store=False` keeps no record after success, and `ack="early"`
        settles the job before it runs, so that it runs at most once. `tags` and `headers` travel
        with it. `connection` is one of yours to the same PostgreSQL database, of asyncpg, psycopg,
        SQLAlchemy or Django: the call is sent when its transaction commits, and not otherwise.
        With `exchange` the call goes to the queues that are bound for its `routing_key`
        and headers, a job in each; if there is none, `Unroutable` is raised, or nothing happens
        with `mandatory=False`. The job that `send` returns is that of the first queue by name.
        Raises `BadArguments`.
        """
        changes = changed(self._options, self._definition.policy, options)
        return Sender(self._definition, self._app, changes)


Upgrade = Callable[[dict[str, Any], int], dict[str, Any]]
"""From arguments by name, as they were sent, and the version they were sent for, to those of now."""


class Definition:
    """What is registered of a task: the function and everything that applies to each call."""

    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        kind: Kind,
        policy: RetryPolicy = DEFAULT,
        terms: Terms = NO_TERMS,
        version: int = 1,
    ) -> None:
        self.function = function
        self.version = version
        self.upgrade: Upgrade | None = None
        self.name = name
        self.kind = kind
        self.policy = policy
        self.terms = terms
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
    def app(self) -> Source:
        """What it is registered with."""
        return self._app

    @property
    def options(self) -> Options:
        """How it is sent by default."""
        return self._options

    @property
    def definition(self) -> Definition:
        """What workers know of it."""
        return self._definition

    def upgrade(self, function: Upgrade) -> Upgrade:
        """Have arguments of calls that were sent for an earlier `version` made those of now.

        A decorator of a function that takes them by name, as they were sent, and the version they
        were sent for, and returns those of now. Without it such calls go into quarantine.
        """
        self._definition.upgrade = function
        return function

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


def _only(message: Message, unique: Unique, definition: Definition) -> Message:
    body = definition.signature.with_defaults(message.body, message.content_type)
    record = record_of(unique, message.task, body, message.content_type)
    terms = replace(message.terms or NO_TERMS, unique=record, window=cast("float", unique.window))
    return replace(message, terms=terms)
