"""The shapes of what the JSON API returns, for its description: a test holds every answer to them."""

from __future__ import annotations

from typing import Any, TypedDict

from ropeway.operate.attention import Remark
from ropeway.operate.flow import Flow
from ropeway.runs.handle import NodeView

Text = str | None
"""What may be missing; instants are ISO 8601, in UTC."""


class Error(TypedDict):
    """How a job failed; `cause` is what it has in common with others."""

    type: str
    message: str
    cause: Text


class Job(TypedDict):
    """What a list says of a job."""

    id: str
    task: str
    queue: str
    priority: int
    state: str
    view: str
    attempt: int
    failures: int
    losses: int
    releases: int
    enqueued: Text
    due: Text
    started: Text
    finished: Text
    waited_seconds: float | None
    ran_seconds: float | None
    holder: Text
    error: Error | None


class WholeJob(Job):
    """All that is kept of a job: `why` says why it is not running, `apart` what is kept elsewhere."""

    why: dict[str, Any]
    progress: dict[str, Any] | None
    key: Text
    limits: list[str]
    tags: list[str]
    headers: dict[str, Any]
    arguments: Any
    result: Any
    apart: dict[str, Any]


class Jobs(TypedDict):
    """A page of jobs; with `older` as `before` there are more. None examined: an index found them."""

    jobs: list[Job]
    older: Text
    examined: int | None
    total: int | None


class Cause(TypedDict):
    """Jobs that ended for one cause; not `whole`: at least so many."""

    cause: Text
    number: int
    whole: bool
    state: str
    task: str
    error: Error | None
    newest: Text
    newest_id: str
    oldest_id: str


class Causes(TypedDict):
    """Groups; not `whole`: older jobs were not looked at."""

    causes: list[Cause]
    whole: bool


class Pause(TypedDict):
    """Who paused a queue, when, and why."""

    by: str
    since: Text
    why: str


class Queue(TypedDict):
    """A queue; `capped`: there may be more than is counted."""

    queue: str
    ready: int
    delayed: int
    leased: int
    capped: bool
    oldest_due: Text
    paused: Pause | None


class Worker(TypedDict):
    """What a worker says of itself; `queues` is null for every queue."""

    worker: str
    host: str
    pid: int
    state: str
    why: Text
    busy: dict[str, int]
    slots: dict[str, int]
    children: list[int]
    queues: list[str] | None
    offers: dict[str, int]
    app: str
    code: str
    tasks: dict[str, str]
    version: str
    python: str
    started: Text
    heard: Text
    settled: int


class Overview(TypedDict):
    """How things are."""

    healthy: bool
    remarks: list[Remark]
    workers: list[Worker]
    queues: list[Queue]
    failed_lately: int
    quarantined: int
    flow: Flow | None


class Exchange(TypedDict):
    """An exchange; `bindings` is how many start at it."""

    exchange: str
    type: str
    alternate: Text
    auto_delete: bool
    internal: bool
    bindings: int


class Binding(TypedDict):
    """A binding; it leads to a queue or, `to_exchange`, to an exchange."""

    source: str
    to: str
    to_exchange: bool
    key: str
    arguments: dict[str, Any]


class Exchanges(TypedDict):
    """All of both."""

    exchanges: list[Exchange]
    bindings: list[Binding]


class Way(TypedDict):
    """A queue to which a message would go, and by which bindings."""

    queue: str
    why: str


class Limit(TypedDict):
    """A limit and what of it is used; `declared` is what the code says, where that is overridden."""

    limit: str
    in_flight: int | None
    rate: float | None
    burst: int
    running: int
    room: int | None
    room_at: Text
    waiting: int | None
    whole: bool
    overridden: bool
    by: Text
    since: Text
    why: Text
    declared: dict[str, Any] | None


class Schedule(TypedDict):
    """A schedule."""

    schedule: str
    state: str
    when: str
    timezone: str
    task: str
    queue: str
    next: Text
    runs: int
    last: Text
    last_job: Text
    overlap: str
    missed: str
    paused_by: Text
    why: Text
    origin: Text
    version: int


class Coming(TypedDict):
    """A time that comes: by the clock of the schedule, and when it is due."""

    at: str
    due: str
    note: Text


class Fired(TypedDict):
    """An instant of the past and what became of it."""

    at: str
    decision: str
    job: Text
    state: Text
    late: float
    decided: str
    first: Text
    count: int
    whole: bool
    why: Text


class WholeSchedule(Schedule):
    """A schedule in words, with its next times and the last."""

    says: str
    coming: list[Coming]
    history: list[Fired]


class Run(TypedDict):
    """A run of a workflow."""

    id: str
    name: str
    state: str
    nodes: int
    created: Text
    finished: Text
    turn: int


class WholeRun(TypedDict):
    """A run and its nodes, in the order they were added."""

    id: str
    name: str
    state: str
    created: Text
    finished: Text
    nodes: list[NodeView]


class Topic(TypedDict):
    """A topic and how much is kept of it."""

    topic: str
    type: Text
    version: int
    partitions: int
    events: int
    published: int
    oldest: Text
    subscriptions: int
    bindings: list[str]
    keep: dict[str, Any]


class Standing(TypedDict):
    """How a subscription stands in one partition; `oldest` is an age in seconds.

    `exchange` is the one that gets the events, if that is what it is for.
    """

    topic: str
    partition: int
    subscription: str
    offset: int
    lag: int
    oldest: float | None
    parked: int
    missed: int
    gap: list[int] | None
    holder: Text
    replay: Text
    until: int | None
    exchange: Text


class WholeTopic(Topic):
    """A topic and who reads it."""

    standing: list[Standing]


class Event(TypedDict):
    """An event; `version` is that of the schema of its data."""

    topic: str
    partition: int
    offset: int
    time: Text
    id: str
    key: Text
    headers: dict[str, Any]
    version: int
    source: Text
    data: Any


class Deed(TypedDict):
    """What somebody did by hand."""

    at: Text
    by: str
    via: str
    action: str
    target: str
    why: str
    outcome: str
    told: str


class Deeds(TypedDict):
    """A page of them; with `older` as `after` there are more."""

    entries: list[Deed]
    older: Text


class About(TypedDict):
    """Versions, what the backend can do, and what you may do."""

    version: str
    url: str
    capabilities: dict[str, bool]
    you: dict[str, Any]
    actions: list[str]


class Operation(TypedDict):
    """A change of many jobs: `state` is running, done, stopped, interrupted, or silent if its process is gone."""

    id: str
    action: str
    q: str
    by: str
    via: str
    why: str
    begun: Text
    heard: Text
    state: str
    expected: int
    most: int
    found: int
    done: int
    skipped: dict[str, int]
    sample: list[str]
    stopped_by: Text
