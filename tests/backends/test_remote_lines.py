"""What a remote backend does when callers give up, lines are lost, and what comes is no call."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Sequence

import pytest
from msgspec import Raw

from ropeway.backends.memory import MemoryBackend
from ropeway.clock import ManualClock
from ropeway.errors import (
    BackendUnavailable,
    Backpressure,
    Indeterminate,
    RopewayError,
    Unsupported,
)
from ropeway.message import job_key
from ropeway.stepping import step
from ropeway.store import Backend
from ropeway.testing.conformance.steps import job, message, promptly, value_of
from ropeway.transition import APPLIED, Answer, Put, Record, Transition
from ropeway.worker import lines
from ropeway.worker.framing import pieces
from ropeway.worker.lines import Door, LoopLine, ThreadLines
from ropeway.wrappers.batched import MAX_BYTES, Batched
from ropeway.wrappers.delegate import Delegate
from ropeway.wrappers.remote import Remote
from ropeway.wrappers.serving import serve
from ropeway.wrappers.wire import VERBS, Call, Failed, decode_reply, encode
from tests.backends.served import Counter, Elsewhere

MEBIBYTE = 1_048_576


class Slow(Delegate):
    """A backend whose `get` waits for a gate, and raises what `fault` says."""

    def __init__(self) -> None:
        super().__init__(MemoryBackend(ManualClock()))
        self.gate = asyncio.Event()
        self.fault: Exception | None = None
        self.asked: list[str] = []
        self.given_up: list[str] = []
        self.commits: list[int] = []

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        self.asked += keys
        if self.fault is not None:
            raise self.fault
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.given_up += keys
            raise
        return await super().get(keys)

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        self.commits.append(len(transitions))
        return await super().commit(transitions)


@pytest.fixture
def slow() -> Slow:
    """Return what is served."""
    return Slow()


@pytest.fixture
async def door(counter: Counter, slow: Slow) -> Door:
    """Return where lines to it are opened."""
    return counter.serve(slow)


@pytest.fixture
def remote(door: Door, slow: Slow) -> Remote:
    """Return the asking end."""
    return Remote(LoopLine(door), slow.capabilities)


async def until(predicate: Callable[[], object]) -> None:
    """Let the loop run until `predicate()` is true."""
    async with promptly("what was waited for"):
        while not predicate():  # noqa: ASYNC110  any turn of the loop may bring it
            await asyncio.sleep(0)


def publishing(body: bytes = b"") -> Transition:
    """Make a transition that publishes one new message."""
    return Transition(publish=(message(body=body),))


# --- what travels ---------------------------------------------------------------------------------


def test_every_verb_of_the_contract_travels() -> None:
    """A verb that is added to the contract is known to both ends, or this fails."""
    verbs = {name for name in vars(Remote) if not name.startswith("_")} - {"open", "close"}
    assert verbs == set(VERBS)


async def test_large_bodies_and_full_batches(remote: Remote, slow: Slow) -> None:
    """Two hundred messages, some of a mebibyte, arrive whole, in parts that hold up nobody."""
    bodies = [b"\xfe" * MEBIBYTE if i % 20 == 0 else b"%d" % i for i in range(200)]
    transitions = [publishing(body) for body in bodies]
    assert await remote.commit(transitions) == [APPLIED] * 200
    for transition in transitions:
        sent = transition.publish[0]
        assert (await job(slow.inner, sent.id)).message == sent
    assert len(slow.commits) == 3
    assert max(slow.commits) * MEBIBYTE / 20 <= 2 * MAX_BYTES
    slow.gate.set()
    assert await value_of(remote, job_key(transitions[0].publish[0].id))


async def test_a_long_commit_keeps_its_order(remote: Remote, slow: Slow) -> None:
    """The parts of a long commit are applied one after the other, and answered as one list."""
    chain = [Transition(expect={"r": i}, put=(Put("r", b""),)) for i in range(450)]
    answers = await remote.commit(chain)
    assert [answer.versions for answer in answers] == [{"r": i + 1} for i in range(450)]
    assert slow.commits == [200, 200, 50]


@pytest.mark.parametrize(
    "error",
    [
        Backpressure("the disk is full", hint="free space"),
        Indeterminate(),
        BackendUnavailable("no route", hint="look"),
        Unsupported("not here"),
        RopewayError("a plain one"),
    ],
)
async def test_errors_are_raised_as_they_were(
    remote: Remote, slow: Slow, error: RopewayError
) -> None:
    """An error of ropeway's own comes through with its class, its fact and its hint."""
    slow.fault = error
    with pytest.raises(type(error)) as caught:
        await remote.get(["r"])
    assert type(caught.value) is type(error)
    assert (caught.value.fact, caught.value.hint) == (error.fact, error.hint)


