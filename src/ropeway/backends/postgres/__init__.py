"""PostgreSQL: shared by many machines, with both roles in one database."""

from ropeway.backends.postgres.address import Address
from ropeway.backends.postgres.backend import PostgresBackend
from ropeway.backends.postgres.commit import MOST_PUBLISHED
from ropeway.backends.postgres.link import Link

__all__ = ["MOST_PUBLISHED", "Address", "Link", "PostgresBackend"]
