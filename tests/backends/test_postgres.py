"""PostgreSQL keeps every promise of the contracts, among handles on one database."""

from __future__ import annotations

import pytest

from ropeway.backends.postgres import Address, Link, PostgresBackend
from ropeway.testing.conformance import (
    BackendSuite,
    DurableCases,
    MissedHintCases,
    SteppedSuite,
)
from ropeway.wrappers.batched import Batched
from ropeway.wrappers.ported import Ported
from tests.backends.postgres_rig import Make, database, harness, make, schema_url, side

__all__ = ["database", "harness", "make", "schema_url", "side"]


class TestPostgres(BackendSuite, DurableCases, MissedHintCases):
    """On a loop that user code shares."""


class TestBatched(BackendSuite, DurableCases):
    """Wrapped, as apps and workers have it."""

    @pytest.fixture
    def make(self, schema_url: str) -> Make:
        return lambda: Batched(PostgresBackend(Link(Address.of(schema_url))))


class TestStepped(SteppedSuite, DurableCases):
    """For callers without a loop: on the one that a thread has for all of them."""

    @pytest.fixture
    def make(self, schema_url: str) -> Make:
        def inner() -> Batched:
            return Batched(PostgresBackend(Link(Address.of(schema_url))))

        return lambda: Ported(inner, PostgresBackend.capabilities)