async def test_a_bug_over_there_is_told(
    remote: Remote, slow: Slow, caplog: pytest.LogCaptureFixture
) -> None:
    """Any other exception is described to the caller, and logged with its traceback over there."""
    slow.fault = KeyError("oops")
    with pytest.raises(RopewayError, match="KeyError: 'oops'"):
        await remote.get(["r"])
    assert "in get" in caplog.text


async def test_what_cannot_be_written_fails_its_caller_alone(remote: Remote) -> None:
    """A value that cannot travel is refused before anything is sent."""
    with pytest.raises(ValueError, match="surrogates"):
        await remote.commit([Transition(publish=(message(task="half a pair \ud800"),))])
    assert await remote.commit([publishing()]) == [APPLIED]


# --- callers ----------------------------------------------------------------------------------


async def test_callers_do_not_wait_for_each_other(remote: Remote, slow: Slow) -> None:
    """A call that takes long holds up none that came later."""
    first = asyncio.create_task(remote.get(["r"]))
    await until(lambda: slow.asked)
    assert await remote.commit([publishing()]) == [APPLIED]
    assert not first.done()
    slow.gate.set()
    assert await first == [None]


async def test_a_cancelled_caller_harms_nobody(remote: Remote, slow: Slow) -> None:
    """Who gives up is forgotten over there too; its neighbours get their own answers."""
    for key in "abc":
        await remote.commit([Transition(put=(Put(key, key.encode()),))])
    callers = {key: asyncio.create_task(remote.get([key])) for key in "abc"}
    await until(lambda: len(slow.asked) == 3)
    callers["b"].cancel()
    await until(lambda: slow.given_up == ["b"])
    slow.gate.set()
    for key in "ac":
        (record,) = await callers[key]
        assert record is not None
        assert record.value == key.encode()
    assert callers["b"].cancelled()


async def test_calls_above_the_credit_wait_here(remote: Remote, slow: Slow) -> None:
    """At most so many calls are over there; waits do not stand in the way of others."""
    new = message()
    await remote.wait([job_key(new.id)], 0)
    waits = [asyncio.create_task(remote.wait([job_key(new.id)], 30)) for _ in range(200)]
    calls = [asyncio.create_task(remote.get([str(i)])) for i in range(lines.CREDIT + 50)]
    await until(lambda: len(slow.asked) == lines.CREDIT)
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(slow.asked) == lines.CREDIT
    calls[0].cancel()
    await until(lambda: len(slow.asked) == lines.CREDIT + 1)
    slow.gate.set()
    assert await asyncio.gather(*calls[1:]) == [[None]] * (lines.CREDIT + 49)
    await remote.commit([Transition(publish=(new,))])
    async with promptly("the end of all waits"):
        assert await asyncio.gather(*waits)


async def test_closing_one_end_leaves_the_backend_open(remote: Remote, slow: Slow) -> None:
    """`close` hangs up: who waits hears of it, what is served stays open, and asking calls again."""
    caller = asyncio.create_task(remote.get(["r"]))
    await until(lambda: slow.asked)
    await remote.close()
    with pytest.raises(BackendUnavailable):
        await caller
    await until(lambda: slow.given_up)
    assert await remote.commit([publishing()]) == [APPLIED]


async def test_callers_on_several_lines_share_commits(counter: Counter, slow: Slow) -> None:
    """What several children ask for in the same moment is a commit or two, not one for each."""
    shared = Batched(slow)
    remotes = [Remote(LoopLine(counter.serve(shared)), slow.capabilities) for _ in range(4)]
    await asyncio.gather(*(remote.now() for remote in remotes))
    asked = [remote.commit([publishing()]) for remote in remotes * 10]
    assert await asyncio.gather(*asked) == [[APPLIED]] * 40
    assert sum(slow.commits) == 40
    assert len(slow.commits) <= 4


# --- lost lines -------------------------------------------------------------------------------


async def test_a_lost_line_fails_all_who_wait(remote: Remote, slow: Slow, counter: Counter) -> None:
    """Every caller hears that the line is lost, also those that ask later."""
    callers = [asyncio.create_task(remote.get(["r"])) for _ in range(100)]
    await until(lambda: len(slow.asked) == lines.CREDIT)
    await counter.hang_up()
    async with promptly("the end of every call"):
        told = await asyncio.gather(*callers, return_exceptions=True)
    assert {type(each) for each in told} == {BackendUnavailable}
    with pytest.raises(BackendUnavailable):
        await remote.now()


