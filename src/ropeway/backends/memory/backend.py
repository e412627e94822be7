"""Messages and records in this process: the reference that the other backends are compared with."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from ropeway.backends.memory import look
from ropeway.backends.memory.alone import alone
from ropeway.backends.memory.hints import Hints
from ropeway.backends.memory.job import MemoryJob
from ropeway.backends.memory.joins import Joins
from ropeway.backends.memory.line import Line
from ropeway.backends.memory.logs import Logs
from ropeway.backends.memory.records import Records
from ropeway.backends.memory.room import guard_room, over
from ropeway.broker import Held, QueueStats
from ropeway.capabilities import Capabilities
from ropeway.claims import Claim, Limit, Meter
from ropeway.clock import Clock, SystemClock
from ropeway.decide import NOT_STARTED, Keep
from ropeway.message import (
    JOB_PREFIX,
    Delivery,
    Fence,
    JobRecord,
    Message,
    is_lost,
    job_key,
    late_key,
    solo_key,
)
from ropeway.states import FINAL, State
from ropeway.store import Causes, Count, Filter, Found, holder_name, log_name, queue_name
from ropeway.transition import (
    REPEATED,
    Answer,
    Append,
    Cancel,
    Drop,
    Entry,
    Finish,
    Put,
    Record,
    Reject,
    Release,
    Remove,
    Revive,
    Transition,
    Update,
    digest,
    is_plain,
)

_SHORTEST_WAIT = 0.005
_encode = msgspec.msgpack.Encoder().encode


class MemoryBackend(Hints):
    """Both roles, in plain containers, for every thread and event loop of one process."""

    capabilities = Capabilities(durable=False, shared=False)

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__()
        self._clock = clock or SystemClock()
        self._jobs: dict[str, MemoryJob] = {}
        self._records = Records(self._clock)
        self._logs = Logs(self._clock)
        self._joins = Joins(self._clock)
        self._line = Line(self._jobs)
        self._leased: dict[str, set[str]] = defaultdict(set)
        self._serial = 0

    async def open(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        """Nothing to give up: what is kept stays until the object goes."""

    async def now(self) -> float:
        return self._clock.now()

    # -- commit ---------------------------------------------------------------------------

    @alone
    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        return [self._apply(transition) for transition in transitions]

    def _apply(self, transition: Transition) -> Answer:
        answer = self._guard(transition)
        if answer is not None:
            return answer
        versions = {put.key: version for put in transition.put if (version := self._write(put))}
        for drop in transition.drop:
            self._drop(drop)
        offsets = {append.log: self._append(append) for append in transition.append}
        for trim in transition.trim:
            self._logs.trim(trim)
        self._publish_new(transition.publish)
        fired = self._joins.apply(transition)
        for then in fired.values():
            self._publish_new(then)
        cancelled = [each.id for each in transition.cancel if self._cancel(each)]
        flagged = [each.id for each in transition.cancel if self._flag(each)]
        for update in transition.update:
            self._update(update)
        for revive in transition.revive:
            self._revive(revive)
        for remove in transition.remove:
            self._remove(remove)
        if transition.fence is not None and transition.settle is not None:
            self._settle(transition)
        return Answer(
            status="applied",
            versions=versions,
            offsets=offsets,
            fired=tuple(fired),
            cancelled=tuple(cancelled),
            flagged=tuple(flagged),
        )

    def _guard(self, transition: Transition) -> Answer | None:
        if transition.fence is not None:
            answer = self._guard_fence(transition.fence, transition)
            if answer is not None:
                return answer
        for key, version in transition.expect.items():
            current = self._version(key)
            if current != version:
                return Answer(status="refused", reason="conflict", key=key, current=current)
        first: dict[str, Message] = {}
        for message in transition.publish:
            job = self._jobs.get(message.id)
            if message != (job.message if job else first.setdefault(message.id, message)):
                key = job_key(message.id)
                current = self._version(key)
                return Answer(status="refused", reason="duplicate", key=key, current=current)
        jobs = self._jobs
        late = [u.id for u in transition.update if not self._is_in(u.id, State.QUEUED)]
        late += [r.id for r in transition.revive if not self._is_in(r.id, *FINAL)]
        late += [r.id for r in transition.remove if r.id in jobs and not jobs[r.id].state.final]
        if late:
            key = job_key(late[0])
            return Answer(status="refused", reason="conflict", key=key, current=self._version(key))
        only_publishes = transition.fence is None and is_plain(transition)
        if only_publishes and transition.publish and not first:
            return REPEATED
        return self._guard_room(transition.room, Counter(each.queue for each in first.values()))

    def _guard_room(self, room: Mapping[str, int], fresh: Mapping[str, int]) -> Answer | None:
        return guard_room(self._jobs, room, fresh)

    def _is_in(self, job_id: str, *states: State) -> bool:
        job = self._jobs.get(job_id)
        return job is not None and job.state in states

    def _guard_fence(self, fence: Fence, transition: Transition) -> Answer | None:
        job = self._jobs.get(fence.id)
        if job is not None and (job.attempt, job.holder) == (fence.attempt, fence.holder):
            if job.state is State.RUNNING:
                return None
            if job.settled == digest(transition):
                return REPEATED
        key = job_key(fence.id)
        return Answer(status="refused", reason="lost", key=key, current=self._version(key))

    def _version(self, key: str) -> int:
        if key.startswith(JOB_PREFIX):
            job = self._jobs.get(key.removeprefix(JOB_PREFIX))
            return job.version if job else 0
        record = self._records.get(key)
        return record.version if record else 0

    def _write(self, put: Put) -> int | None:
        version = self._records.put(put)
        if version is not None:
            self._hint(put.key)
        return version

    def _drop(self, drop: Drop) -> None:
        if self._records.drop(drop):
            self._hint(drop.key)

    def _append(self, append: Append) -> int:
        offset = self._logs.append(append)
        self._hint(log_name(append.log))
        return offset

    def _publish_new(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if message.id not in self._jobs:
                self._publish(message)

    def _publish(self, message: Message) -> None:
        now = self._clock.now()
        self._serial += 1
        due = message.due if message.due is not None else now + message.delay
        job = MemoryJob(message=message, serial=self._serial, enqueued=now, due=due, place=due)
        self._jobs[message.id] = job
        self._line.enter(job)
        self._hint(queue_name(message.queue))

    def _cancel(self, cancel: Cancel) -> bool:
        job = self._jobs.get(cancel.id)
        if job is None or job.state is not State.QUEUED:
            return False
        self._end_cancelled(job, cancel.keep)
        return True

    def _flag(self, cancel: Cancel) -> bool:
        job = self._jobs.get(cancel.id)
        if job is None or job.state is not State.RUNNING:
            return False
        job.cancelling, job.keep_cancelled = True, cancel.keep
        job.version += 1
        self._hint(job_key(cancel.id))
        self._hint(holder_name(job.holder or ""))
        return True

    def _end_cancelled(self, job: MemoryJob, keep: float) -> None:
        self._end(job, State.CANCELLED, keep)
        job.version += 1
        job.settled = None
        self._hint(job_key(job.message.id))

    def _update(self, update: Update) -> None:
        job = self._jobs[update.id]
        old = job.message.queue
        moves = update.queue not in {None, old}
        if moves and self._line.leave(job, self._clock.now()):
            self._hint(queue_name(old))
        given = {name: getattr(update, name) for name in ("queue", "band", "body")}
        changes = {name: value for name, value in given.items() if value is not None}
        job.message = msgspec.structs.replace(job.message, **changes)
        if update.due is not None:
            job.due = job.place = update.due
        job.version += 1
        if moves:
            self._line.enter(job)
        else:
            self._line.push(job)
        self._hint(queue_name(job.message.queue))
        self._hint(job_key(update.id))

    def _revive(self, revive: Revive) -> None:
        job, now = self._jobs[revive.id], self._clock.now()
        if not job.state.final:
            return
        job.message = revive.message or job.message
        job.state, job.settled, job.finished, job.value = State.QUEUED, None, None, None
        job.failures = job.losses = job.unknown = 0
        job.releases = job.attempt
        job.enqueued = now
        job.due = job.place = now if revive.due is None else revive.due
        job.version += 1
        self._line.enter(job)
        self._hint(queue_name(job.message.queue))
        self._hint(job_key(revive.id))

    def _remove(self, remove: Remove) -> None:
        job = self._jobs.get(remove.id)
        if job is not None and job.state.final:
            del self._jobs[remove.id]
            self._hint(job_key(remove.id))

    def _end(self, job: MemoryJob, state: State, keep: float) -> None:
        """A job is settled: what it held back may go on."""
        now = self._clock.now()
        if job.state is State.RUNNING:
            self._free(job)
        job.state, job.finished, job.purge, job.cancelling = state, now, now + keep, False
        if self._line.leave(job, now):
            self._hint(queue_name(job.message.queue))

    def _free(self, job: MemoryJob) -> None:
        self._leased[job.message.queue].discard(job.message.id)
        for queue in self._line.give_back(job):
            self._hint(queue_name(queue))

    def _settle(self, transition: Transition) -> None:
        settle = transition.settle
        job = self._jobs[transition.fence.id] if transition.fence else None
        if job is None or settle is None:
            return
        now = self._clock.now()
        job.version += 1
        job.settled = digest(transition)
        self._charge(job, settle.counts)
        match settle:
            case Finish():
                job.value, job.error = settle.value, settle.error
                self._end(job, settle.state, settle.keep)
            case Reject():
                job.error = settle.failure()
                self._end(job, State.QUARANTINED, settle.keep)
            case Release() if job.cancelling:
                job.error = settle.error
                self._end(job, State.CANCELLED, job.keep_cancelled)
            case Release():
                self._release(job, settle, now)
        if not isinstance(settle, Release) and settle.keep <= 0:
            del self._jobs[job.message.id]
        self._hint(job_key(job.message.id))

    def _release(self, job: MemoryJob, release: Release, now: float) -> None:
        self._free(job)
        job.state, job.error = State.QUEUED, release.error
        if release.at is not None:
            job.due = job.place = release.at
        elif release.delay is not None:
            job.due = job.place = now + release.delay
        self._line.push(job)
        self._hint(queue_name(job.message.queue))

    @staticmethod
    def _charge(job: MemoryJob, counts: str) -> None:
        if counts != "none":
            setattr(job, counts, getattr(job, counts) + 1)
        if counts == "unknown":
            job.releases += 1

    # -- receive and extend ---------------------------------------------------------------

    async def receive(
        self, claims: Sequence[Claim], holder: str, lease: float, wait: float = 0.0
    ) -> list[Delivery]:
        found = self._claim_all(claims, holder, lease)
        if found or not claims or wait <= 0:
            return found
        names = [queue_name(claim.queue) for claim in claims]
        deadline = time.monotonic() + wait
        while not found and (left := deadline - time.monotonic()) > 0:
            # Something that is due and still cannot be claimed must not turn this into a spin.
            soon = max(await self.ready_in(claims), _SHORTEST_WAIT)
            await self.wait(names, min(left, soon))
            found = self._claim_all(claims, holder, lease)
        return found

    @alone
    async def ready_in(self, claims: Sequence[Claim]) -> float:
        """Return in how many seconds one of `claims` may find something, as far as is known."""
        waits = [float("inf")]
        for claim in claims:
            held = [self._jobs[job_id] for job_id in self._leased[claim.queue]]
            ends = [job.lease_until for job in held if job.message.kind in claim.wanted]
            waits += [end - self._clock.boot() for end in ends]
            now = self._clock.now()
            waits.append(self._line.ready_at(claim, now) - now)
        return min(waits)

    def _claim_all(self, claims: Sequence[Claim], holder: str, lease: float) -> list[Delivery]:
        found: list[Delivery] = []
        with self.lock:
            for claim in claims:
                self._end_flagged()
                jobs = [*self._expired(claim)][: claim.n]
                jobs += self._due(claim, claim.n - len(jobs))
                found += [self._lease(job, holder, lease) for job in jobs]
        return found

    def _end_flagged(self) -> int:
        """End those that are to be cancelled and whose holders are gone."""
        boot = self._clock.boot()
        held = [self._jobs[job_id] for leased in self._leased.values() for job_id in leased]
        over = [job for job in held if job.cancelling and job.lease_until <= boot]
        for job in over:
            self._end_cancelled(job, job.keep_cancelled)
        return len(over)

    def _expired(self, claim: Claim) -> Iterator[MemoryJob]:
        boot = self._clock.boot()
        jobs = [self._jobs[job_id] for job_id in self._leased[claim.queue]]
        for job in sorted(jobs, key=lambda job: (job.lease_until, job.serial)):
            in_bands = claim.lowest <= job.message.band <= claim.highest
            if job.lease_until <= boot and in_bands and job.message.kind in claim.wanted:
                yield job

    def _due(self, claim: Claim, n: int) -> list[MemoryJob]:
        return self._line.take(claim, n, self._clock.now())

    def _lease(self, job: MemoryJob, holder: str, lease: float) -> Delivery:
        if job.state is State.RUNNING:
            mark = self._records.get(solo_key(job.message.id))
            lost = is_lost(job.attempt, job.record().abandoned, mark.value if mark else None)
            job.losses += lost
        job.state, job.holder = State.RUNNING, holder
        job.attempt += 1
        job.version += 1
        job.settled = None
        job.lease_until = self._clock.boot() + lease
        job.started = self._clock.now()
        self._leased[job.message.queue].add(job.message.id)
        return job.delivery(holder)

    @alone
    async def extend(self, fences: Sequence[Fence], lease: float) -> list[Held]:
        return [self._extend(fence, lease) for fence in fences]

    def _extend(self, fence: Fence, lease: float) -> Held:
        job = self._jobs.get(fence.id)
        if job is None or job.state is not State.RUNNING:
            return "lost"
        if (job.attempt, job.holder) != (fence.attempt, fence.holder):
            return "lost"
        job.lease_until = self._clock.boot() + lease
        return "cancelled" if job.cancelling else "held"

    async def lifeline(self, holder: str) -> str | None:
        return None  # whoever holds a lease lives and dies with the backend itself

    # -- records and people ---------------------------------------------------------------

    @alone
    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        return [self._get(key) for key in keys]

    def _get(self, key: str) -> Record | None:
        if not key.startswith(JOB_PREFIX):
            return self._records.get(key)
        job = self._jobs.get(key.removeprefix(JOB_PREFIX))
        return Record(key, job.version, _encode(job.record())) if job else None

    @alone
    async def search(self, which: Filter, before: str | None = None, limit: int = 50) -> Found:
        return look.search(self._jobs, which, before, limit)

    @alone
    async def count(self, which: Filter, cap: int = 100_000) -> Count:
        return look.count(self._jobs, which, cap)

    @alone
    async def causes(self, which: Filter, limit: int = 50) -> Causes:
        return look.causes(self._jobs, which, limit)

    @alone
    async def stats(self, queues: Sequence[str] | None = None, cap: int = 0) -> list[QueueStats]:
        open_jobs = [job for job in self._jobs.values() if not job.state.final]
        names = sorted({job.message.queue for job in open_jobs}) if queues is None else queues
        return [self._count(name, open_jobs, cap) for name in names]

    def _count(self, queue: str, jobs: list[MemoryJob], cap: int) -> QueueStats:
        return look.stats(queue, jobs, cap, self._clock.now())

    @alone
    async def declare(self, limits: Sequence[Limit]) -> None:
        for limit in limits:
            self._line.limits.declare(limit)
        for queue in self._line.waiting_for(*(limit.name for limit in limits)):
            self._hint(queue_name(queue))

    @alone
    async def meters(self, names: Sequence[str]) -> list[Meter]:
        return [self._line.limits.meter(name) for name in names]

    @alone
    async def peek(self, queue: str, limit: int = 50) -> list[JobRecord]:
        return look.peek(self._jobs, queue, limit)

    @alone
    async def scan(self, prefix: str, after: str = "", limit: int = 100) -> list[Record]:
        return self._records.scan(prefix, after, limit)

    @alone
    async def read(self, log: str, after: int = 0, limit: int = 100) -> list[Entry]:
        return self._logs.read(log, after, limit)

    @alone
    async def prune(self, keep: Keep, limit: int) -> int:
        self._end_flagged()
        late = [job for job in self._jobs.values() if self._is_late(job)][:limit]
        for job in late:
            self._expire(job, keep.failure)
            if job.message.queue in keep.noted:
                self._write(Put(late_key(job.message.id), b""))
        gone = [job for state in FINAL for job in self._over(state, keep.newest)]
        for job in gone[: limit - len(late)]:
            del self._jobs[job.message.id]
        changed = min(limit, len(late) + len(gone))
        changed += self._records.prune(limit - changed)
        return changed + self._joins.prune(limit - changed)

    def _is_late(self, job: MemoryJob) -> bool:
        expires = job.message.expiry(job.enqueued)
        return job.state is State.QUEUED and expires is not None and expires <= self._clock.now()

    def _expire(self, job: MemoryJob, kept: float) -> None:
        job.error, job.settled = NOT_STARTED, None
        self._end(job, State.EXPIRED, kept)
        job.version += 1
        self._hint(job_key(job.message.id))

    def _over(self, state: State, newest: int) -> list[MemoryJob]:
        return over(self._jobs, state, newest, self._clock.now())
