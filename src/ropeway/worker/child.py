"""A child process: imports the app, runs its calls, and reports how they ended.

What its calls ask of the backend is asked of the supervisor.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import sys
import threading
from functools import partial

import msgspec

from ropeway import lifeline
from ropeway.errors import RopewayError
from ropeway.message import Kind, Outcome
from ropeway.worker.capture import capture, log_by_default, release
from ropeway.worker.cell import Cell
from ropeway.worker.code import code_digest
from ropeway.worker.frames import (
    Describe,
    Described,
    Ended,
    Hold,
    Manifest,
    Recall,
    Recalled,
    Run,
    decode_to_child,
)
from ropeway.worker.hands import Hands, told_of
from ropeway.worker.inside import InsideConnection
from ropeway.worker.lines import Door
from ropeway.worker.locate import Application, load_app
from ropeway.worker.pipe import Pipe

_PR_SET_PDEATHSIG = 1

_FAREWELL = 4.0
"""Seconds for what the app does at the end of a process: its supervisor waits a little longer."""


class Child:
    """Takes calls from the supervisor and hands each to the executor of its kind."""

    def __init__(self, app: Application, cell: Cell, slots: dict[Kind, int], parent: int) -> None:
        self._app = app
        self._parent = parent
        self._cell = cell
        self._slots = slots
        self._outcomes: list[tuple[int, Outcome]] = []
        self._pipe: Pipe | None = None

    async def run(self, connection: socket.socket, door: socket.socket) -> None:
        """Serve the supervisor until it closes the pipe; the app's own calls go out at `door`."""
        loop = asyncio.get_running_loop()
        self._app.connection = InsideConnection(self._app.connection, Door(door))
        over = asyncio.Event()
        hands = Hands(self._app, self._slots, self._cell, self._ended)
        await hands.begin()
        _, self._pipe = await loop.connect_accepted_socket(
            lambda: Pipe(partial(self._on_frame, hands), over.set), connection
        )
        self._pipe.send(self._manifest())
        try:
            await over.wait()
        finally:
            # If a task has stopped the loop, the ends that this brings about are none of theirs.
            self._pipe = None
            await hands.end(_FAREWELL)

    def _manifest(self) -> Manifest:
        tasks, limits = told_of(self._app), list(self._app.limits.declared.values())
        settings, code = msgspec.to_builtins(self._app.settings), code_digest(self._app)
        routes = self._app.exchanges
        return Manifest(
            os.getpid(),
            settings,
            tasks,
            self._slots,
            limits,
            code,
            routes.declared,
            routes.bindings,
            self._app.schedules.declared,
            self._app.topics.records,
            self._app.topics.subscribed,
            routes.queues,
        )

    def _on_frame(self, hands: Hands, payload: bytes) -> None:
        frame = decode_to_child(payload)
        match frame:
            case Run():
                for start in frame.calls:
                    hands.start(start)
            case Recall():
                slots = hands.recall()
                if self._pipe is not None:
                    self._pipe.send(Recalled(slots))
            case Hold():
                _hold(frame.path, self._parent)
            case Describe():
                if self._pipe is not None:
                    self._pipe.send(Described(hands.stacks()))
            case _:
                hands.interrupt(frame.slots)

    def _ended(self, slot: int, outcome: Outcome) -> None:
        if not self._outcomes:
            asyncio.get_running_loop().call_soon(self._report)
        self._outcomes.append((slot, outcome))

    def _report(self) -> None:
        outcomes, self._outcomes = self._outcomes, []
        if self._pipe is not None:
            self._pipe.send(Ended(outcomes))


def _leave_signals_to_the_supervisor() -> None:
    """Outlive the signals that a service manager or a terminal sends to every process.

    They are caught, not ignored: what a task starts by exec has them as usual, and by fork too.
    """
    usual = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    kept = threading.local()

    def block() -> None:
        kept.mask = signal.pthread_sigmask(signal.SIG_BLOCK, usual)

    def unblock() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, kept.mask)

    def restore() -> None:
        for number, handler in usual.items():
            if signal.getsignal(number) is _heard:
                signal.signal(number, handler)
        unblock()

    for number in usual:
        signal.signal(number, _heard)
    os.register_at_fork(before=block, after_in_parent=unblock, after_in_child=restore)


def _heard(number: int, frame: object) -> None:
    """Do nothing: the supervisor has had the same signal."""


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when the supervisor dies, however it dies."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)  # it died before the kernel was asked


def _hold(path: str, parent: int) -> None:
    """Keep the worker's lifeline until this process ends, and what it forks."""
    if lifeline.join(path) is None and (os.path.exists(path) or os.getppid() != parent):
        # The supervisor died before this was heard, and somebody has voided its leases.
        os._exit(0)


def main(arguments: list[str]) -> int:
    """Run a child: descriptors of pipe, door and cell, the parent's pid, slots by kind, app."""
    pipe, door, cell, parent = map(int, arguments[:4])
    os.set_inheritable(door, False)
    _die_with(parent)
    _leave_signals_to_the_supervisor()
    capture()
    try:
        app = load_app(arguments[5])
    except RopewayError as error:
        sys.stderr.write(f"{error.code}  {error}\n")
        return error.exit_code
    slots = msgspec.json.decode(arguments[4], type=dict[Kind, int])
    log_by_default()
    memory = Cell(cell)
    memory.dump_on(signal.SIGUSR1)
    child = Child(app, memory, slots, parent)
    asyncio.run(child.run(socket.socket(fileno=pipe), socket.socket(fileno=door)))
    return 0


if __name__ == "__main__":
    status = main(sys.argv[1:])
    release()
    # Threads may be inside user code; the supervisor has closed the pipe, so nobody listens.
    os._exit(status)