def test_a_lost_line_wakes_a_blocked_thread(elsewhere: Elsewhere, slow: Slow) -> None:
    """A thread that waits for its reply hears that the line is lost, and the next one at once."""
    remote = Remote(ThreadLines(elsewhere.serve(slow)), slow.capabilities)
    told: list[Exception] = []

    def ask() -> None:
        try:
            step(remote.get(["r"]))
        except BackendUnavailable as error:
            told.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    while not slow.asked:
        pass
    elsewhere.hang_up()
    thread.join(5)
    assert len(told) == 1
    with pytest.raises(BackendUnavailable):
        step(remote.now())


def test_threads_do_not_wait_for_each_other(elsewhere: Elsewhere, slow: Slow) -> None:
    """While one thread waits for a change, the others' calls go through, each on a line."""
    remote = Remote(ThreadLines(elsewhere.serve(slow)), slow.capabilities)
    new = message()
    name = job_key(new.id)
    step(remote.wait([name], 0))
    heard: list[list[str]] = []
    waiter = threading.Thread(target=lambda: heard.append(step(remote.wait([name], 30))))
    waiter.start()
    assert step(remote.commit([publishing(b"\xfe" * MEBIBYTE)])) == [APPLIED]
    assert step(remote.commit([Transition(publish=(new,))])) == [APPLIED]
    waiter.join(5)
    assert heard == [[name]]
    step(remote.close())


def test_a_broken_off_call_does_not_answer_the_next(
    elsewhere: Elsewhere, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that an exception ends, as a time limit's does, gives its line up with the reply."""
    remote = Remote(ThreadLines(elsewhere.serve(slow)), slow.capabilities)
    with monkeypatch.context() as patch:
        patch.setattr(lines, "decode_reply", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            step(remote.stats())
    assert step(remote.commit([publishing()])) == [APPLIED]
    step(remote.close())


def _interrupted(payload: bytes) -> None:
    raise KeyboardInterrupt


# --- what is no call ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "garbage", [b"", b"\xc1", b"\x93\x09\x00\x00", encode(["a", 1]), b"\xff" * 70_000]
)
async def test_garbage_cuts_its_line_alone(
    remote: Remote, door: Door, garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """What is no call ends the line it came over, with a word in the log, and no other."""
    await remote.now()
    connection = door.open_line()
    with connection:
        connection.setblocking(False)
        for piece in pieces(garbage):
            await asyncio.get_running_loop().sock_sendall(connection, piece)
        async with promptly("the end of the line"):
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.get_running_loop().sock_recv(connection, 1) == b""
    assert "cannot be read" in caplog.text
    assert await remote.commit([publishing()]) == [APPLIED]


@pytest.mark.parametrize(
    ("verb", "arguments", "told"),
    [
        ("drop_everything", (), "no backend has a verb"),
        ("close", (), "no backend has a verb"),
        ("__init__", (), "no backend has a verb"),
        ("get", (1, 2), "cannot be read"),
        ("get", "not a list", "cannot be read"),
        ("commit", ([{"put": 1}],), "cannot be read"),
    ],
)
async def test_a_call_that_nobody_understands(
    slow: Slow, verb: str, arguments: object, told: str
) -> None:
    """An unknown verb, or arguments that are not its own, are refused; the number comes back."""
    reply = await serve(slow, Call(7, verb, Raw(encode(arguments))))
    assert isinstance(reply, Failed)
    assert (reply.number, reply.code) == (7, Unsupported.code)
    assert told in reply.fact
    assert decode_reply(encode(reply)) == reply


async def test_a_garbled_reply_is_a_lost_line(slow: Slow) -> None:
    """Who is answered by nonsense hears that the line is lost, from a loop as from a thread."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for make in (LoopLine, ThreadLines):
            remote: Backend = Remote(make(Door(ours)), slow.capabilities)
            answering = asyncio.create_task(asyncio.to_thread(_answer_nonsense, theirs))
            with pytest.raises(BackendUnavailable):
                await asyncio.to_thread(step, remote.now()) if make is ThreadLines else (
                    await remote.now()
                )
            await answering


def _answer_nonsense(door: socket.socket) -> None:
    _, (descriptor,), _, _ = socket.recv_fds(door, 1, 1)
    with socket.socket(fileno=descriptor) as line:
        line.recv(1000)
        line.sendall(b"".join(pieces(b"nonsense")))
        line.recv(1)
