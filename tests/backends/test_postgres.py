"""PostgreSQL keeps every promise of the contracts, among handles on one database."""

from __future__ import annotations

from ropeway.testing.conformance import BackendSuite, DurableCases, MissedHintCases
from tests.backends.postgres_rig import database, harness, make, side

__all__ = ["database", "harness", "make", "side"]


class TestPostgres(BackendSuite, DurableCases, MissedHintCases):
    """On a loop that user code shares."""
