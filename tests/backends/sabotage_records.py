"""Backends with one defect each in what they keep by name: records, scans, logs, joins."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from msgspec.structs import replace

from ropeway.backends.memory import MemoryBackend
from ropeway.backends.memory.joins import Joins
from ropeway.backends.memory.logs import Logs
from ropeway.clock import ManualClock
from ropeway.decide import Keep
from ropeway.message import Message, job_key
from ropeway.transition import (
    Answer,
    Append,
    Arrive,
    Drop,
    Entry,
    Join,
    Put,
    Record,
    Transition,
)
from tests.backends.sabotage_claims import HintsRequired

_ALL = 1_000_000

# -- records ---------------------------------------------------------------------------------------


class DropsBeforePuts(MemoryBackend):
    """Clears away before it writes."""

    def _apply(self, transition: Transition) -> Answer:
        answer = super()._apply(replace(transition, drop=()))
        for put in (put for put in transition.put if Drop(put.key) in transition.drop):
            self._write(put)
        return answer


class KeepsForEver(MemoryBackend):
    """Leaves the end of a record to whoever made it."""

    def _write(self, put: Put) -> int | None:
        return super()._write(replace(put, ttl=None))


class KeepsTheFirstTtl(MemoryBackend):
    """Sets the time of a record when it is made."""

    def _write(self, put: Put) -> int | None:
        kept = self._records._kept
        old = kept.get(put.key)
        version = super()._write(put)
        if old is not None:
            kept[put.key] = replace(kept[put.key], expires=old.expires)
        return version


class GuardsSeeWhatIsOver(MemoryBackend):
    """Looks at the time when it reads, and not when it guards."""

    def _version(self, key: str) -> int:
        kept = self._records._kept.get(key)
        return kept.record.version if kept else super()._version(key)


class VersionsComeBack(MemoryBackend):
    """Removes what is over when it meets it, with its version."""

    def _write(self, put: Put) -> int | None:
        if self._records.get(put.key) is None:
            self._records._kept.pop(put.key, None)
        return super()._write(put)


class KeepsTheFirstOwner(MemoryBackend):
    """Sets the owner of a record when it is made."""

    def _write(self, put: Put) -> int | None:
        old = self._records.get(put.key)
        return super()._write(replace(put, owner=old.owner) if old else put)


class RefusesForAnotherOwner(MemoryBackend):
    """Takes the owner for a guard."""

    def _guard(self, transition: Transition) -> Answer | None:
        for put in transition.put:
            old = self._records.get(put.key)
            if put.if_owner is not None and old is not None and old.owner != put.if_owner:
                return Answer(status="refused", reason="conflict", key=put.key)
        return super()._guard(transition)


class PutsForAnotherOwner(MemoryBackend):
    """The last writer wins, whoever it is."""

    def _write(self, put: Put) -> int | None:
        return super()._write(replace(put, if_owner=None))


class OwnersOutliveTheirTime(MemoryBackend):
    """Asks who the owner is, and not until when."""

    def _write(self, put: Put) -> int | None:
        kept = self._records._kept.get(put.key)
        if kept is not None and put.if_owner not in (None, kept.record.owner):
            return None
        return super()._write(put)


class DropsForAnotherOwner(MemoryBackend):
    """Removes by key alone."""

    def _drop(self, drop: Drop) -> None:
        super()._drop(replace(drop, if_owner=None))


class PrunesRecordsAtOnce(MemoryBackend):
    """Counts jobs against the limit, and nothing else."""

    async def prune(self, keep: Keep, limit: int) -> int:
        return await super().prune(keep, limit) + self._records.prune(_ALL)


# -- scans -----------------------------------------------------------------------------------------


class ScansByPattern(MemoryBackend):
    """`key like prefix || '%'`."""

    async def scan(self, prefix: str, after: str = "", limit: int = 100) -> list[Record]:
        like = re.escape(prefix).replace("%", ".*").replace("_", ".")
        found = [
            record
            for record in self._records.scan("", after, _ALL)
            if re.match(like, record.key, re.IGNORECASE | re.DOTALL)
        ]
        return found[:limit]


class ScansUpToTheLastCharacter(MemoryBackend):
    """`key between prefix and prefix || the last character`."""

    async def scan(self, prefix: str, after: str = "", limit: int = 100) -> list[Record]:
        found = await super().scan(prefix, after, limit)
        return [record for record in found if record.key <= prefix + "\U0010ffff"]


class OrdersByUtf16(MemoryBackend):
    """Compares text as some languages do."""

    async def scan(self, prefix: str, after: str = "", limit: int = 100) -> list[Record]:
        found = self._records.scan(prefix, after, _ALL)
        return sorted(found, key=lambda record: record.key.encode("utf-16-be"))[:limit]


class PagesOverlap(MemoryBackend):
    """`key >= after`."""

    async def scan(self, prefix: str, after: str = "", limit: int = 100) -> list[Record]:
        found = self._records.scan(prefix, "", _ALL)
        return [record for record in found if record.key >= after][:limit]


class LimitsBeforeItLeavesOut(MemoryBackend):
    """Looks at the page that it has fetched for what is over."""

    async def scan(self, prefix: str, after: str = "", limit: int = 100) -> list[Record]:
        keys = sorted(key for key in self._records._kept if key.startswith(prefix) and key > after)
        return [record for key in keys[:limit] if (record := self._records.get(key))]


class ScansJobs(MemoryBackend):
    """Has everything in one table."""

    async def scan(self, prefix: str, after: str = "", limit: int = 100) -> list[Record]:
        jobs = await self.get([job_key(job_id) for job_id in self._jobs])
        found = [job for job in jobs if job is not None and job.key.startswith(prefix)]
        return [*await super().scan(prefix, after, limit), *found][:limit]


# -- logs ------------------------------------------------------------------------------------------


class NumbersAllLogsTogether(MemoryBackend):
    """Has one sequence."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self._last = 0

    def _append(self, append: Append) -> int:
        super()._append(append)
        self._last += 1
        entries = self._logs._entries[append.log]
        entries[-1] = replace(entries[-1], offset=self._last)
        return self._last


