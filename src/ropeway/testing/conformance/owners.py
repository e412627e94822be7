"""What is kept with a record: until when it is there, and whose it is."""

from __future__ import annotations

from ropeway.testing.conformance.harness import Harness
from ropeway.testing.conformance.steps import apply, put, value_of, version_of
from ropeway.transition import Answer, Drop, Put, Record, Transition


class OwnerCases:
    """`ttl`, `owner` and `if_owner`."""

    async def test_a_record_ends_with_its_ttl(self, harness: Harness) -> None:
        """A record with a time to live is there until then and absent from then on.

        Broken: whoever died with a record in its name has it for ever, or nobody ever does.
        """
        await put(harness.backend, "short", b"1", ttl=harness.unit)
        await put(harness.backend, "long", b"2", ttl=3 * harness.unit)
        await put(harness.backend, "for ever", b"3")
        keys = ["short", "long", "for ever"]
        found = await harness.backend.get(keys)
        assert [each and each.value for each in found] == [b"1", b"2", b"3"]
        await harness.advance(2 * harness.unit)
        for backend in (harness.backend, await harness.second()):
            found = await backend.get(keys)
            assert [each and each.value for each in found] == [None, b"2", b"3"]

    async def test_each_write_has_its_own_ttl(self, harness: Harness) -> None:
        """A time to live counts from the write that brings it; a write without one ends it.

        Broken: what is renewed in time ends all the same.
        """
        await put(harness.backend, "renewed", b"1", ttl=2 * harness.unit)
        await put(harness.backend, "kept", b"1", ttl=2 * harness.unit)
        await harness.advance(harness.unit)
        await put(harness.backend, "renewed", b"2", ttl=2 * harness.unit)
        await put(harness.backend, "kept", b"2")
        await harness.advance(1.5 * harness.unit)
        assert await value_of(harness.backend, "renewed") == b"2"
        assert await value_of(harness.backend, "kept") == b"2"
        await harness.advance(harness.unit)
        assert await value_of(harness.backend, "renewed") is None

    async def test_what_is_over_is_absent_for_guards(self, harness: Harness) -> None:
        """After its time a record is expected as absent, with the version 0.

        Broken: a guard finds what no look finds, and who takes over is refused until it is pruned.
        """
        version = await put(harness.backend, "r", b"1", ttl=harness.unit)
        await harness.advance(2 * harness.unit)
        stale = Transition(expect={"r": version}, put=(Put("r", b"stale"),))
        (answer,) = await harness.backend.commit([stale])
        assert answer == Answer(status="refused", reason="conflict", key="r", current=0)
        await apply(harness.backend, expect={"r": 0}, put=(Put("r", b"2"),))
        assert await value_of(harness.backend, "r") == b"2"

    async def test_a_version_does_not_come_back(self, harness: Harness) -> None:
        """What is written soon after the end of a record has another version than that had.

        Broken: one who read the old record, and slept, takes the new one for it.
        """
        version = await put(harness.backend, "r", b"1", ttl=harness.unit)
        await harness.advance(2 * harness.unit)
        await put(harness.backend, "r", b"2")
        (answer,) = await harness.backend.commit([Transition(expect={"r": version})])
        assert (answer.reason, answer.key) == ("conflict", "r")

    async def test_the_owner_is_kept(self, harness: Harness) -> None:
        """A record tells the owner that its last write gave, which may be none.

        Broken: nobody can tell who holds it, or it is told of one who gave it back.
        """
        await put(harness.backend, "r", b"1", owner="ä")
        assert await harness.backend.get(["r"]) == [Record("r", 1, b"1", "ä")]
        await put(harness.backend, "r", b"2", owner="b")
        assert await harness.backend.get(["r"]) == [Record("r", 2, b"2", "b")]
        await put(harness.backend, "r", b"3")
        assert await (await harness.second()).get(["r"]) == [Record("r", 3, b"3", "")]

    async def test_a_put_for_another_owner_is_skipped(self, harness: Harness) -> None:
        """With `if_owner` a record of another owner stays as it is, and all else is written.

        Broken: it is overwritten, or the whole transition is refused or left out.
        """
        mine = Put("r", b"1", owner="me", if_owner="me")
        theirs = Put("r", b"2", owner="them", if_owner="them")
        beside = Put("beside", b"2")
        answers = await harness.backend.commit(
            [Transition(put=(mine,)), Transition(put=(theirs, beside)), Transition(put=(mine,))]
        )
        assert [each.status for each in answers] == ["applied"] * 3
        assert [each.versions for each in answers] == [{"r": 1}, {"beside": 1}, {"r": 2}]
        assert await harness.backend.get(["r"]) == [Record("r", 2, b"1", "me")]
        assert await value_of(harness.backend, "beside") == b"2"

    async def test_an_owner_whose_time_is_over_holds_nothing(self, harness: Harness) -> None:
        """A record that is over belongs to nobody: the next one who asks has it, and its value.

        Broken: a leader that died is the leader until somebody cleans up.
        """
        await put(harness.backend, "leader", b"1", owner="dead", ttl=harness.unit)
        heir = Put("leader", b"2", owner="heir", if_owner="heir", ttl=9 * harness.unit)
        assert (await apply(harness.backend, put=(heir,))).versions == {}
        await harness.advance(2 * harness.unit)
        assert "leader" in (await apply(harness.backend, put=(heir,))).versions
        late = Put("leader", b"1", owner="dead", if_owner="dead")
        assert (await apply(harness.backend, put=(late,))).versions == {}
        assert await value_of(harness.backend, "leader") == b"2"

    async def test_a_drop_for_another_owner_is_skipped(self, harness: Harness) -> None:
        """With `if_owner` only a record of that owner goes; the rest of the transition is done.

        Broken: who gives back what it has lost takes it from whoever has it now.
        """
        await put(harness.backend, "r", b"1", owner="them")
        await apply(
            harness.backend, drop=(Drop("r", "me"), Drop("none", "me")), put=(Put("s", b""),)
        )
        assert await version_of(harness.backend, "r") == 1
        assert await version_of(harness.backend, "s") == 1
        await apply(harness.backend, drop=(Drop("r", "them"),))
        assert await value_of(harness.backend, "r") is None
