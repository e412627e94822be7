"""What the benchmarks compute from what they saw; the figures themselves are nobody's test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from benchmarks import census
from benchmarks.figures import Measure, Sample, percentiles, quantile, ratios, table
from benchmarks.machine import kind_of_mount
from benchmarks.pages import insert, markdown
from benchmarks.processes import Started
from benchmarks.recorder import FOLDER, Records
from benchmarks.stock import multiply, rows
from benchmarks.tracing import counts
from ropeway import Ropeway
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
    assert markdown([*ours, *theirs], [Measure("x", "an x", compared=True)], ["us"]) == [
        "| Median of 2 rounds | us | it |",
        "|---|---|---|",
        "| an x | 5.50 | 11.0 |",
        "| us / this |  | 0.50 (0.50 to 0.50) |",
    ]
    lines = table(ours, [Measure("x", "an x"), Measure("y", "a y")], ["us"])
    assert [line.split() for line in lines[1:]] == [["an", "x", "1.00", "5.50", "10.0"], ["a", "y"]]


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


COUNTED = """
import apsw, sqlite3, sys
execute = apsw.Connection(sys.argv[1]).execute
execute("create table job (serial integer primary key, state integer)")
execute("insert into job values (1, 0), (2, 0), (3, 0), (4, 0), (5, 0)")
execute("begin"); execute("update job set state = 1"); execute("commit")
execute("begin"); execute("update job set state = 2 where serial = 1"); execute("rollback")
execute("begin"); execute("update job set state = 2 where serial < 3")
execute("delete from job where serial = 2"); execute("delete from job where serial = 3")
execute("commit")
execute("update job set state = 2 where serial > 3")
peer = sqlite3.connect(sys.argv[2], isolation_level=None)
peer.execute("create table t (x)"); peer.execute("insert into t values (1)")
peer.execute("begin"); peer.execute("select * from t"); peer.execute("commit")
"""


def test_settles_are_counted_by_what_happens_to_the_data(tmp_path: Path) -> None:
    """Of five jobs that run three end in one transaction and two by a statement of its own.

    What is rolled back is nothing, and so is what happens to a job that does not run.
    """
    folder = tmp_path / "counts"
    folder.mkdir()
    path = f"{ROOT}{os.pathsep}{census.PLACE}"
    env = {**os.environ, census.FOLDER: str(folder), "PYTHONPATH": path}
    files = (tmp_path / "ours.db", tmp_path / "theirs.db")
    subprocess.run([sys.executable, "-c", COUNTED, *files], env=env, check=True)
    assert census.read(folder) == {"statements": 19, "commits": 5, "settles": 5, "settling": 2}


def test_a_copied_job_differs_in_its_name_its_number_and_its_instants(tmp_path: Path) -> None:
    """A stock that a worker could not claim, or in one moment, would measure something else."""
    path = tmp_path / "jobs.db"
    app = Ropeway(f"sqlite:///{path}")

    @app.task
    def nothing() -> None: ...

    first = nothing.send()
    multiply(path, 50)
    assert rows(path) == 51
    execute = apsw.Connection(str(path)).execute
    assert execute("select count(distinct place) from job where queue = 'default'").get == 51
    assert execute("select max(place) = (select place from job where serial = 1) from job").get
    assert execute("select count(*) from job where task <> ?", (nothing.name,)).get == 0
    newest = execute("select id from job order by serial desc limit 1").get
    assert app.job(newest).status() == app.job(first.id).status()


def test_a_report_of_strace_is_read(tmp_path: Path) -> None:
    """With and without a column of errors."""
    report = tmp_path / "report"
    report.write_text(
        "% time     seconds  usecs/call     calls    errors syscall\n"
        "------ ----------- ----------- --------- --------- ----------------\n"
        " 99.00    0.010353          84       122           fdatasync\n"
        "  1.00    0.000001           1         3         2 openat\n"
        "------ ----------- ----------- --------- --------- ----------------\n"
        "100.00    0.010354          84       125         2 total\n"
    )
    assert counts(report) == {"fdatasync": 122, "openat": 3, "total": 125}


def test_figures_are_put_where_a_page_wants_them() -> None:
    """The words around them stay, and so do the figures of what was not measured."""
    page = "".join(
        f"{name}\n\n<!-- figures: {name} -->\nold\n<!-- end of figures -->\n" for name in "ab"
    )
    new = insert(page, "b", ["| new |"])
    assert new == page[: page.index("b\n")] + (
        "b\n\n<!-- figures: b -->\n\n| new |\n\n<!-- end of figures -->\n"
    )
    assert insert(new, "b", ["| new |"]) == new
    assert insert(page, "c", ["| new |"]) == page
