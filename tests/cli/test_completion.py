"""Completion: the scripts, and what they are answered."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ropeway import Ropeway
from ropeway.cli.commands.completion import SHELLS
from tests.cli.support import call, process
from tests.web.support import filled


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


def test_names_of_what_lasts(here: Path) -> None:
    """Topics, subscriptions, runs, exchanges, and the tasks that workers know; error codes."""
    app = Ropeway()
    run = filled(app)["run"]
    assert completed("topics", "show", "pho") == ["photo.liked"]
    assert completed("workflows", "show", run[:-1]) == [run]
    assert completed("exchanges", "bindings", "l") == completed("route", "l") == ["logs"]
    assert completed("run", "pl") == ["plain"]
    assert completed("explain", "RW-10") == [f"RW-10{number}" for number in range(1, 7)]


def test_installing(
    here: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The line is shown first; it is written once, and what was in the file stays."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    line = 'eval "$(ropeway completion bash)"'
    (home / ".bashrc").write_text("alias l=ls")
    asked = call("completion", "bash", "--install")
    assert asked.exit_code == 3 and line in asked.stderr and str(home) in asked.stderr
    assert (home / ".bashrc").read_text() == "alias l=ls"
    for said in ("open a new shell", "has it already"):
        done = call("completion", "bash", "--install", "--yes")
        assert done.exit_code == 0 and said in done.stderr
        assert (home / ".bashrc").read_text() == f"alias l=ls\n{line}\n"
    for said in ("open a new shell", "has it already"):
        assert said in call("completion", "fish", "--install", "-y").stderr
    fish = home / ".config" / "fish" / "completions" / "ropeway.fish"
    assert "_ROPEWAY_COMPLETE" in fish.read_text()
    (home / ".zshrc").mkdir()
    refused = call("completion", "zsh", "--install", "-y")
    assert refused.exit_code == 9 and "zsh" in refused.stderr


def test_without_a_database(here: Path) -> None:
    """Nothing is offered, and none is made."""
    assert completed("queues", "show", "") == []
    assert completed("limits", "show", "") == []
    assert completed("jobs", "show", "") == []
    for words in (("topics", "show"), ("workflows", "show"), ("route",), ("run",)):
        assert completed(*words, "") == []
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
