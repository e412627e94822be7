"""The examples of workflows do what they say."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from ropeway import TaskFailed

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import the tasks of an example, whose app keeps its jobs in memory."""
    monkeypatch.setenv("ROPEWAY_URL", "memory://")
    spec = importlib.util.spec_from_file_location(f"{name}_tasks", EXAMPLES / name / "tasks.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, f"{name}_tasks", module)
    spec.loader.exec_module(module)
    return module


def test_the_words_of_a_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """The most frequent words are those that counting without a workflow finds."""
    tasks = load("corpus", monkeypatch)
    with tasks.app.testing() as sandbox:
        run = tasks.begin(5)
        sandbox.run_all()
        found = run.result(0)
        names = tasks.extract()
        assert len(names) > 50
        wanted = tasks.top(tasks.merge([tasks.count(name) for name in names]), 5)
        assert [tuple(each) for each in found] == wanted


def test_an_order_and_what_undoes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Approved it is shipped; too late, or not paid, what was done is undone, and no more."""
    tasks = load("orders", monkeypatch)
    with tasks.app.testing() as sandbox:
        good, late, unpaid = tasks.order("A", 40), tasks.order("B", 40), tasks.order("C", 0)
        sandbox.run()
        good.signal("approved", "ann")
        sandbox.run_all()
        assert good.result(0).endswith("approved by ann")

        def states(run: Any) -> dict[str, str]:
            with pytest.raises(TaskFailed):
                run.result(0)
            return {each.name: each.state for each in run.graph().nodes}

        assert states(late) | {"reserve": ""} == {
            "reserve": "",
            "charge": "succeeded",
            "approved": "failed",
            "ship": "cancelled",
            "refund": "succeeded",
            "put_back": "succeeded",
            "tell": "succeeded",
        }
        undone = states(unpaid)
        assert (undone["charge"], undone["refund"]) == ("failed", "cancelled")
        assert (undone["put_back"], undone["tell"]) == ("succeeded", "succeeded")
