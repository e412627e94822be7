"""Each wrong use on the page beside this is reported by mypy and by pyright, and nothing else is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = Path(__file__).with_name("wrong.py")

Reports = set[tuple[int, str]]
"""Lines, and the rules that they break."""


def expected(checker: str) -> Reports:
    """Return what the comments of the page say of a checker."""
    found: Reports = set()
    for number, line in enumerate(PAGE.read_text().splitlines(), 1):
        if said := re.search(rf"  # .*\b{checker}: ([\w -]+)", line):
            found |= {(number, rule) for rule in said[1].split()}
    return found


def mypy(_: Path) -> Reports:
    """Run mypy, with the configuration of the whole tree."""
    output = run("mypy", "--output", "json", str(PAGE))
    reports = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    errors = [each for each in reports if each["severity"] == "error"]
    assert {Path(each["file"]).name for each in errors} <= {PAGE.name}, output
    return {(each["line"], each["code"]) for each in errors}


def pyright(folder: Path) -> Reports:
    """Run pyright on the page alone, as strictly as an editor can."""
    settings: dict[str, Any] = {
        "include": [PAGE.name],
        "extraPaths": [str(ROOT / "src")],
        "pythonVersion": "3.11",
        "typeCheckingMode": "strict",
        # The uses stand there to be looked at, not for what they return; and in strict mode each
        # thing of an unknown type is reported again wherever it goes.
        "reportUnusedExpression": "none",
        "reportUnusedCallResult": "none",
        "reportUnknownMemberType": "none",
        "reportUnknownVariableType": "none",
        "reportUnknownArgumentType": "none",
        "reportUntypedFunctionDecorator": "none",
    }
    shutil.copy(PAGE, folder)
    config = folder / "pyrightconfig.json"
    config.write_text(json.dumps(settings))
    output = run("pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(config))
    errors = [each for each in json.loads(output)["generalDiagnostics"] if "rule" in each]
    return {(each["range"]["start"]["line"] + 1, each["rule"]) for each in errors}


def run(checker: str, *arguments: str) -> str:
    """Return what a checker prints; it ends with a failure, for that is what the page is."""
    command = [sys.executable, "-m", checker, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(180)
@pytest.mark.parametrize("checker", [mypy, pyright], ids=lambda each: str(each.__name__))
def test_each_wrong_use_is_reported(checker: Callable[[Path], Reports], tmp_path: Path) -> None:
    """At its line, by the rule it breaks; and a line that is right is not."""
    wanted, found = expected(checker.__name__), checker(tmp_path)
    assert len(wanted) > 40
    assert sorted(found - wanted) == []
    assert sorted(wanted - found) == []
