"""A child as its supervisor sees it: a process, a pipe, and the calls that it was handed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import msgspec

from ropeway.message import Delivery, Failure, Fence, Kind, Outcome
from ropeway.store import Backend
from ropeway.worker.cell import SLOTS, Cell
from ropeway.worker.frames import (
    Describe,
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
from ropeway.worker.pipe import Pipe
from ropeway.worker.places import OnEnded
from ropeway.worker.reception import Reception
from ropeway.worker.window import Window

_LAST_WORDS = 0.5
_ANSWER = 1.0
"""Seconds for which a child may leave a question unanswered before it counts as blocked."""

OnGone = Callable[["ChildProcess"], None]


class ChildProcess:
    """One child. Every call it is handed comes back through `on_ended`, exactly once.

    Also when it dies: then as crashed, if it had started, else as interrupted.
    """

    def __init__(self, on_ended: OnEnded, on_gone: OnGone) -> None:
        self._on_ended, self._on_gone = on_ended, on_gone
        self.manifest: asyncio.Future[Manifest] = asyncio.get_running_loop().create_future()
        self.windows: dict[Kind, Window] = {}
        self.exit_code: int | None = None
        self.started_at = time.monotonic()
        self._cell = Cell.create()
        self._free = list(range(SLOTS))
        self._handed: dict[int, tuple[Delivery, Kind, float]] = {}
        self._closed = asyncio.Event()
        self._recalled = asyncio.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Pipe | None = None
        self._reception = Reception()
        self._dumping: asyncio.Future[str] | None = None
        self.stopping = False
        self.proven = False

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def busy(self) -> int:
        """How many calls it holds."""
        return len(self._handed)

    async def spawn(self, target: str, slots: dict[Kind, int]) -> None:
        """Start the process. Must be called on the main thread, whose death it will follow."""
        ours, theirs = socket.socketpair()
        door = self._reception.door
        passed = (theirs.fileno(), door.fileno(), self._cell.descriptor)
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
        """Hand over calls; the caller has looked at `windows`."""
        now = time.monotonic()
        starts = []
        for delivery, kind in deliveries:
            slot = self._free.pop()
            self._cell.clear(slot)
            self._handed[slot] = (delivery, kind, now)
            self.windows[kind].held += 1
            starts.append(Start.of(slot, delivery))
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
        newest = {fence.id: fence.attempt for fence in lost}
        slots = [
            slot
            for slot, (delivery, _, _) in self._handed.items()
            if delivery.fence.attempt <= newest.get(delivery.fence.id, 0)
        ]
        if slots and self._pipe is not None:
            self._pipe.send(Interrupt(slots))

    async def recall(self) -> None:
        """Have it give back, as interrupted, every call that it has not started."""
        if self._pipe is not None and not self._closed.is_set():
            self._pipe.send(Recall())
            waits = [asyncio.create_task(event.wait()) for event in (self._recalled, self._closed)]
            await asyncio.wait(waits, timeout=5, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()

    def close(self) -> None:
        """Tell it to end: it closes when its supervisor does."""
        self.stopping = True
        if self._pipe is not None:
            self._pipe.close()

    def kill(self) -> None:
        """End it now; what it was running comes back as interrupted, not as crashed."""
        self.stopping = True
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            # What it said before is read until then.
            asyncio.get_running_loop().call_later(_LAST_WORDS, self._closed.set)

    async def gone(self) -> None:
        """Wait until it is dead and everything it held has come back."""
        await asyncio.shield(self._life)

    async def stacks(self) -> str:
        """Say what its threads and coroutines are doing, also if its event loop is blocked."""
        if self._pipe is None or not self.windows:
            return "it has not imported the app yet\n"
        if self._dumping is None:
            self._dumping = asyncio.get_running_loop().create_future()
            self._pipe.send(Describe())
        try:
            return await asyncio.wait_for(asyncio.shield(self._dumping), _ANSWER)
        except TimeoutError:
            return await self._stacks_by_signal()

    async def _stacks_by_signal(self) -> str:
        # Its interpreter need not come to it: what it is in the middle of writes this down.
        self._cell.clear_dump()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGUSR1)
        deadline = time.monotonic() + _ANSWER
        said = ""
        while time.monotonic() < deadline and not (said and self._cell.dump() == said):
            said = self._cell.dump()
            await asyncio.sleep(_ANSWER / 20)
        running = self._cell.stepped()
        titles = "".join(
            f"{'runs' if slot in running else 'holds'} job {delivery.fence.id}"
            f" {delivery.message.task} attempt {delivery.fence.attempt}\n"
            for slot, (delivery, _, _) in self._handed.items()
            if self._cell.started(slot)
        )
        return f"its event loop is blocked\n{titles}{said or 'nor does it hear signals: is it stopped?'}\n"

    # -- what it says ---------------------------------------------------------------------

    def _on_frame(self, payload: bytes) -> None:
        frame = decode_from_child(payload)
        match frame:
            case Ended():
                self._ended(frame.outcomes)
            case Described():
                self._described(frame.text)
            case Manifest():
                self.windows = {kind: Window(slots) for kind, slots in frame.slots.items()}
                self.manifest.set_result(frame)
            case _:
                self._ended([(slot, Outcome(ending="interrupted")) for slot in frame.slots])
                self._recalled.set()

    def _described(self, text: str) -> None:
        if self._dumping is not None and not self._dumping.done():
            self._dumping.set_result(text)
        self._dumping = None

    def _ended(self, outcomes: Sequence[tuple[int, Outcome]]) -> None:
        now = time.monotonic()
        ended: list[tuple[Delivery, Outcome]] = []
        slowest: dict[Kind, tuple[int, float]] = {}
        for slot, outcome in outcomes:
            delivery, kind, since = self._handed.pop(slot)
            self._free.append(slot)
            count, longest = slowest.get(kind, (0, 0.0))
            slowest[kind] = (count + 1, max(longest, now - since))
            ended.append((delivery, outcome))
        for kind, (count, longest) in slowest.items():
            self.windows[kind].ended(count, longest)
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
        guilty = self._guilty()
        self._ended([(slot, self._outcome_of_death(slot, guilty)) for slot in list(self._handed)])
        self._cell.close()
        if not self.manifest.done():
            self.manifest.cancel()
        self._on_gone(self)

    def _guilty(self) -> frozenset[int]:
        """Whom the death is charged to: the calls whose code was running, not those that waited."""
        if self.stopping:
            return frozenset()
        started = frozenset(slot for slot in self._handed if self._cell.started(slot))
        # One that was alone in the process cannot have been anybody else's victim.
        return started if len(started) == 1 else started & self._cell.stepped()

    def _outcome_of_death(self, slot: int, guilty: frozenset[int]) -> Outcome:
        if slot not in guilty:
            return Outcome(ending="interrupted")
        error = Failure(type="WorkerLost", message=f"the child process {self.how_it_ended()}")
        return Outcome(ending="crashed", error=error)

    def how_it_ended(self) -> str:
        """In words: the signal or the exit status."""
        code = self.exit_code or 0
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"was killed by {signal.Signals(-code).name}"
            return f"was killed by signal {-code}"
        return f"ended with status {code}"