class TellsTheFirstOffset(MemoryBackend):
    """Answers with where the entries of a transition begin."""

    def _apply(self, transition: Transition) -> Answer:
        answer = super()._apply(transition)
        count = {each.log: transition.append.count(each) for each in transition.append}
        first = {log: last - count[log] for log, last in answer.offsets.items()}
        return replace(answer, offsets=first)


class StampsWhenRead(MemoryBackend):
    """Tells the time of the look."""

    async def read(self, log: str, after: int = 0, limit: int = 100) -> list[Entry]:
        now = self._clock.now()
        return [replace(entry, appended=now) for entry in await super().read(log, after, limit)]


class ReadsTheSeamTwice(MemoryBackend):
    """`offset >= after`."""

    async def read(self, log: str, after: int = 0, limit: int = 100) -> list[Entry]:
        return await super().read(log, max(0, after - 1), limit)


class ReadsTheNewestFirst(MemoryBackend):
    """`order by offset desc`, and nobody turns it round."""

    async def read(self, log: str, after: int = 0, limit: int = 100) -> list[Entry]:
        found = await super().read(log, after, limit)
        return found[::-1] if after < 0 else found


class CountsWhatIsLeft(MemoryBackend):
    """Takes the length of the list for the end of the log."""

    def _append(self, append: Append) -> int:
        super()._append(append)
        entries = self._logs._entries[append.log]
        entries[-1] = replace(entries[-1], offset=len(entries))
        return len(entries)


class TrimsToTheLast(MemoryBackend):
    """Leaves nothing where nothing was asked to stay."""

    def _apply(self, transition: Transition) -> Answer:
        answer = super()._apply(transition)
        for trim in transition.trim if answer.ok else ():
            entries = self._logs._entries[trim.log]
            entries[:] = [each for each in entries if each.offset > trim.upto]
        return answer


class AppendsWhatIsRefused(MemoryBackend):
    """Writes its log apart from everything else, as one does."""

    def _apply(self, transition: Transition) -> Answer:
        answer = super()._apply(transition)
        if not answer.ok:
            for append in transition.append:
                self._append(append)
        return answer


class AppendsWhatIsRepeated(MemoryBackend):
    """Answers that it was repeated, and tells the world again."""

    def _apply(self, transition: Transition) -> Answer:
        answer = super()._apply(transition)
        if answer.status == "repeated":
            for append in transition.append:
                self._append(append)
        return answer


class NumbersBeforeItCommits(MemoryBackend):
    """Takes an offset from a sequence; every other commit takes a little longer."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self._uncommitted: set[int] = set()

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        answers = await super().commit(transitions)
        mine = {last for answer in answers for last in answer.offsets.values() if last % 2}
        self._uncommitted |= mine
        await asyncio.sleep(0.003 if mine else 0)
        self._uncommitted -= mine
        return answers

    async def read(self, log: str, after: int = 0, limit: int = 100) -> list[Entry]:
        found = await super().read(log, after, limit)
        return [entry for entry in found if entry.offset not in self._uncommitted]


class RecordsAreNotTold(HintsRequired):
    """Tells of jobs and messages only."""

    def _hint(self, name: str) -> None:
        if name.startswith(("job/", "queue/")):
            super()._hint(name)


# -- joins -----------------------------------------------------------------------------------------


class FiresOneEarly(MemoryBackend):
    """Off by one."""

    def _apply(self, transition: Transition) -> Answer:
        joins = tuple(replace(join, need=join.need - 1) for join in transition.join)
        return super()._apply(replace(transition, join=joins))


class FiresWithTheNextCommit(MemoryBackend):
    """Leaves what follows to whoever commits next."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self._late: list[Message] = []
        self._apply_joins = self._joins.apply
        self._joins.apply = self._hold  # type: ignore[method-assign]  # the defect

    def _hold(self, transition: Transition) -> dict[str, tuple[Message, ...]]:
        self._publish_new(self._late)
        fired = self._apply_joins(transition)
        self._late = [message for then in fired.values() for message in then]
        return dict.fromkeys(fired, ())


