"""Logs: entries by offset, in the order of commits."""

from __future__ import annotations

import asyncio

from ropeway.states import State
from ropeway.store import Backend
from ropeway.testing.conformance.harness import Harness
from ropeway.testing.conformance.steps import apply, claimer, put, sent, settled
from ropeway.transition import Append, Finish, Put, Transition, Trim

_ALL = 1_000


async def _append(backend: Backend, log: str, *values: bytes) -> int:
    """Append in one transition and return the last offset."""
    answer = await apply(backend, append=tuple(Append(log, value) for value in values))
    return answer.offsets[log]


async def _values(backend: Backend, log: str) -> list[bytes]:
    return [each.value for each in await backend.read(log, 0, _ALL)]


class LogCases:
    """`append` in a transition, and the verb `read`."""

    async def test_offsets_count_each_log_from_one(self, harness: Harness) -> None:
        """Each log has its own offsets, from 1 without a gap; the last of a log is answered.

        Broken: logs share a counter, or who appends two is told where the first one is.
        """
        both = (Append("a", b"1"), Append("b", b"1"), Append("a", b"2"))
        first, second = Transition(append=both), Transition(append=both[:2])
        answers = await harness.backend.commit([first, second])
        assert [each.offsets for each in answers] == [{"a": 2, "b": 1}, {"a": 3, "b": 2}]
        assert await _append(await harness.second(), "a", b"4") == 4
        for log, count in (("a", 4), ("b", 2), ("never", 0)):
            found = await harness.backend.read(log)
            assert [each.offset for each in found] == list(range(1, count + 1))

    async def test_entries_come_back_as_they_were_appended(self, harness: Harness) -> None:
        """A value is read as it was written, with the time at which it was, from any handle.

        Broken: an empty entry is left out, a large one is cut, or the time is that of the look.
        """
        values = [b"", b"\x00\xff" * 500_000, b"1"]
        before = await harness.backend.now()
        await _append(harness.backend, "a/ä", *values)
        after = await harness.backend.now()
        await harness.advance(harness.unit)
        found = await (await harness.second()).read("a/ä")
        assert [each.value for each in found] == values
        assert all(before <= each.appended <= after for each in found)

    async def test_reading_goes_on_after_an_offset(self, harness: Harness) -> None:
        """A read begins behind the offset that it names, and ends at its limit or with the log.

        Broken: the entry at the seam is read twice or never.
        """
        values = [b"%d" % number for number in range(25)]
        await _append(harness.backend, "l", *values)
        for after in (0, 10, 20, 25):
            found = await harness.backend.read("l", after, 10)
            assert [each.value for each in found] == values[after : after + 10]
        assert await harness.backend.read("l", 99) == []
        assert await _append(harness.backend, "l", b"25") == 26
        assert [each.offset for each in await harness.backend.read("l", 25)] == [26]

    async def test_below_zero_reading_counts_from_the_end(self, harness: Harness) -> None:
        """The end of a log is found without reading all of it.

        Broken: the last entries come in the wrong order, or more or fewer of them.
        """
        await _append(harness.backend, "l", *(b"%d" % number for number in range(1, 26)))
        for after, limit, expected in (
            (-1, 10, [25]),
            (-3, 10, [23, 24, 25]),
            (-3, 2, [23, 24]),
            (-99, 2, [1, 2]),
        ):
            found = await harness.backend.read("l", after, limit)
            assert [(each.offset, int(each.value)) for each in found] == [
                (offset, offset) for offset in expected
            ]
        assert await harness.backend.read("never", -1, 10) == []

    async def test_a_log_is_trimmed_from_its_beginning(self, harness: Harness) -> None:
        """What is trimmed is gone, what is behind it keeps its offsets, and new entries go on.

        Broken: offsets shift, one is given twice, another log is trimmed, or too much goes.
        """
        backend, other = harness.backend, await harness.second()
        for log in ("l", "m"):
            await _append(backend, log, *(b"%d" % number for number in range(1, 11)))
        await apply(backend, trim=(Trim("l", 4), Trim("never", 9)))
        await apply(other, trim=(Trim("l", 3),))  # what is gone already
        assert [each.offset for each in await other.read("l", 0, _ALL)] == [5, 6, 7, 8, 9, 10]
        assert [each.offset for each in await other.read("l", 6, 2)] == [7, 8]
        assert [each.offset for each in await other.read("l", 2, 2)] == [5, 6]
        assert [each.offset for each in await other.read("l", -2, 9)] == [9, 10]
        assert await _append(backend, "l", b"11") == 11
        assert await _values(other, "l") == [b"%d" % number for number in range(5, 12)]
        assert len(await _values(backend, "m")) == 10

    async def test_the_last_entry_of_a_log_stays(self, harness: Harness) -> None:
        """The end of a log can always be read, and what is appended with a trim counts as its end.

        Broken: after everything has gone nobody knows where the log goes on.
        """
        backend = harness.backend
        await _append(backend, "l", b"1", b"2", b"3")
        await apply(backend, trim=(Trim("l", 1_000_000),))
        assert [each.offset for each in await backend.read("l", -1, 9)] == [3]
        answer = await apply(backend, append=(Append("l", b"4"),), trim=(Trim("l", 4),))
        assert answer.offsets == {"l": 4}
        assert [each.offset for each in await backend.read("l", 0, _ALL)] == [4]
        refused = Transition(expect={"absent": 3}, trim=(Trim("l", 9),), append=(Append("l", b""),))
        assert [each.ok for each in await backend.commit([refused])] == [False]
        assert await _values(backend, "l") == [b"4"]

    async def test_a_refused_transition_appends_nothing(self, harness: Harness) -> None:
        """What is refused leaves no entry, and no gap where it would have been.

        Broken: a log tells of what never happened, or a reader waits at a gap for ever.
        """
        await put(harness.backend, "r")
        await _append(harness.backend, "l", b"1")
        refused = Transition(expect={"r": 0}, append=(Append("l", b"refused"),))
        answers = await harness.backend.commit([refused, Transition(append=(Append("l", b"2"),))])
        assert [each.status for each in answers] == ["refused", "applied"]
        assert answers[1].offsets == {"l": 2}
        assert await _values(harness.backend, "l") == [b"1", b"2"]

    async def test_a_repeated_settle_appends_nothing_again(self, harness: Harness) -> None:
        """What is appended with a settle is appended once, however often its reply is lost.

        Broken: subscribers hear of the end of a job twice.
        """
        await sent(harness.backend)
        delivery = await claimer(harness).take_one()
        end = settled(delivery, Finish(State.SUCCEEDED), append=(Append("ends", b"1"),))
        answers = [*await harness.backend.commit([end]), *await harness.backend.commit([end])]
        assert [each.status for each in answers] == ["applied", "repeated"]
        assert await _values(harness.backend, "ends") == [b"1"]

    async def test_a_reader_beside_writers_misses_nothing(self, harness: Harness) -> None:
        """Whoever follows a log that many append to sees every entry, in the order of offsets.

        Broken: an offset is given before the commit, a later one is seen first, and is gone past.
        """
        backend, other = harness.backend, await harness.second()
        appends = [_append(each, "l", b"1") for _ in range(20) for each in (backend, other)]
        writers, offsets, written = asyncio.gather(*appends), [0], False
        while not written:
            await asyncio.sleep(0)
            written = writers.done()
            offsets += [each.offset for each in await other.read("l", offsets[-1])]
        assert sorted(await writers) == list(range(1, 41))
        assert offsets == list(range(41))

    async def test_a_reader_beside_a_slow_writer_misses_nothing(self, harness: Harness) -> None:
        """A transition that takes long to write has its offsets in the order of commits as well.

        Broken: of two that are written at the same time the first has the lower offset and the second
        is seen earlier, so that a reader goes past what the first one appends.
        """
        other = await harness.second()
        large = tuple(Put(f"large/{number}", b"\xfe" * 1_000_000) for number in range(12))
        slow = Transition(append=(Append("l", b"slow"),), put=large)
        writer = asyncio.ensure_future(harness.backend.commit([slow]))
        offsets, quick = [0], 0
        while not writer.done() or quick < 5:
            await asyncio.sleep(0)
            await _append(other, "l", b"quick")
            quick += 1
            offsets += [each.offset for each in await other.read("l", offsets[-1])]
        await writer
        offsets += [each.offset for each in await other.read("l", offsets[-1], _ALL)]
        assert offsets == list(range(quick + 2))
