"""The command line: what is wrong decides the exit status, and nothing else does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from chaos.processes import ROOT
from tests.chaos.recorded import Recorded


def chaos(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    command = [sys.executable, "-m", "chaos", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_folder_can_be_judged_again(tmp_path: Path) -> None:
    """A call that was acknowledged and is nowhere is a violation, told with its timeline."""
    recorded = Recorded(tmp_path)
    recorded.log(1, "invoke", "send", id="job-a", n=1, v="feed")
    recorded.log(2, "ok", "send", id="job-a")
    done = chaos("check", str(tmp_path))
    assert done.returncode == 1, done.stderr
    assert "invalid  I1" in done.stdout
    assert "job-a was acknowledged and is not stored" in done.stdout
    assert "send acknowledged" in done.stdout
    assert (tmp_path / "verdict.json").exists()


def test_a_quiet_run_shows_nothing(tmp_path: Path) -> None:
    """Nothing is wrong in it, and it is inconclusive."""
    Recorded(tmp_path)
    done = chaos("check", str(tmp_path))
    assert done.returncode == 2, done.stderr
    assert "not enough: kills" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("check", "/nowhere"), "run.json"),
        (("run", "--seeds", "many"), "'many' is neither a seed nor a range"),
    ],
)
def test_what_cannot_be_done_is_no_verdict(arguments: tuple[str, ...], said: str) -> None:
    """A harness that fails says nothing about the product: neither pass nor violation."""
    done = chaos(*arguments)
    assert done.returncode == 3
    assert said in done.stderr
