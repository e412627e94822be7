"""What the benchmarks compute from what they saw; the figures themselves are nobody's test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.figures import Measure, Sample, percentiles, quantile, ratios, table
from benchmarks.machine import kind_of_mount
from benchmarks.processes import Started
from benchmarks.recorder import FOLDER, Records
from tests.conftest import Eventually

ROOT = Path(__file__).resolve().parents[2]

HIT_BY_MANY = """
import os, threading
from benchmarks.recorder import hit
def many():
    for _ in range(100):
        hit()
threads = [threading.Thread(target=many) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
if os.fork() == 0:
    many()
    os._exit(0)
os.wait()
"""


def test_every_run_is_recorded_once_by_threads_and_forks(tmp_path: Path) -> None:
    """A run that is not counted would make a benchmark wait, one counted twice would flatter."""
    env = {**os.environ, FOLDER: str(tmp_path), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", HIT_BY_MANY], env=env, check=True)
    records = Records(tmp_path)
    assert records.poll() == 900
    assert records.poll() == 900
    assert records.processes == 2


def test_stop_ends_a_whole_tree(tmp_path: Path, eventually: Eventually) -> None:
    """A grandchild in a process group of its own, deaf to SIGTERM, goes too."""
    code = (
        "import subprocess, sys, time; "
        "subprocess.Popen([sys.executable, '-c', 'import signal, time; "
        'signal.signal(15, signal.SIG_IGN); print("deaf", flush=True); time.sleep(60)'
        "'], process_group=0); time.sleep(60)"
    )
    started = Started([sys.executable, "-c", code], folder=tmp_path, env=os.environ)
    eventually(lambda: "deaf" in started.said())
    tree = started.tree()
    assert len(tree) == 2
    started.stop(patience=5)
    eventually(lambda: not any(running(pid) for pid in tree))


def running(pid: int) -> bool:
    """Tell if a process is there and not only waiting to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1), (0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100)]
)
def test_quantile_is_the_nearest_rank(share: float, expected: int) -> None:
    """Of 1 to 100, in any order."""
    assert quantile([*range(100, 0, -1)], share) == expected


def test_percentiles_are_milliseconds() -> None:
    """One value is all of its percentiles."""
    assert percentiles([0.002]) == dict.fromkeys(("p50_ms", "p95_ms", "p99_ms", "max_ms"), 2.0)


def test_ratios_are_taken_round_by_round() -> None:
    """A round in which the machine was slow for both says as much as another."""
    ours = [Sample("s", "us", 0, {"x": 10.0}), Sample("s", "us", 1, {"x": 1.0})]
    theirs = [Sample("s", "it", 1, {"x": 2.0}), Sample("s", "it", 0, {"x": 20.0})]
    assert ratios(ours, theirs, "x") == [0.5, 0.5]
    assert ratios(ours, theirs, "y") == []
    lines = table([*ours, *theirs], [Measure("x", "an x", compared=True)], ["us"])
    assert [line.split() for line in lines[1:]] == [
        ["an", "x"],
        ["us", "1.00", "5.50", "10.0"],
        ["it", "2.00", "11.0", "20.0"],
        ["us", "/", "this", "0.50", "0.50", "0.50"],
    ]


def test_a_file_system_in_memory_is_found_below_a_disk() -> None:
    """The deepest mount counts, and of two at one place the later."""
    mounts = (
        "/dev/vda / ext4 rw 0 0\n"
        "tmpfs /tmp tmpfs rw 0 0\n"
        "/dev/vdb /srv/a\\040b xfs rw 0 0\n"
        "tmpfs /srv/a\\040b tmpfs rw 0 0\n"
    )
    assert kind_of_mount(Path("/home/x"), mounts) == "ext4"
    assert kind_of_mount(Path("/tmp/x"), mounts) == "tmpfs"
    assert kind_of_mount(Path("/tmpx"), mounts) == "ext4"
    assert kind_of_mount(Path("/srv/a b/c"), mounts) == "tmpfs"
