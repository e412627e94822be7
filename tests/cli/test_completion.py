"""Completion: the scripts, and what they are answered."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ropeway.cli.commands.completion import SHELLS
from tests.cli.support import call, process


def completed(*words: str) -> list[str]:
    """Return what is offered for the last of the words."""
    done = subprocess.run(
        [sys.executable, "-m", "ropeway"],
        env={
            **os.environ,
            "_ROPEWAY_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(["ropeway", *words]),
            "COMP_CWORD": str(len(words)),
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_for_each_shell(shell: str) -> None:
    """Which asks the command itself."""
    found = process("completion", shell)
    assert found.returncode == 0
    assert "_ROPEWAY_COMPLETE" in found.stdout


def test_another_shell() -> None:
    """Is refused, with those that there are."""
    found = call("completion", "tcsh")
    assert found.exit_code == 2
    assert "'bash', 'zsh', 'fish'" in found.stderr


def test_commands_and_options() -> None:
    """Are offered as far as they begin so."""
    assert completed("que") == ["queues"]
    assert completed("queues", "pe") == ["peek"]
    assert completed("jobs", "ls", "--lim") == ["--limit"]


def test_names(jobs: dict[str, str]) -> None:
    """Of queues and jobs, from the database."""
    assert call("queues", "pause", "quiet").exit_code == 0
    assert completed("queues", "show", "qu") == ["queued", "quiet"]
    assert call("limits", "set", "api", "30/m").exit_code == 0
    assert completed("limits", "reset", "a") == ["api"]
    assert completed("jobs", "show", jobs["failed"][:-1]) == sorted(jobs.values(), reverse=True)


def test_without_a_database(here: Path) -> None:
    """Nothing is offered, and none is made."""
    assert completed("queues", "show", "") == []
    assert completed("limits", "show", "") == []
    assert completed("jobs", "show", "") == []
    assert not (here / ".ropeway").exists()


def test_bash_completes(here: Path) -> None:
    """With the script as it is."""
    script = here / "ropeway"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m ropeway "$@"\n')
    script.chmod(0o755)
    program = (
        'eval "$(ropeway completion bash)"; COMP_WORDS=(ropeway que) COMP_CWORD=1\n'
        '_ropeway_completion ropeway; echo "offered: ${COMPREPLY[*]}"\n'
    )
    done = subprocess.run(
        ["bash", "-c", program],
        env={**os.environ, "PATH": f"{here}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout == "offered: queues\n", done.stderr
