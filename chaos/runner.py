"""One run: work, faults, heal, restart, wait until all is done, look."""

from __future__ import annotations

import heapq
import time

from chaos import nemeses
from chaos.errors import HarnessError
from chaos.history import now
from chaos.processes import until
from chaos.stage import Stage

_AGAIN = 0.2
"""Seconds after which a strike without a target is tried again."""


def torture(stage: Stage) -> None:
    """Make the run; whatever it started has ended when this returns or raises."""
    try:
        stage.prepare()
        stage.start_workers()
        stage.start_producers()
        _faults(stage)
        _heal(stage)
        stage.work_off()
        stage.look()
    finally:
        stage.end()


def _faults(stage: Stage) -> None:
    start = time.monotonic()
    faults = stage.setup.faults
    # What is to be done, and when: a strike, or with a pid the end of the strike on it.
    agenda = [(fault.t, number, 0) for number, fault in enumerate(faults)]
    heapq.heapify(agenda)
    while agenda:
        t, number, pid = heapq.heappop(agenda)
        time.sleep(max(0.0, start + t - time.monotonic()))
        if pid:
            nemeses.ALL[faults[number].nemesis].heal(stage, pid)
            stage.history.log("heal", faults[number].nemesis, sup=pid)
        elif struck := _strike(stage, number):
            heapq.heappush(agenda, (t + faults[number].duration, number, struck))
        elif t < faults[number].t + nemeses.ALL[faults[number].nemesis].patience:
            heapq.heappush(agenda, (t + _AGAIN, number, 0))


def _strike(stage: Stage, number: int) -> int:
    stage.crew.start()
    fault = stage.setup.faults[number]
    # Taken before the strike: nothing that it brings about may seem to be earlier.
    moment = now()
    pid = nemeses.ALL[fault.nemesis].inject(stage, fault.draw)
    if pid:
        stage.history.log("strike", fault.nemesis, sup=pid, at=moment)
    return pid


def _heal(stage: Stage) -> None:
    stage.disarm()
    stage.crew.heal()
    patience = stage.setup.profile.sending + stage.setup.profile.patience
    until(lambda: not any(each.alive for each in stage.clients), "all is sent", patience)
    for client in stage.clients:
        if client.exit_code:
            raise HarnessError(f"a producer failed:\n{client.said()[-2000:]}")
    for worker in list(stage.crew.workers):
        stage.crew.retire(worker)
    stage.history.log("phase", "healed")
    stage.crew.wait_until_ready()
