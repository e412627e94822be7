"""Every example in the README, the tutorial and the how-to pages does what the page says."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs import pages

RUN = pages.names("README.md", "docs/tutorial/**/*.md", "docs/howto/**/*.md")
ALL = pages.names("*.md", "docs/**/*.md")
TIMEOUT = 50.0  # below the limit of a test, so that the output can still be shown


def run_text(
    text: str, folder: Path, name: str = "page.md", python: str = sys.executable
) -> tuple[int, str]:
    """Run the blocks of a page in a fresh process in `folder`; return its status and output."""
    steps = [step for block in pages.blocks(text) if (step := _step(block))]
    work = folder / "work"
    work.mkdir()
    script = folder / "steps.json"
    script.write_text(json.dumps(steps), encoding="utf-8")
    process = subprocess.Popen(
        [python, str(Path(__file__).with_name("run_page.py")), name, str(script)],
        cwd=work,
        env=_environment(folder, python),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # the page and what it started in its session
        output, _ = process.communicate()
        output += b"\nFAILED: the page takes longer than %d s" % TIMEOUT
    return process.returncode, output.decode(errors="replace")


def _step(block: pages.Block) -> tuple[str, str, int, str] | None:
    verb = block.verb or ("python" if block.language == "python" else "")
    return (
        (verb, block.text, block.line, block.value) if verb in {"python", "file", "run"} else None
    )


def _environment(folder: Path, python: str) -> dict[str, str]:
    """Return the environment of a reader: nothing of ours, the same width of terminal."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ROPEWAY_", "PYTHON", "CI"))}
    home = folder / "home"
    home.mkdir()
    return kept | {
        "PATH": f"{Path(python).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": str(home),
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "TERM": "dumb",
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
    }


@pytest.mark.parametrize("name", RUN)
def test_page_runs(name: str, tmp_path: Path) -> None:
    """The blocks of the page run from top to bottom in an empty directory."""
    status, output = run_text(pages.page(name), tmp_path, str(pages.ROOT / name))
    assert status == 0, f"{name}\n{output}"


@pytest.mark.parametrize("name", ALL)
def test_python_is_valid(name: str) -> None:
    """Blocks that are not run, here or on other pages, are at least valid Python."""
    for block in pages.blocks(pages.page(name)):
        if block.language == "python":
            flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            source = "\n" * (block.line - 1) + block.text
            compile(source, str(pages.ROOT / name), "exec", flags=flags, dont_inherit=True)
