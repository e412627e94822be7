"""Several supervisors as one worker: a thin parent starts them, and passes signals on to all."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import random
import select
import signal
import socket
import sys
import time
from typing import Any

from msgspec.structs import replace

from ropeway.worker.drain import HANDED_BACK
from ropeway.worker.options import WorkerOptions
from ropeway.worker.supervisor import run_worker

log = logging.getLogger("ropeway.worker")

_PR_SET_PDEATHSIG = 1
_YOUNG = 5.0
_LONGEST_PAUSE = 30.0
_STOPS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP})
_PASSED = _STOPS | {signal.SIGTSTP, signal.SIGCONT, signal.SIGUSR1}


class _Forked(Exception):
    """This process is one of the supervisors."""


def run_supervisors(options: WorkerOptions, count: int) -> int:
    """Run `count` supervisors until they are told to stop; returns the worst of their exit codes.

    Cores are shared out among them where nothing is said of a number of processes.
    """
    cores = max(1, (os.cpu_count() or 1) // count)
    options = replace(options, children=options.children or cores, cpu=options.cpu or cores)
    try:
        return Parent(count).run()
    except _Forked:
        return run_worker(options)


class Parent:
    """Forks the supervisors from a process that has neither threads nor an event loop.

    One that dies is replaced, more and more slowly if it happens again and again. One that ends by
    itself was told to, or cannot work: it is not. When this process dies, the kernel tells them
    to stop.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._living: dict[int, float] = {}
        self._due: list[float] = [0.0] * count
        self._deaths = 0
        self._stopping = False
        self._worst = 0
        self._usual: dict[signal.Signals, Any] = {}
        self._told, self._teller = socket.socketpair()

    def run(self) -> int:
        """Start the supervisors and wait for their ends; in each of them this raises `_Forked`."""
        self._listen()
        log.info("%d supervisors, parent %d", self._count, os.getpid())
        while self._living or self._due:
            now = time.monotonic()
            for due in [due for due in self._due if due <= now]:
                self._due.remove(due)
                self._start()
            left = min(self._due) - time.monotonic() if self._due else None
            if select.select([self._told], [], [], left and max(0.0, left))[0]:
                for number in self._told.recv(4096):
                    if number != signal.SIGCHLD:
                        self._pass_on(signal.Signals(number))
            self._reap()
        return self._worst

    def _listen(self) -> None:
        for number in _PASSED | {signal.SIGCHLD}:
            usual = signal.getsignal(number)
            if usual is not signal.SIG_IGN:  # as nohup leaves it
                self._usual[number] = usual
                signal.signal(number, _heard)
        self._teller.setblocking(False)
        signal.set_wakeup_fd(self._teller.fileno())

    def _start(self) -> None:
        parent = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        # What is passed on while the new process is not itself yet waits until it is.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, self._usual)
        pid = os.fork()
        if pid:
            self._living[pid] = time.monotonic()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            return
        # A group of its own: Ctrl-C in a terminal is for the parent, which passes it on once.
        os.setpgid(0, 0)
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(0)  # it died before the kernel was asked
        signal.set_wakeup_fd(-1)
        for number, usual in self._usual.items():
            signal.signal(number, usual)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        raise _Forked

    def _pass_on(self, number: signal.Signals) -> None:
        if number in _STOPS:
            self._stopping = True
            self._due.clear()
        for pid in self._living:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _reap(self) -> None:
        while self._living:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if pid in self._living:
                self._ended(pid, os.waitstatus_to_exitcode(status))

    def _ended(self, pid: int, code: int) -> None:
        young = time.monotonic() - self._living.pop(pid) < _YOUNG
        if code >= 0:
            self._worst = max(self._worst, code)
        if self._stopping or code in {0, HANDED_BACK}:
            return
        if code > 0 and young and not self._deaths:
            log.critical("supervisor %d ended with status %d: none can start", pid, code)
            self._pass_on(signal.SIGTERM)
            return
        self._deaths = self._deaths + 1 if young else 1
        pause = random.uniform(0, min(_LONGEST_PAUSE, 0.1 * 2.0 ** min(self._deaths, 10)))
        log.warning("supervisor %d has died (%d); starting another", pid, code)
        self._due.append(time.monotonic() + pause)


def _heard(number: int, frame: object) -> None:
    """Do nothing: the number is written where `run` waits for it."""
