"""A message that was published is kept whole, once."""

from __future__ import annotations

from msgspec.structs import replace

from ropeway.message import KINDS, Message, Terms, job_key
from ropeway.retry import RetryPolicy
from ropeway.states import State
from ropeway.testing.conformance.harness import Harness
from ropeway.testing.conformance.steps import (
    claimer,
    ids,
    job,
    message,
    second_claimer,
    send,
    sent,
    value_of,
    version_of,
)
from ropeway.transition import Finish, Put, Transition


def full_message() -> Message:
    """Make a message that has a value other than the default in every field."""
    return message(
        task="reports.render",
        body=bytes(range(256)),
        queue="reports",
        band=7,
        key="customer/3",
        due=1_500_000_000.25,
        delay=1.5,
        expires=4_000_000_000.5,
        kind="loop",
        policy=RetryPolicy(retries=7, jitter=False, max_age=9.5, non_retryable=("KeyError",)),
        headers={"tenant": "ä", "empty": ""},
        trace="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        content_type="application/msgpack",
        signature=b"\x00\xff",
        terms=Terms(timeout=1.5, keep=0.0, early=True, store=False, tags=("a", "ä"), unique="u"),
        version=2,
    )


class PublishCases:
    """`publish` in a transition."""

    async def test_a_message_comes_back_as_it_was_sent(self, harness: Harness) -> None:
        """Every field of a message is handed over, and is in the job's record, unchanged.

        Broken: headers or the trace are lost on the way, or bytes pass through text.
        """
        whole, backend = full_message(), harness.backend
        before = await backend.now()
        await send(backend, whole)
        after = await backend.now()
        delivery = await claimer(harness).take_one("reports")
        assert delivery.message == whole
        assert before <= delivery.enqueued <= after
        assert (delivery.fence.id, delivery.fence.holder) == (whole.id, "first")
        assert (delivery.fence.attempt, delivery.abandoned) == (1, 0)
        assert (delivery.failures, delivery.losses, delivery.releases) == (0, 0, 0)
        assert (await job(backend, whole.id)).message == whole

    async def test_the_kind_of_a_plain_message_comes_back(self, harness: Harness) -> None:
        """A message that has nothing but its kind comes back with it.

        Broken: plain messages are kept in short, and one kind of executor is taken for another.
        """
        for kind in KINDS:
            await sent(harness.backend, kind=kind)
            assert (await claimer(harness).take_one()).message.kind == kind

    async def test_bodies_of_any_size_come_back(self, harness: Harness) -> None:
        """An empty body and one of a megabyte are kept as they are.

        Broken: an empty body comes back as something else, or a large one is cut.
        """
        for body in (b"", b"\x00", b"\xff" * 1_048_576):
            await sent(harness.backend, body=body)
            assert (await claimer(harness).take_one()).message.body == body

    async def test_any_text_names_a_queue(self, harness: Harness) -> None:
        """Queues are told apart by their whole names, whatever is in them.

        Broken: a name is used as a path, a pattern or a key without quoting, so that two queues
        share their messages.
        """
        names = ["a/b", "a%2Fb", "a b", "a*", "a.b", "ä\n{}'\"", "../a", "A/B", "x" * 300]
        for name in names:
            await sent(harness.backend, queue=name, body=name.encode())
        for name in names:
            found = await claimer(harness).take(10, queue=name)
            assert [each.message.body for each in found] == [name.encode()]

    async def test_another_handle_sees_it(self, harness: Harness) -> None:
        """What one process published, another receives as soon as `commit` has returned.

        Broken: messages wait in a buffer of their sender.
        """
        (message,) = await sent(harness.backend)
        other = await second_claimer(harness)
        assert (await other.take_one()).message == message

    async def test_the_same_message_twice_is_repeated(self, harness: Harness) -> None:
        """A publish whose reply was lost may be sent again: it is known, and there is one job.

        Broken: the task runs twice, or the sender is told that its message was refused.
        """
        (message,) = await sent(harness.backend)
        (answer,) = await harness.backend.commit([Transition(publish=(message,))])
        assert (answer.status, answer.ok) == ("repeated", True)
        assert ids(await claimer(harness).take(10)) == [message.id]

    async def test_the_same_message_after_its_end_is_repeated(self, harness: Harness) -> None:
        """A message that is sent again after its job has ended does not run again.

        Broken: ids are forgotten at the settle, so a slow sender's second try is a second run.
        """
        (message,) = await sent(harness.backend)
        first = claimer(harness)
        await first.settle(await first.take_one(), Finish(State.SUCCEEDED, b"1"))
        (answer,) = await harness.backend.commit([Transition(publish=(message,))])
        assert answer.status == "repeated"
        assert await first.take(10) == []
        assert (await job(harness.backend, message.id)).value == b"1"

    async def test_another_message_under_a_known_id_is_refused(self, harness: Harness) -> None:
        """A known id with other content is refused; the answer names the job and its version.

        Broken: the message that was accepted first is overwritten, or the second is dropped and
        its sender believes that it was kept.
        """
        (kept,) = await sent(harness.backend, body=b"kept")
        for changed in (replace(kept, body=b"other"), replace(kept, headers={"a": "b"})):
            (answer,) = await harness.backend.commit([Transition(publish=(changed,))])
            assert (answer.status, answer.reason) == ("refused", "duplicate")
            assert answer.key == job_key(kept.id)
            assert answer.current == await version_of(harness.backend, job_key(kept.id))
        assert [each.message for each in await claimer(harness).take(10)] == [kept]

    async def test_one_id_for_two_messages_of_a_transition(self, harness: Harness) -> None:
        """A transition that gives one id to two different messages is refused as a whole.

        Broken: one of the two is dropped, and the sender believes that both were kept.
        """
        one, backend = message(body=b"one"), harness.backend
        two = replace(one, body=b"two")
        (answer,) = await backend.commit([Transition(publish=(one, two))])
        assert (answer.status, answer.reason) == ("refused", "duplicate")
        assert (answer.key, answer.current) == (job_key(one.id), 0)
        await send(backend, one)
        (answer,) = await backend.commit([Transition(publish=(one, two))])
        assert (answer.status, answer.reason) == ("refused", "duplicate")
        assert [each.message for each in await claimer(harness).take(10)] == [one]

    async def test_a_known_message_among_new_ones(self, harness: Harness) -> None:
        """Known and new messages in one transition: it is applied, and adds the new ones.

        Broken: the new message is left out as if all had been known, or the known one runs twice.
        """
        (known,) = await sent(harness.backend)
        new = message()
        (answer,) = await harness.backend.commit([Transition(publish=(known, new))])
        assert answer.status == "applied"
        assert ids(await claimer(harness).take(10)) == [known.id, new.id]

    async def test_a_duplicate_refuses_the_whole_transition(self, harness: Harness) -> None:
        """With one id taken by another message, nothing of the transition is done.

        Broken: half of a transition is applied: its records, or the messages before the bad one.
        """
        (known,) = await sent(harness.backend)
        half = Transition(put=(Put("r", b""),), publish=(message(), replace(known, body=b"x")))
        (answer,) = await harness.backend.commit([half])
        assert (answer.status, answer.reason) == ("refused", "duplicate")
        assert await value_of(harness.backend, "r") is None
        assert ids(await claimer(harness).take(10)) == [known.id]

    async def test_a_settle_that_publishes_what_is_there(self, harness: Harness) -> None:
        """A fenced transition may publish a message that is there already, if it is the same.

        Broken: a second attempt cannot settle, because the first one has published the follow-up.
        """
        (parent,) = await sent(harness.backend, band=9)
        (follower,) = await sent(harness.backend)
        first = claimer(harness)
        delivery = await first.take_one()
        answer = await first.settle(delivery, Finish(State.SUCCEEDED), publish=(follower,))
        assert answer.status == "applied"
        assert (await job(harness.backend, parent.id)).state is State.SUCCEEDED
        assert ids(await first.take(10)) == [follower.id]