class CountsArrivals(MemoryBackend):
    """`arrived = arrived + 1`."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self._arrivals = 0

    def _apply(self, transition: Transition) -> Answer:
        self._arrivals += 1
        arrive = tuple(
            replace(each, member=f"{each.member} {self._arrivals}") for each in transition.arrive
        )
        return super()._apply(replace(transition, arrive=arrive))


class ForgetsTheEarly(MemoryBackend):
    """`update ... where name = ?`, without a look at whether there was such a row."""

    def _apply(self, transition: Transition) -> Answer:
        made = {name for name, state in self._joins._states.items() if state.need is not None}
        made |= {join.name for join in transition.join}
        arrive = tuple(each for each in transition.arrive if each.join in made)
        return super()._apply(replace(transition, arrive=arrive))


class NeedsSomebody(MemoryBackend):
    """Looks at a join when somebody arrives."""

    def _apply(self, transition: Transition) -> Answer:
        joins = tuple(replace(join, need=max(1, join.need)) for join in transition.join)
        return super()._apply(replace(transition, join=joins))


class LastNeedHolds(MemoryBackend):
    """`on conflict do update set need = excluded.need`."""

    def _apply(self, transition: Transition) -> Answer:
        for join in transition.join:
            if join.name in self._joins._states:
                self._joins._states[join.name].need = join.need
        return super()._apply(transition)


class LastThenHolds(MemoryBackend):
    """`insert or replace`."""

    def _apply(self, transition: Transition) -> Answer:
        for join in transition.join:
            if join.name in self._joins._states:
                self._joins._states[join.name].then = join.then
        return super()._apply(transition)


class FiresAgain(MemoryBackend):
    """Fires whenever it is complete."""

    def _apply(self, transition: Transition) -> Answer:
        for state in self._joins._states.values():
            state.fired = False
        return super()._apply(transition)


class ForgetsWhatHasFired(MemoryBackend):
    """Removes a join that has done its work."""

    async def prune(self, keep: Keep, limit: int) -> int:
        for state in self._joins._states.values():
            state.purge = 0.0 if state.fired else state.purge
        return await super().prune(keep, limit)


class PublishesAgain(MemoryBackend):
    """Thinks that what a join publishes is always new."""

    def _publish_new(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._publish(message)


class DelaysFromTheJoin(MemoryBackend):
    """Turns delays into dates when it gets them."""

    def _apply(self, transition: Transition) -> Answer:
        return super()._apply(replace(transition, join=tuple(map(self._dated, transition.join))))

    def _dated(self, join: Join) -> Join:
        now = self._clock.now()
        then = tuple(replace(message, due=now + message.delay) for message in join.then)
        return replace(join, then=then)


class TellsOneJoin(MemoryBackend):
    """Has room for one answer."""

    def _apply(self, transition: Transition) -> Answer:
        answer = super()._apply(transition)
        return replace(answer, fired=answer.fired[:1])


class LostAttemptsArrive(MemoryBackend):
    """Counts whoever comes, and looks at the fence afterwards."""

    def _apply(self, transition: Transition) -> Answer:
        answer = super()._apply(transition)
        if not answer.ok:
            super()._apply(Transition(arrive=transition.arrive))
        return answer


class ArrivesByCompareAndSet(MemoryBackend):
    """Reads the members, and writes them if nobody else has done so meanwhile."""

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        before = self._arrived(transitions)
        if transitions[0].arrive:
            await asyncio.sleep(0)
        if self._arrived(transitions) != before:
            return [Answer(status="refused", reason="conflict")] * len(transitions)
        return await super().commit(transitions)

    def _arrived(self, transitions: Sequence[Transition]) -> int:
        arrivals: list[Arrive] = [each for one in transitions for each in one.arrive]
        return sum(len(self._joins._states[each.join].members) for each in arrivals)


class KeepsNamesInMemory(MemoryBackend):
    """Keeps jobs and records, and the rest while it is open."""

    async def close(self) -> None:
        self._logs = Logs(self._clock)
        self._joins = Joins(self._clock)
