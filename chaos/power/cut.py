"""One power cut: work, everything stops at once, what the disk held is looked at and worked off."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence

import msgspec

from chaos.evidence import Dump, Setup
from chaos.places import Durability
from chaos.power.disk import Disk
from chaos.processes import Started, state, until
from chaos.profile import Profile
from chaos.seeds import stream
from chaos.stage import Stage

SCENES = ("sending", "both", "settling")
"""What goes on when the power is cut, which the seeds take in turn.

A settle flushes what was sent before it, and a send what was settled. So that neither hides what
the other does not flush, one scene has no worker, and in one the producers stop a moment earlier.
"""

_PROFILE = Profile(tasks=6_000, sending=6.0, workers=1)
_EARLIEST, _LATEST = 1.5, 4.5
_QUIET = (0.05, 0.3)
_START, _STILL = 60.0, 10.0


def setup_of(seed: int, backend: str, durability: Durability) -> Setup:
    """How the cut of a seed is made."""
    scene = SCENES[seed % len(SCENES)]
    profile = msgspec.structs.replace(_PROFILE, workers=0 if scene == "sending" else 1)
    return Setup(seed=seed, backend=backend, profile=profile, durability=durability, scene=scene)


def cut(stage: Stage, disk: Disk) -> None:
    """Make the cut; the stage's database is on the disk, and its folder is not."""
    try:
        stage.prepare()
        _work(stage)
        _stop_all(stage)
        disk.cut()
        stage.kill()
        disk.replace()
        stage.place.start()
        damage = stage.witness.damage()
        stage.write("after.json", Dump(public=[], raw=stage.witness.rows(), damage=damage))
        stage.crew.size = 1
        stage.start_workers()
        stage.work_off()
        stage.look()
    finally:
        stage.end()


def _work(stage: Stage) -> None:
    moment = stream(stage.setup.seed, "moment")
    stage.start_workers()
    stage.start_producers()
    producers = list(stage.clients)
    url = stage.place.url
    stage.start_client("reader", url, "chaos.power.reader", str(stage.folder))
    histories = stage.folder / "history"
    until(lambda: any(histories.glob("producer-*.jsonl")), "something is sent", _START)
    time.sleep(moment.uniform(_EARLIEST, _LATEST))
    if stage.setup.scene == "settling":
        _stop(producers)
        time.sleep(moment.uniform(*_QUIET))


def _stop_all(stage: Stage) -> None:
    # Whatever is acknowledged from here on may be on the disk or not.
    stage.history.log("phase", "cut")
    pids = [*stage.place.freeze(), *_stop([*stage.crew.workers, *stage.clients])]
    # A flush on its way is over before the copy is made, so that the copy is of one moment.
    until(lambda: all(map(_is_still, pids)), "everything stands still", _STILL)


def _stop(started: Sequence[Started]) -> list[int]:
    pids = [pid for each in started if each.alive for pid in (each.pid, *each.children)]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    return pids


def _is_still(pid: int) -> bool:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return True
    return all(state(f"{pid}/task/{thread}") in {"", "T", "t", "Z", "X"} for thread in threads)
