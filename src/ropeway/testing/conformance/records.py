"""Records: values by key, each with a version."""

from __future__ import annotations

from ropeway.message import job_key
from ropeway.states import State
from ropeway.testing.conformance.harness import Harness
from ropeway.testing.conformance.steps import (
    apply,
    claimer,
    job,
    message,
    put,
    sent,
    settled,
    value_of,
    version_of,
)
from ropeway.transition import Answer, Drop, Finish, Put, Record, Transition


class RecordCases:
    """`put`, `drop` and `expect` in a transition, and the verb `get`."""

    async def test_a_record_comes_back_with_its_version(self, harness: Harness) -> None:
        """A value is kept as it was written; its version grows with every write, and is answered.

        Broken: the version stays, so that nobody notices that another has written.
        """
        values = (b"1", b"", b"\x00\xff" * 500_000, b"1")
        for version, value in enumerate(values, start=1):
            assert await put(harness.backend, "a/ä", value) == version
            found = await harness.backend.get(["a/ä"])
            assert found == [Record("a/ä", version, value)]
        assert await (await harness.second()).get(["a/ä"]) == found

    async def test_get_answers_in_the_order_asked(self, harness: Harness) -> None:
        """Each key has its answer in its place, also one that is absent or asked for twice.

        Broken: absent ones are left out, and the values move to other keys.
        """
        for key in ("b", "a", "c"):
            await put(harness.backend, key, key.encode())
        (sent_message,) = await sent(harness.backend)
        known, unknown = job_key(sent_message.id), job_key(message().id)
        keys = ["c", "none", known, "a", unknown, "c", "b"]
        found = await harness.backend.get(keys)
        assert [each and each.key for each in found] == ["c", None, known, "a", None, "c", "b"]
        values = [each and each.value for each in (found[0], found[3], found[5], found[6])]
        assert values == [b"c", b"a", b"c", b"b"]
        assert await harness.backend.get([]) == []

    async def test_a_dropped_record_is_absent(self, harness: Harness) -> None:
        """Dropping removes a record, and one that is absent may be dropped too.

        Broken: the record stays, or cleaning up twice is an error.
        """
        await put(harness.backend, "r")
        for _ in range(2):
            (answer,) = await harness.backend.commit([Transition(drop=(Drop("r"), Drop("never")))])
            assert answer.status == "applied"
            assert await value_of(harness.backend, "r") is None
        (answer,) = await harness.backend.commit([Transition(expect={"r": 0})])
        assert answer.status == "applied"

    async def test_puts_come_before_drops(self, harness: Harness) -> None:
        """The puts of a transition are written in their order, and then its drops are done.

        Broken: a record that was to go is there, or the first of two values stays.
        """
        twice = (Put("r", b"1"), Put("r", b"2"), Put("gone", b""))
        answer = await apply(harness.backend, put=twice, drop=(Drop("gone"),))
        assert answer.versions["r"] == 2
        assert await value_of(harness.backend, "r") == b"2"
        assert await value_of(harness.backend, "gone") is None

    async def test_expect_guards_a_record(self, harness: Harness) -> None:
        """A write that expects another version is refused, with the key and its version.

        Broken: two who read the same value both write, and one of the changes is gone.
        """
        await put(harness.backend, "r", b"1")
        await put(harness.backend, "r", b"2")
        for version in (0, 1, 3):
            stale = Transition(expect={"r": version}, put=(Put("r", b"stale"),))
            (answer,) = await harness.backend.commit([stale])
            assert answer == Answer(status="refused", reason="conflict", key="r", current=2)
        fresh = Transition(expect={"r": 2, "other": 0}, put=(Put("r", b"3"),))
        (answer,) = await harness.backend.commit([fresh])
        assert answer == Answer(status="applied", versions={"r": 3})
        assert await value_of(harness.backend, "r") == b"3"

    async def test_a_conflict_changes_nothing(self, harness: Harness) -> None:
        """With one expectation not met, nothing of a transition is done, and the lease is held.

        Broken: the settle or a message goes through while the record that decided on it does not.
        """
        await put(harness.backend, "r", b"1")
        (parent,) = await sent(harness.backend)
        first = claimer(harness)
        delivery = await first.take_one()
        refused = settled(
            delivery,
            Finish(State.FAILED),
            expect={"other": 0, "r": 0},
            put=(Put("other", b""), Put("r", b"2")),
            drop=(Drop("r"),),
            publish=(message(),),
        )
        (answer,) = await harness.backend.commit([refused])
        assert answer == Answer(status="refused", reason="conflict", key="r", current=1)
        assert await value_of(harness.backend, "other") is None
        assert await value_of(harness.backend, "r") == b"1"
        assert await first.take(9) == []
        assert (await job(harness.backend, parent.id)).state is State.RUNNING
        assert (await first.settle(delivery, Finish(State.SUCCEEDED))).status == "applied"

    async def test_a_jobs_record_has_a_version_too(self, harness: Harness) -> None:
        """The version of a job grows with every change of it, and can be expected.

        Broken: what was decided on the state of a job is written after it has moved on.
        """
        new = message()
        key, first, commit = job_key(new.id), claimer(harness), harness.backend.commit
        (answer,) = await commit([Transition(expect={key: 0}, publish=(new,))])
        assert answer.status == "applied"
        versions = [0, await version_of(harness.backend, key)]
        delivery = await first.take_one()
        versions.append(await version_of(harness.backend, key))
        await first.settle(delivery, Finish(State.SUCCEEDED))
        versions.append(await version_of(harness.backend, key))
        assert versions == sorted(set(versions))
        (answer,) = await commit([Transition(expect={key: versions[2]}, put=(Put("r", b""),))])
        assert answer == Answer(status="refused", reason="conflict", key=key, current=versions[3])
        (answer,) = await commit([Transition(expect={key: versions[3]}, put=(Put("r", b""),))])
        assert answer.status == "applied"
