"""Virtual environments for the peers, each made once and used again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.processes import Failed

NEWER = "BENCH_NEWER_PYTHON"
"""The environment variable that names a Python for peers that do not run on the one in use."""

_NAMES = ("python3.13", "python3.14")


def environment(folder: Path, *packages: str, python: str = sys.executable) -> Path:
    """Make a virtual environment with the packages, once; the last names what is missed."""
    done = folder / "installed"
    if not done.exists():
        print(f"installing {packages[-1]} into {folder} ...", flush=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Without a pip of its own: ours installs into it, and some Pythons bring none.
        _run([python, "-m", "venv", "--without-pip", "--clear", str(folder)], packages[-1])
        pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
        _run(
            [*pip, "install", "--quiet", "--disable-pip-version-check", *packages],
            packages[-1],
        )
        done.touch()
    return folder


def newer_python(package: str) -> str:
    """Return a Python of 3.13 or later; raises `Failed` with the way to name one."""
    named = os.environ.get(NEWER, "")
    found = next(filter(None, map(shutil.which, (named, *_NAMES))), None)
    if found is None:
        raise Failed(f"{package} needs Python 3.13 or later; name one in {NEWER}")
    return found


def _run(command: list[str], package: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise Failed(f"{package} cannot be installed:\n{(result.stderr or result.stdout)[-2000:]}")
