"""The JSON API keeps to its description, whatever it is asked: nothing breaks it, nothing is vague.

`FUZZING_CASES=500` asks so many things of each endpoint, of either kind, instead of a few.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from ropeway import Ropeway
from tests.web.support import HOSTILE, filled

CASES = int(os.environ.get("FUZZING_CASES", "3"))
PLACES = ["sqlite", "postgres"] if CASES >= 100 else ["sqlite"]
CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
ACTIONS = "/actions/{action}"
MODES = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]

pytestmark = pytest.mark.timeout(max(60, CASES * 20))


@contextmanager
def served(url: str, folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Serve a dashboard over hostile jobs; yield its address, and headers that let one in."""
    command = [sys.executable, "-m", "ropeway", "dashboard", "--port", "0"]
    errors = folder / "errors.txt"
    with (
        errors.open("w") as said,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            env={**os.environ, "ROPEWAY_URL": url},
        ) as process,
    ):
        try:
            assert process.stdout is not None
            base, _, token = process.stdout.readline().strip().partition("?token=")
            yield base.rstrip("/"), {"authorization": f"Bearer {token}"}
        finally:
            process.terminate()
            process.wait(20)
    assert "Traceback" not in errors.read_text()


def names(app: Ropeway, sent: dict[str, str]) -> st.SearchStrategy[dict[str, Any]]:
    """Return what is there: ids, names and texts that a request may be about."""
    texts = st.sampled_from([HOSTILE, "", "a", "\x00", "é/..", "%2e%2e", "-1", "now", "1e400"])
    ids = st.sampled_from([*sent.values(), *(each[:30] for each in sent.values())])
    things = st.sampled_from(
        ["later", f"queued/{HOSTILE}", "nightly", "photo.liked", f"w-{HOSTILE}"[:60], "etl"]
    )
    terms = st.sampled_from(["state:failed", "args.user:a", "ran:>", "-tag:x", '"', "id:0", "q:*"])
    some = texts | ids | things
    return st.fixed_dictionaries(
        {},
        optional={
            "id": ids | texts,
            "name": things | texts,
            "target": some,
            "q": terms | texts,
            "before": ids | texts,
            "after": ids | texts,
            "expect": st.integers(0, 9),
            "place": texts | st.sampled_from(["first", "2020-01-01T00:00:00Z", "-1h"]),
        },
    )


def put(case: Case[Any], known: dict[str, Any]) -> None:
    """Ask for what is there, where something is asked for that hardly can be."""
    for name in case.path_parameters.keys() & {"id", "name"} & known.keys():
        case.path_parameters[name] = known[name] or "none"
    for given_, wanted in ((case.query, {"q", "before", "after"}), (case.body, {"q", "target"})):
        if isinstance(given_, dict):
            for name in given_.keys() & wanted & known.keys():
                given_[name] = known[name]
    if isinstance(case.body, dict) and "action" in case.path_parameters:
        case.body |= {name: known[name] for name in ("target", "expect", "place") if name in known}


def asked_of(
    operation: APIOperation[Any, Any, Any, Any], base: str, headers: dict[str, str], known: Any
) -> None:
    """Ask an endpoint for this and that, and look at each answer."""

    def ask(case: Case[Any], known: dict[str, Any] | None) -> None:
        if known is not None:
            put(case, known)
        answer = case.call(base_url=f"{base}/api/v1", headers=headers)
        checks = CHECKS if known is not None else [*CHECKS, negative_data_rejection]
        case.validate_response(answer, checks=checks)
        if answer.status_code != 200:
            told = answer.json()
            assert told["status"] == answer.status_code, told
            assert told["title"] and told["code"], told
            assert told["detail"] or answer.status_code == 409, told  # that says why by itself

    limits = settings(
        max_examples=CASES * (1 if operation.path != ACTIONS else 5),
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    for mode in MODES if operation.query or operation.body else MODES[:1]:
        strategy = operation.as_strategy(generation_mode=mode)
        aside = known if mode is GenerationMode.POSITIVE else known | st.none()
        limits(given(strategy, aside)(ask))()


def fuzzed(url: str, folder: Path) -> None:
    """Ask every endpoint of a dashboard over jobs at `url`."""
    app = Ropeway(url)
    known = names(app, filled(app, HOSTILE))
    with served(url, folder) as (base, headers):
        schema = schemathesis.openapi.from_url(f"{base}/api/v1/openapi.json", headers=headers)
        for found in schema.get_all_operations():
            assert isinstance(found, Ok)
            asked_of(found.ok(), base, headers, known)


@pytest.mark.parametrize("place", PLACES)
def test_every_endpoint(place: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """At length also on the database that is strictest about texts and numbers."""
    url = f"sqlite:///{tmp_path}/jobs.db"
    fuzzed(url if place == "sqlite" else request.getfixturevalue("postgres_url"), tmp_path)
