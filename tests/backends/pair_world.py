"""A pair in a small world of its own, where every step of every worker may be its last.

Senders and workers are coroutines over the halves of a pair. Before and after each call of a half
they hand over to the world, which goes on with another one, lets time pass, or kills: the
coroutine ends there, and its connection with it. All of it follows from one seed.
"""

from __future__ import annotations

import itertools
import random
import types
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Coroutine, Generator, Sequence
from contextlib import suppress
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ropeway.backends.memory import MemoryBackend
from ropeway.broker import Held
from ropeway.broker_half import Arrival
from ropeway.claims import Claim
from ropeway.clock import ManualClock
from ropeway.decide import Keep
from ropeway.message import DEFAULT_QUEUE, KINDS, Delivery, Fence, JobRecord, Kind, Message
from ropeway.states import State
from ropeway.stepping import step
from ropeway.store import Backend, Filter
from ropeway.testing.halves import FakeBroker, FakeHalf
from ropeway.transition import Answer, Finish, Record, Release, Transition
from ropeway.wrappers.delegate import Delegate
from ropeway.wrappers.halves import OWED
from ropeway.wrappers.paired import Paired

LEASE = 60.0
KEEP = Keep(result=1e9, failure=1e9)
IDLE, HUNG = "idle", "hung"
STEPS = (
    *("get", "got", "commit", "committed", "claim", "claimed", "run"),
    *("publish", "published", "look", "scan", "ack", "acked"),
)
"""The places at which every set of seeds has to kill."""

MOST_TURNS = 8_000
Run = Coroutine[Any, Any, None]


class Killed(BaseException):
    """The process is gone; nothing that a program could catch."""


class Violation(AssertionError):
    """A promise was broken."""


@types.coroutine
def pause(place: str) -> Generator[str, None, None]:
    """Hand over to the world, which may never come back."""
    yield place


# -- the halves, with a pause around each call -----------------------------------------------------


class SteppedStore(Delegate):
    """The store, which also tells the world what has been settled for good."""

    def __init__(self, inner: Backend, world: World) -> None:
        super().__init__(inner)
        self._world = world

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        await pause("commit")
        answers = await super().commit(transitions)
        for each, answer in zip(transitions, answers, strict=True):
            self._world.committed(each, answer)
        await pause("committed")
        return answers

    async def receive(
        self, claims: Sequence[Claim], holder: str, lease: float, wait: float = 0.0
    ) -> list[Delivery]:
        await pause("claim")
        found = await super().receive(claims, holder, lease, wait)
        for each in found:
            self._world.claimed(each.fence)
        await pause("claimed")
        return found

    async def extend(self, fences: Sequence[Fence], lease: float) -> list[Held]:
        await pause("extend")
        told = await super().extend(fences, lease)
        for fence, held in zip(fences, told, strict=True):
            if held == "held":
                self._world.extended(fence)
        return told

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        await pause("look")
        return await super().get(keys)

    async def scan(self, prefix: str, after: str = "", limit: int = 100) -> list[Record]:
        await pause("scan")
        return await super().scan(prefix, after, limit)


class SteppedHalf(FakeHalf):
    """One connection to the broker; it confirms messages one by one."""

    def __init__(self, broker: FakeBroker, world: World) -> None:
        super().__init__(broker)
        self._world = world

    async def publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            await pause("publish")
            await super().publish([message])
        await pause("published")

    async def get(
        self, queue: str, n: int, kinds: Collection[Kind] = KINDS, *, look: bool = True
    ) -> list[Arrival]:
        await pause("get")
        found = await super().get(queue, n, kinds, look=look)
        self._world.redelivered.update(each.message.id for each in found if each.redelivered)
        await pause("got")
        return found

    async def ack(self, tags: Sequence[int]) -> None:
        await pause("ack")
        await super().ack(tags)
        await pause("acked")

    async def nack(self, tags: Sequence[int], *, requeue: bool) -> None:
        await pause("nack")
        await super().nack(tags, requeue=requeue)


# -- what is sent and what becomes of it -----------------------------------------------------------


def followers(job: Message, branch: str) -> tuple[Message, ...]:
    """Return what follows from the end of a job: other messages for each branch, fixed ids."""
    if "x" in job.id:
        return ()  # what follows a failure has no followers
    width = 1 + len(job.id) % 2 if branch == "+" else 1
    left = int(job.body)
    if branch == "+" and not left:
        return ()
    body = b"%d" % (left - 1 if branch == "+" else 0)
    names = [f"{job.id}{branch if branch == '+' else 'x'}{n}" for n in range(width)]
    return tuple(Message(id=name, task="t", body=body) for name in names)


