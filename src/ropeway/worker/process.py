"""A child as its supervisor sees it: a process, a pipe, and the calls that it was handed."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import msgspec

from ropeway.message import CHARGED_AFTER, SOLO_AFTER, Delivery, Fence, Kind, Outcome
from ropeway.store import Backend
from ropeway.worker import memory
from ropeway.worker.blame import how_it_ended, is_unexplained, of_those_killed, verdicts
from ropeway.worker.cell import SEEN
from ropeway.worker.frames import (
    Described,
    Ended,
    Hold,
    Interrupt,
    Manifest,
    Recall,
    Run,
    Start,
    decode_from_child,
)
from ropeway.worker.handed import Handed
from ropeway.worker.pipe import Pipe
from ropeway.worker.places import OnEnded
from ropeway.worker.question import Question
from ropeway.worker.reception import Reception

_LAST_WORDS = 0.5

OnBack = Callable[[list[tuple[Delivery, Kind]]], None]
OnGone = Callable[["ChildProcess"], None]


class ChildProcess:
    """One child. Every call it is handed comes back exactly once.

    What has started comes back by `on_ended`, also when the child dies; what has not, by `on_back`.
    `proven` is one that has imported the app, `leaving` one that another is to replace, `retired`
    one that gets no more calls, `stuck` one that starts none.
    """

    def __init__(self, on_ended: OnEnded, on_back: OnBack, on_gone: OnGone) -> None:
        self._on_ended, self._on_back, self._on_gone = on_ended, on_back, on_gone
        self.manifest: asyncio.Future[Manifest] = asyncio.get_running_loop().create_future()
        self.handed = Handed()
        self.exit_code: int | None = None
        self.started_at = time.monotonic()
        self.proven = self.leaving = self.retired = self.stuck = self.stopping = False
        self.unwanted: dict[Fence, float] = {}
        self.condemned: dict[int, Outcome] = {}
        self.cause = ""
        self._kills = memory.kills()
        self._closed = asyncio.Event()
        self._recalling: asyncio.Task[None] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Pipe | None = None
        self._reception = Reception()
        self._question = Question(self.handed)

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def busy(self) -> int:
        """How many calls it holds."""
        return len(self.handed.calls)

    @property
    def working(self) -> bool:
        """Whether it takes calls."""
        return self.proven and not (self.retired or self.stuck or self.stopping)

    async def spawn(self, target: str, slots: dict[Kind, int]) -> None:
        """Start the process. Must be called on the main thread, whose death it will follow."""
        ours, theirs = socket.socketpair()
        door = self._reception.door
        passed = (theirs.fileno(), door.fileno(), self.handed.cell.descriptor)
        command = [sys.executable, "-m", "ropeway.worker.child", *map(str, passed)]
        command += [str(os.getpid()), msgspec.json.encode(slots).decode(), target]
        # A process group of its own: Ctrl-C in a terminal is for the supervisor alone.
        self._process = subprocess.Popen(  # noqa: ASYNC220  see the promise above
            command,
            pass_fds=passed,
            process_group=0,
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        door.close()
        self._watch_death(self._process.pid)
        self._life = asyncio.create_task(self._see_out())
        _, self._pipe = await asyncio.get_running_loop().connect_accepted_socket(
            lambda: Pipe(self._on_frame, self._closed.set), ours
        )

    def run(self, deliveries: Sequence[tuple[Delivery, Kind]]) -> None:
        """Hand over calls; the caller has looked at the windows."""
        now = time.monotonic()
        starts = [
            Start.of(self.handed.take(delivery, kind, now), delivery)
            for delivery, kind in deliveries
        ]
        if self._pipe is not None:
            self._pipe.send(Run(starts))

    def hold(self, lifeline: str | None) -> None:
        """Have it keep a lifeline, if there is one, before it runs what it is handed from now on."""
        if self._pipe is not None and lifeline is not None:
            self._pipe.send(Hold(lifeline))

    def serve(self, backend: Backend | None) -> None:
        """Have `backend`, if it is there yet, do what tasks in the child ask of theirs."""
        if backend is not None:
            self._reception.serve(backend)

    def interrupt(self, lost: frozenset[Fence]) -> None:
        """Ask for the calls of these attempts, or of earlier ones of the same jobs, to be stopped."""
        slots = self.handed.named(lost)
        now = time.monotonic()
        for slot in slots:
            self.unwanted.setdefault(self.handed.calls[slot].delivery.fence, now)
        if slots and self._pipe is not None:
            self._pipe.send(Interrupt(slots))

    async def recall(self) -> None:
        """Take back every call that it has not started, whether it answers or not.

        Those that hold cursors of topics end when they hear of it, although they have started.
        """
        withdrawn = self.handed.withdraw()
        if self._pipe is None:
            return
        if withdrawn or self.handed.calls:
            self._pipe.send(Recall())
        if withdrawn:
            await asyncio.sleep(SEEN)
            self._on_back(self.handed.taken_back(withdrawn))

    def recall_soon(self) -> None:
        """The same, without waiting for it."""
        if self._recalling is None or self._recalling.done():
            self._recalling = asyncio.create_task(self.recall())

    def retire(self) -> None:
        """Give it no more calls, and take back those that it has not started."""
        if not self.retired:
            self.retired = True
            self.recall_soon()

    def close(self) -> None:
        """Tell it to end: it closes when its supervisor does."""
        self.stopping = True
        if self._pipe is not None:
            self._pipe.close()

    def kill(self) -> None:
        """End it now; what it was running comes back as interrupted, or as it was condemned to."""
        self.stopping = True
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            # What it said before is read until then.
            asyncio.get_running_loop().call_later(_LAST_WORDS, self._closed.set)

    def kill_for(self, cause: str) -> None:
        """End it now, as if it had died by itself, of what `cause` says."""
        if self._process is not None and not self.cause:
            self.cause = cause
            self._process.kill()

    async def gone(self) -> None:
        """Wait until it is dead and everything it held has come back."""
        await asyncio.shield(self._life)

    async def stacks(self) -> str:
        """Say what its threads and coroutines are doing, also if its event loop is blocked."""
        if self._pipe is None or not self.proven:
            return "it has not imported the app yet\n"
        return await self._question.ask(self._pipe, self.pid)

    # -- what it says ---------------------------------------------------------------------

    def _on_frame(self, payload: bytes) -> None:
        frame = decode_from_child(payload)
        match frame:
            case Ended():
                self.stuck = False
                self._ended(self.handed.end(frame.outcomes))
            case Described():
                self._question.answered(frame.text)
            case Manifest():
                self.handed.open(frame.slots)
                if not self.manifest.done():
                    self.manifest.set_result(frame)
            case _:
                self.stuck = False
                self._on_back(self.handed.recalled(frame.slots))

    def _ended(self, ended: list[tuple[Delivery, Outcome]]) -> None:
        if self.unwanted:
            for delivery, _ in ended:
                self.unwanted.pop(delivery.fence, None)
        self._on_ended(ended)

    # -- its death ------------------------------------------------------------------------

    def _watch_death(self, pid: int) -> None:
        # A process that user code forked may hold the pipe open after the child's death.
        if not hasattr(os, "pidfd_open"):
            return
        descriptor = os.pidfd_open(pid)
        loop = asyncio.get_running_loop()

        def died() -> None:
            loop.remove_reader(descriptor)
            os.close(descriptor)
            loop.call_later(_LAST_WORDS, self._closed.set)

        loop.add_reader(descriptor, died)

    async def _see_out(self) -> None:
        await self._closed.wait()
        self.retired = True
        assert self._process is not None
        if not self.stopping:
            self._process.kill()
        try:
            code = await asyncio.to_thread(self._process.wait, 5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = await asyncio.to_thread(self._process.wait)
        self.exit_code = code
        if self._pipe is not None:
            self._pipe.close()
        self._reception.close()
        # Only now is it certain that nothing of it runs any more.
        self._settle_what_it_held()
        if not self.manifest.done():
            self.manifest.cancel()
        self._on_gone(self)

    def _settle_what_it_held(self) -> None:
        handed = self.handed
        started = frozenset(slot for slot, _, _ in handed.running())
        outcomes = (
            of_those_killed(started, self.condemned)
            if self.stopping
            else verdicts(started, handed.cell.stepped(), self.how_it_ended(), self._forgiven())
        )
        unstarted = handed.recalled([slot for slot in handed.calls if slot not in started])
        self._ended(handed.end(list(outcomes.items())))
        handed.cell.close()
        self._on_back(unstarted)

    def how_it_ended(self) -> str:
        """In words: the signal or the exit status, or why it was killed."""
        return self.cause or how_it_ended(self.exit_code or 0, out_of_memory=self._out_of_memory)

    @property
    def _out_of_memory(self) -> bool:
        return memory.kills() > self._kills

    def _forgiven(self) -> frozenset[int]:
        """Those that ran alone for the first times when somebody may have killed the process."""
        code = self.exit_code or 0
        if self.cause or not is_unexplained(code, out_of_memory=self._out_of_memory):
            return frozenset()
        calls = self.handed.calls.items()
        return frozenset(
            slot for slot, call in calls if SOLO_AFTER <= call.delivery.abandoned < CHARGED_AFTER
        )
