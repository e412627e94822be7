"""What went wrong on the way to a server or in it, in the words of `ropeway.errors`."""

from __future__ import annotations

import ssl

import asyncpg

from ropeway.backends.postgres.address import Address
from ropeway.errors import (
    BackendUnavailable,
    Backpressure,
    ConfigError,
    Indeterminate,
    RopewayError,
    is_unknown_host,
)

_ROLLED_BACK = ("40001", "40P01")
_GONE = ("08", "57P01", "57P02", "57P03", "57P05", "25006", "25P03")
_FULL = ("53100", "53200")
_NO_TEXT = "22021"
# It has to wait, for others or for itself; what a person has to change is not among these.
_PASSING = ("08", "25006", "40", "53", "57", "58")

_SAID: tuple[tuple[str, str, str], ...] = (
    ("28P01", "the server refuses the password", "check the url, or PGPASSWORD, or ~/.pgpass"),
    ("28", "the server does not let this user in", "check the user in the url, and pg_hba.conf"),
    ("3D000", "there is no such database", "make it: createdb, or create database"),
    ("42501", "the user lacks a permission", "grant it, or let ropeway db sql be run by its owner"),
    ("3F000", "the schema is not there", "make it: ropeway db migrate"),
    ("42P01", "tables of ropeway are missing", "make them: ropeway db migrate"),
    ("53300", "the server has no connection left", "raise max_connections, or use a pooler"),
    ("57014", "a statement took too long and was ended", "see what the server is busy with"),
    ("55P03", "a lock was not to be had in time", "see who holds it: pg_locks"),
    (
        "25006",
        "the server only reads: it is a standby",
        "name the primary, or all hosts, in the url",
    ),
    ("42704", "the server does not know a parameter of the url", "check what is after the ?"),
    ("57P03", "the server is starting or shutting down", "try again in a moment"),
)


AFTERWARDS = (asyncpg.QueryCanceledError, asyncpg.ProgramLimitExceededError)
"""What a procedure that commits, and then tells, may end with when it has committed: it took too long,
or nobody can be told any more, for some session that listens has not heard of anything for too long."""


def unknown_of(error: asyncpg.PostgresError) -> Indeterminate:
    """Return what is raised for one of `AFTERWARDS`."""
    return Indeterminate(f"a commit was ended, before or after its end: {_text(error)}")


def rolled_back(error: BaseException) -> bool:
    """Whether the server gave the transaction up in favour of another: it may be tried again."""
    return isinstance(error, asyncpg.PostgresError) and error.sqlstate in _ROLLED_BACK


def gone(error: BaseException) -> bool:
    """Whether the connection is of no use any more."""
    if isinstance(error, asyncpg.PostgresError):
        return error.sqlstate is not None and error.sqlstate.startswith(_GONE)
    if isinstance(error, asyncpg.InternalClientError):
        return True
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, ValueError)  # that would be a parameter of ours
    return isinstance(error, OSError)


def translated(error: Exception, address: Address, *, unknown: bool) -> Exception:
    """Return what to raise for `error`; `unknown` says that a change may have been committed.

    What is nobody's fault but the statement's own is returned as it is.
    """
    if isinstance(error, RopewayError):
        return error
    if unknown and gone(error):
        return Indeterminate(
            f"the connection to {address} broke while a change was being committed: {_text(error)}"
        )
    if isinstance(error, asyncpg.ClientConfigurationError):
        return ConfigError(
            f"the url cannot be used: {error}", hint="see docs/reference/settings.md"
        )
    if isinstance(error, asyncpg.PostgresError) and error.sqlstate is not None:
        return _from_server(error, error.sqlstate, address)
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return BackendUnavailable(
            f"no server of {address} can write",
            hint="name the primary, or all hosts, in the url",
            away=True,
        )
    if isinstance(error, ssl.SSLError):
        return BackendUnavailable(
            f"{address}: the encrypted connection fails: {_text(error)}",
            hint="check sslmode and sslrootcert in the url",
        )
    if isinstance(error, TimeoutError):
        return BackendUnavailable(f"{address} does not answer", away=True)
    if gone(error):
        fact = f"{address} cannot be reached: {_text(error)}"
        return BackendUnavailable(fact, away=not is_unknown_host(error))
    return error


def _from_server(error: asyncpg.PostgresError, state: str, address: Address) -> Exception:
    if state == _NO_TEXT:
        return ValueError(f"PostgreSQL cannot store this text: {_text(error)}; take out the NUL")
    if state in _FULL:
        return Backpressure(
            f"{address} has no room left: {_text(error)}", hint="free disk or memory of the server"
        )
    away = state.startswith(_PASSING)
    for start, fact, hint in _SAID:
        if state.startswith(start):
            return BackendUnavailable(f"{address}: {fact}: {_text(error)}", hint=hint, away=away)
    if away or state.startswith(("XX", "F0")):
        return BackendUnavailable(f"{address} cannot do its work: {_text(error)}", away=away)
    return error


def _text(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