def workload(chance: random.Random) -> list[Message]:
    """Make the messages that senders send: most of them plain, some that only a store can hold."""
    plain = [Message(id=f"m{n}", task="t", body=b"%d" % chance.choice((0, 1, 2))) for n in range(9)]
    odd: list[dict[str, Any]] = [{}, {}, {}, {}, {"delay": 30.0}, {"band": 7}, {"queue": "other"}]
    return [replace(each, **chance.choice(odd)) for each in plain[: chance.randint(1, 9)]]


class Client(Struct, eq=False):
    """A sender or a worker that lives, the step it is at, and the connection that dies with it."""

    name: str
    run: Run
    half: FakeHalf
    again: Callable[[], None]
    at: str = ""


# -- the world -------------------------------------------------------------------------------------


class World:
    """Everything that one seed makes happen."""

    def __init__(
        self, seed: int, pair: type[Paired] = Paired, *, kill_at: int | None = None
    ) -> None:
        self.chance = random.Random(seed)
        self.pair = pair
        self.clock = ManualClock()
        self.store = MemoryBackend(self.clock)
        self.broker = FakeBroker()
        self.clients: list[Client] = []
        self.kills_left = self.chance.randint(0, 12)
        self.killed: Counter[str] = Counter()
        self.kill_at = kill_at
        self.turns = 0
        # What happened.
        self.sent: set[str] = set()
        self.redelivered: set[str] = set()
        self.ends: dict[str, list[State]] = defaultdict(list)
        self.claims: set[Fence] = set()
        self.leases: dict[str, tuple[Fence, float]] = {}
        self.runs: Counter[str] = Counter()
        self.names = itertools.count()
        self.messages = workload(self.chance)
        for part in (self.messages[::2], self.messages[1::2]):
            self._start(self._send, list(part))
        for _ in range(3):
            self._start(self._work)

    # -- the turns ---------------------------------------------------------------------------------

    def run(self) -> None:
        """Go on until all is quiet, then look at what is left."""
        try:
            while not self._quiet():
                self.turns += 1
                if self.turns > MOST_TURNS:
                    raise Violation("it never becomes quiet")
                self._turn()
        finally:
            for each in self.clients:
                each.run.close()
        self._judge()

    def _turn(self) -> None:
        busy = [each for each in self.clients if each.at not in {IDLE, HUNG}]
        if not busy:
            self.clock.advance(LEASE / 2)
        # Those with nothing to do get a turn now and then.
        client = self.chance.choice(busy if busy and self.chance.random() < 0.9 else self.clients)
        if self._doomed(client):
            self._kill(client)
            return
        try:
            client.at = client.run.send(None)
        except StopIteration:
            self.clients.remove(client)

    def _doomed(self, client: Client) -> bool:
        if client.at == HUNG:  # somebody notices at last
            return self.chance.random() < 0.1
        if self.kill_at is not None:
            return self.turns == self.kill_at
        awake = client.at not in {"", IDLE}
        return awake and self.kills_left > 0 and self.chance.random() < 0.04

    def _kill(self, client: Client) -> None:
        self.kills_left -= 1
        self.killed[client.at] += 1
        self.clients.remove(client)
        with suppress(Killed):
            client.run.throw(Killed())
        client.half.drop()
        client.again()

    def _start(self, program: Callable[..., Run], *args: Any) -> None:
        name, half = f"c{next(self.names)}", SteppedHalf(self.broker, self)
        run = program(self.pair(half, SteppedStore(self.store, self)), name, *args)
        # Whoever runs a program starts it again when it was killed, with what it had still to do.
        self.clients.append(Client(name, run, half, lambda: self._start(program, *args)))

    def _quiet(self) -> bool:
        return (
            all(each.at == IDLE for each in self.clients)
            and self.broker.empty
            and all(job.state.final for job in self._jobs())
            and not self._owed()
        )

    # -- the programs ------------------------------------------------------------------------------

    async def _send(self, pair: Paired, name: str, todo: list[Message]) -> None:
        """Send each message, some again and again, as a publisher does that loses replies."""
        while todo:
            for _ in range(self.chance.choice((1, 1, 1, 2, 5))):
                (answer,) = await pair.commit([Transition(publish=(todo[0],))])
                assert answer.ok
            self.sent.add(todo.pop(0).id)

    async def _work(self, pair: Paired, name: str) -> None:
        """Receive and settle for ever, with all the habits that a worker may have."""
        while True:
            claims = [Claim(DEFAULT_QUEUE, self.chance.randint(1, 3)), Claim("other", 1)]
            found = await pair.receive(claims, name, LEASE)
            for each in found:
                self._handed_over(each)
            if not found:
                if self.chance.random() < 0.2:
                    await pair.prune(KEEP, 10)
                await pause(IDLE)
                continue
            await pause("run")
            await self._settle(pair, found)

    async def _settle(self, pair: Paired, found: list[Delivery]) -> None:
        habit = self.chance.random()
        if habit < 0.1:
            self.clock.advance(LEASE)  # too slow: others may take over before it settles
            await pause("late")
        elif habit < 0.2:
            await pair.extend([each.fence for each in found], LEASE)
        elif habit < 0.25:
            while True:
                await pause(HUNG)
        ends = [self._end(each) for each in found]
        answers = await pair.commit(ends)
        if self.chance.random() < 0.15:
            again = await pair.commit(ends)
            if any(
                one.ok and two.status == "applied" for one, two in zip(answers, again, strict=True)
            ):
                raise Violation("a settle that was repeated was applied twice")

    def _end(self, delivery: Delivery) -> Transition:
        """Decide, anew for each attempt, how it ends."""
        word, job = self.chance.random(), delivery.message
        if word < 0.2 and delivery.fence.attempt < 5:
            delay = self.chance.choice((None, 1.0, LEASE))
            return Transition(fence=delivery.fence, settle=Release("failures", delay=delay))
        failed = word < 0.4
        settle = Finish(State.FAILED if failed else State.SUCCEEDED, keep=1e9)
        publish = followers(job, "x" if failed else "+")
        return Transition(fence=delivery.fence, settle=settle, publish=publish)

    # -- what is noticed ---------------------------------------------------------------------------

    def committed(self, transition: Transition, answer: Answer) -> None:
        """The store has answered: note what is settled for good."""
        settle = transition.settle
        # To take over, another gives a job back in its holder's name: that frees nobody's hands.
        if transition.fence and settle and answer.ok and settle != Release("none"):
            self.leases.pop(transition.fence.id, None)
        if transition.fence and isinstance(settle, Finish) and answer.status == "applied":
            ends = self.ends[transition.fence.id]
            ends.append(settle.state)
            if len(ends) > 1:
                raise Violation(f"{transition.fence.id} was settled twice")

    def claimed(self, fence: Fence) -> None:
        """The store has leased a job: nobody who lives may have it for his own."""
        before, until = self.leases.get(fence.id, (fence, 0.0))
        alive = any(each.name == before.holder for each in self.clients)
        # A redelivery is a reason to take over, whoever holds the lease.
        if alive and until > self.clock.boot() and fence.id not in self.redelivered:
            raise Violation(f"{fence.id} runs at two workers at once")
        self.claims.add(fence)
        self.extended(fence)

    def extended(self, fence: Fence) -> None:
        """The lease is as long as was asked for, from now on."""
        self.leases[fence.id] = fence, self.clock.boot() + LEASE

    def _handed_over(self, delivery: Delivery) -> None:
        self.runs[delivery.fence.id] += 1
        if delivery.fence not in self.claims:
            raise Violation(f"{delivery.fence.id} runs without a claim")

    def _judge(self) -> None:
        expected = {each.id: each for each in self.messages}
        todo = list(self.messages)
        while todo:
            job = todo.pop()
            ends = self.ends[job.id]
            if len(ends) != 1:
                raise Violation(f"{job.id} was settled {len(ends)} times")
            next_ones = followers(job, "+" if ends[0] is State.SUCCEEDED else "x")
            expected |= {each.id: each for each in next_ones}
            todo += next_ones
        if unwanted := {job.message.id for job in self._jobs()} - expected.keys():
            raise Violation(f"nothing asked for {sorted(unwanted)}")
        if self.sent != {each.id for each in self.messages} or self.broker.dead:
            raise Violation("a sender did not end, or a letter was given up")

    def _jobs(self) -> list[JobRecord]:
        return step(self.store.search(Filter(), limit=1000)).jobs

    def _owed(self) -> list[Record]:
        return step(self.store.scan(OWED))
