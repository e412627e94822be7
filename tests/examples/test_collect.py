"""The example that collects on a timetable does what its page says: in a sandbox, and for real."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from examples.collect import api, page, shelf
from examples.collect.tasks import app
from tests.conftest import Eventually


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run the API, and have the tasks keep what they collect in a folder of the test."""
    monkeypatch.setenv("COLLECT_SHELF", str(tmp_path / "shelf.db"))
    with api.serving(api.Handler) as url:
        monkeypatch.setenv("COLLECT_API", url)
        yield url


def test_an_hour_and_a_night(remote: str) -> None:
    """Each thing on its timetable, although the API fails every fourth time."""
    with app.testing(start=datetime(2027, 3, 27, 23, tzinfo=UTC)) as sandbox:
        sandbox.advance("1h2m")
        history = {
            name: [each.at.minute for each in app.schedules.history(name)]
            for name in ("top", "news", "weather", "alike")
        }
        assert history["top"] == [0, 50, 40, 30, 20, 10]
        assert len(history["news"]) == 12
        assert (history["weather"], history["alike"]) == ([0, 30], [])
        instant, top = shelf.get("top")
        assert instant == "2027-03-28T00:00:00Z"
        assert len(top) == 100
        assert shelf.get("news")[1][0]["title"].startswith("headline")
        sandbox.advance("3h")
        (night,) = app.schedules.history("alike")
        assert night.at == datetime(2027, 3, 28, 1, tzinfo=UTC)  # 02:30 did not exist: at 03:00
        assert len(shelf.get("alike")[1]) == 20
        sandbox.assert_no_failures()
    assert "as of 2027-03-28T03:00:00Z" in page.page()
    assert page.page().count("<tr>") == 100


def test_a_late_run_changes_nothing_newer(remote: str) -> None:
    """Whatever runs twice, or after the next."""
    assert shelf.put("x", "2027-01-01T00:10:00Z", 2)
    assert not shelf.put("x", "2027-01-01T00:00:00Z", 1)
    assert shelf.get("x") == ("2027-01-01T00:10:00Z", 2)


def test_it_runs(tmp_path: Path, eventually: Eventually) -> None:
    """As its page says, with a worker and a file: the page shows a hundred repositories."""
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "COLLECT_SHELF": str(tmp_path / "s.db")}
    environment["ROPEWAY_URL"] = f"sqlite:///{tmp_path / 'jobs.db'}"
    command = [sys.executable, "-m", "examples.collect", "--port", "0", "--api-port", "0"]
    running = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert running.stdout is not None
        said = re.search(r"http://\S+/", running.stdout.readline())
        assert said is not None

        def shown() -> bool:
            with urllib.request.urlopen(f"{said[0]}top.json", timeout=10) as answer:
                return len(json.load(answer)["top"] or ()) == 100

        eventually(shown, 20.0)
    finally:
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=20)
    assert running.returncode == 0
