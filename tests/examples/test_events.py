"""The examples of events do what their pages say: in a sandbox, and for real."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from examples.photos import album
from examples.photos.tasks import Befriended, Uploaded, app, befriended, uploaded

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["photos", "prices"])
def test_what_its_page_shows_is_what_it_prints(name: str, tmp_path: Path) -> None:
    """Line by line."""
    page = (ROOT / "examples" / name / "README.md").read_text()
    shown = re.search(rf"\$ python -m examples\.{name}\n(.*?)```", page, re.DOTALL)
    assert shown is not None
    environment = os.environ | {"PYTHONPATH": str(ROOT), "ALBUM": str(tmp_path / "album.db")}
    command = [sys.executable, "-m", f"examples.{name}"]
    ran = subprocess.run(
        command,
        check=False,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == shown[1]


def test_reactions_may_be_run_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a friendship has those pairs alone counted again that it concerns."""
    monkeypatch.setenv("ALBUM", str(tmp_path / "album.db"))
    with app.testing() as sandbox:
        for a, b in (("ann", "bob"), ("bob", "eve"), ("kim", "lee")):
            befriended.publish(Befriended(a, b))
        sandbox.run()
        uploaded.publish(Uploaded(photo=7, owner="bob"))
        sandbox.run()
        before = _told()
        assert before["select count(*) from notices"] == 2
        assert before["select number from mutual where a = 'ann' and b = 'eve'"] == 1
        assert before["select count(*) from mutual where a = 'kim'"] == 1
        uploaded.rewind("notify", "start")
        uploaded.rewind("feed", "start")
        befriended.rewind("mutual", "start")
        sandbox.run()
        assert _told() == before
        sandbox.assert_no_failures()


def _told() -> dict[str, int]:
    asked = (
        "select count(*) from notices",
        "select count(*) from feed",
        "select count(*) from thumbnails",
        "select count(*) from mutual where a = 'kim'",
        "select number from mutual where a = 'ann' and b = 'eve'",
    )
    return {each: album.number(each) for each in asked}
