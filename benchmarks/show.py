"""Where figures go: to the terminal, and if asked for into a page and a file of JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.contender import SQLITE, Contender
from benchmarks.figures import Sample, spread, table
from benchmarks.pages import insert, listed, markdown
from benchmarks.scenarios import Plan, Scenario


class Show:
    """Shows each scenario as soon as it is measured."""

    def __init__(
        self,
        on: str,
        everyone: list[Contender],
        plan: Plan,
        *,
        page: Path | None,
        json_file: Path | None,
    ) -> None:
        self._ours = [each.label for each in everyone if each.ours]
        self._on = on
        self._page, self._json = page, json_file
        self._text: dict[str, Any] = {"plan": plan, "samples": []}

    def machine(self, about: dict[str, Any]) -> None:
        """Say where the figures are from."""
        self._text["machine"] = about
        print("\n".join(about["words"]))
        words = [f"{time.strftime('%Y-%m-%d')}: {about['words'][0]}", *about["words"][1:]]
        self._insert("machine", [f"- {line}" for line in words])

    def scenario(self, scenario: Scenario, samples: list[Sample]) -> None:
        """Say what came of one."""
        if samples:
            print("\n".join(table(samples, scenario.measures, self._ours)))
            print(f"  {_conditions(samples)}", flush=True)
            written = markdown if self._on == SQLITE else listed
            tables = written(samples, scenario.measures, self._ours)
            self._insert(scenario.name, [*tables, "", f"{_conditions(samples)}."])
        self._text["samples"] += samples
        if self._json:
            built = msgspec.to_builtins(self._text, enc_hook=str)
            self._json.write_text(json.dumps(built, indent=1))

    def _insert(self, name: str, lines: Sequence[str]) -> None:
        if self._page:
            block = name if self._on == SQLITE else f"{self._on}-{name}"
            self._page.write_text(insert(self._page.read_text(), block, lines))


def _conditions(samples: Sequence[Sample]) -> str:
    loop = spread(sample.values["loop_mops"] for sample in samples)
    others = spread(sample.values["others_percent"] for sample in samples)
    return (
        f"A loop of Python just before: {loop.least:.0f} to {loop.most:.0f} million rounds a "
        f"second; other programs meanwhile: {others.least:.0f} to {others.most:.0f} % of a core"
    )
