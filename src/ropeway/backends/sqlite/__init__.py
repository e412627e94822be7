"""SQLite: the embedded default, shared by many processes of one machine."""

from ropeway.backends.sqlite.backend import SqliteBackend
from ropeway.backends.sqlite.database import Database
from ropeway.backends.sqlite.transport import Blocking, Looped

__all__ = ["Blocking", "Database", "Looped", "SqliteBackend"]
