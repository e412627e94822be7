"""What a commit is about, in memory: loaded, changed by pure decisions, and written at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec
from msgspec import Struct, field

from ropeway.backends.postgres.lanes import BY_KEY, lane_of
from ropeway.backends.postgres.locks import LIMITS, bucket
from ropeway.backends.postgres.rows import Job, new_job
from ropeway.envelope import NUMBERS, failure_of
from ropeway.message import JOB_PREFIX, Message, job_key
from ropeway.states import State
from ropeway.store import queue_name
from ropeway.transition import Transition

Line = tuple[str, str]
_limits = msgspec.json.Decoder(list[str]).decode


class Kept(Struct):
    """A record as it is stored, over or not; without a value it has not been written."""

    version: int
    expires: float | None
    owner: str
    value: bytes | None = None
    changed: bool = False
    dropped: bool = False


class Joined(Struct):
    """A join as it is stored."""

    need: int | None = None
    arrived: int = 0
    fired: bool = False
    purge: float = 0.0
    messages: bytes | None = None
    changed: bool = False

    def completes(self, more: int = 0, need: int | None = None) -> bool:
        """Whether it fires when `more` arrive, and if not made yet is made with this `need`."""
        enough = need if self.need is None else self.need
        return not self.fired and enough is not None and self.arrived + more >= enough


class LogEnd(Struct):
    """A log, its last offset, what is appended behind that, and up to where it is trimmed."""

    number: int
    last: int
    new: list[bytes] = field(default_factory=list)
    trimmed: int = 0


class Names:
    """What transitions name: what has to be loaded, and locked before that."""

    def __init__(self, transitions: Iterable[Transition] = ()) -> None:
        self.jobs: set[str] = set()
        self.published: set[str] = set()
        self.records: set[str] = set()
        self.logs: set[str] = set()
        self.joins: set[str] = set()
        self.members: set[tuple[str, str]] = set()
        self.lines: set[Line] = set()
        self.rooms: dict[str, int] = {}
        self.limited = False
        for each in transitions:
            self._add(each)

    def _add(self, each: Transition) -> None:
        if each.fence is not None:
            self.jobs.add(each.fence.id)
        for key in each.expect:
            if key.startswith(JOB_PREFIX):
                self.jobs.add(key.removeprefix(JOB_PREFIX))
            else:
                self.records.add(key)
        self.records.update(put.key for put in each.put)
        self.records.update(drop.key for drop in each.drop)
        self.logs.update(append.log for append in each.append)
        self.logs.update(trim.log for trim in each.trim)
        for queue, most in each.room.items():
            self.rooms[queue] = max(most, self.rooms.get(queue, 0))
        self.add_messages(each.publish)
        self.joins.update(join.name for join in each.join)
        self.joins.update(arrive.join for arrive in each.arrive)
        self.members.update((arrive.join, arrive.member) for arrive in each.arrive)
        for changes in (each.cancel, each.update, each.revive, each.remove):
            self.jobs.update(change.id for change in changes)
        for revive in each.revive:
            if revive.message is not None and revive.message.key is not None:
                self.lines.add((revive.message.queue, revive.message.key))

    def add_messages(self, messages: Iterable[Message]) -> None:
        """Messages are going to be published."""
        for message in messages:
            self.published.add(message.id)
            if message.key is not None:
                self.lines.add((message.queue, message.key))

    def locks(self) -> frozenset[int]:
        """Return the locks that all of this needs."""
        found = {bucket("record", key) for key in self.records}
        found |= {bucket("log", name) for name in self.logs}
        found |= {bucket("join", name) for name in self.joins}
        found |= {bucket("line", *line) for line in self.lines}
        found |= {bucket("room", queue) for queue in self.rooms}
        return frozenset(found | {LIMITS} if self.limited else found)


class Model:
    """The state that decisions look at and change; `changed` are the names to hint.

    `depths` are how many wait in the queues whose room is asked for, and what has changed in others.
    """

    def __init__(self, now: float) -> None:
        self.now = now
        self.jobs: dict[str, Job] = {}
        self.records: dict[str, Kept] = {}
        self.logs: dict[str, LogEnd] = {}
        self.joins: dict[str, Joined] = {}
        self.members: set[tuple[str, str]] = set()
        self.new_members: list[tuple[str, str]] = []
        self.then: dict[str, tuple[Message, ...]] = {}
        self.open_lines: set[Line] = set()
        self.to_free: set[Line] = set()
        self.given_back: Counter[str] = Counter()
        self.depths: Counter[str] = Counter()
        self.unkept: dict[bytes, str] = {}
        self.repeated: set[bytes] = set()
        self.changed: set[str] = set()

    def job(self, job_id: str) -> Job | None:
        """Return a job, unless it is unknown."""
        job = self.jobs.get(job_id)
        return None if job is None or job.removed else job

    def version(self, key: str) -> int:
        """Return the version of what a key names, 0 if it is absent."""
        if key.startswith(JOB_PREFIX):
            job = self.job(key.removeprefix(JOB_PREFIX))
            return job.version if job else 0
        kept = self.record(key)
        return kept.version if kept else 0

    def record(self, key: str) -> Kept | None:
        """Return a record, unless it is over."""
        kept = self.records.get(key)
        if kept is None or kept.dropped or (kept.expires is not None and kept.expires <= self.now):
            return None
        return kept

    def add(self, message: Message) -> None:
        """Publish a message, unless its id is known."""
        if self.job(message.id) is not None:
            return
        job = new_job(message, self.now)
        self.enter(job)
        before = self.jobs.get(message.id)
        job.stored = before.stored if before else None
        self.jobs[message.id] = job
        self.depths[message.queue] += 1
        self.changed.add(queue_name(message.queue))

    def enter(self, job: Job) -> None:
        """Let a job that waits into its lane, or behind what is open of its key."""
        job.lane = lane_of(job.band, limited=job.limited_by is not None)
        job.waits_for = job.rank = None
        if job.line is not None:
            if job.line in self.open_lines:
                job.lane = BY_KEY
            self.open_lines.add(job.line)

    def leave(self, job: Job) -> None:
        """A job that was open stands in its line no more: the next is free if it was."""
        if job.line is not None and job.lane != BY_KEY:
            self.to_free.add(job.line)

    def end(self, job: Job, state: State, keep: float) -> None:
        """Settle a job; what it held back may go on."""
        if job.state == NUMBERS[State.RUNNING]:
            self.give_back(job)
        else:
            self.depths[job.queue] -= 1
        self.leave(job)
        job.state, job.finished, job.purge = NUMBERS[state], self.now, self.now + keep
        job.keep_cancelled = job.lease_until = job.waits_for = job.rank = None
        job.cause = "" if job.error is None else failure_of(job.error).fingerprint
        self.touch(job)

    def give_back(self, job: Job) -> None:
        """A job is leased no longer: its limits have room for another one."""
        if job.limited_by is not None:
            self.given_back.update(_limits(job.limited_by))

    def touch(self, job: Job) -> None:
        """A job has changed."""
        job.version += 1
        job.changed = True
        self.changed.add(job_key(job.id))

    def remove(self, job: Job) -> None:
        """Forget a settled job."""
        job.removed = job.changed = True
        self.changed.add(job_key(job.id))
