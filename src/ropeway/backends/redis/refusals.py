"""What a server says when it does not do what it was asked, in ropeway's words."""

from __future__ import annotations

import re

from ropeway.errors import BackendUnavailable, Backpressure, RopewayError

_MOVING = "let the move of its slot end; a namespace is moved while its workers are stopped"
_LOGIN = "check the user and the password in the URL, and ACL LIST on the server"

_KNOWN: dict[str, tuple[type[RopewayError], str, str]] = {
    "LOADING": (BackendUnavailable, "is loading what it has kept", "wait until it has"),
    "READONLY": (BackendUnavailable, "is a replica now", "name the master, or use Sentinel"),
    "MASTERDOWN": (BackendUnavailable, "is a replica without its master", "name the master"),
    "NOREPLICAS": (
        BackendUnavailable,
        "has fewer replicas than its min-replicas-to-write",
        "bring its replicas back",
    ),
    "CLUSTERDOWN": (BackendUnavailable, "has a cluster that is down", "see CLUSTER INFO"),
    "MOVED": (BackendUnavailable, "does not serve this namespace's slot", "see CLUSTER SLOTS"),
    "ASK": (BackendUnavailable, "is giving this namespace's slot away", _MOVING),
    "TRYAGAIN": (BackendUnavailable, "is giving this namespace's slot away", _MOVING),
    "BUSY": (BackendUnavailable, "is busy with somebody's script", "end it by SCRIPT KILL"),
    "OOM": (
        Backpressure,
        "has its maxmemory full",
        "raise maxmemory, or keep less: keep=, keep_count=",
    ),
    "MISCONF": (
        Backpressure,
        "cannot write to its disk, and takes no changes",
        "see the server's log, and free space on its disk",
    ),
    "NOAUTH": (BackendUnavailable, "wants a password", _LOGIN),
    "WRONGPASS": (BackendUnavailable, "does not know this user and password", _LOGIN),
    "NOPERM": (BackendUnavailable, "does not allow this user to do that", ""),
}

_PASSING = {"LOADING", "READONLY", "MASTERDOWN", "NOREPLICAS", "CLUSTERDOWN", "TRYAGAIN", "BUSY"}
"""What ends by itself, or by what is being done about it already."""

_FOREIGN_KEY = re.compile(r"non local key|hash to the same slot", re.IGNORECASE)


class ScriptFailed(Exception):
    """A script ended with an error of its own: a fault in it, or in what it was given."""


def word(reply: Exception) -> str:
    """Return the first word of an error reply, which names its kind."""
    return str(reply).split(" ", 1)[0]


def refusal(reply: Exception, server: str, doing: str) -> Exception:
    """Return what to raise for an error reply of `server` to what was asked of it."""
    text = str(reply)
    known = _KNOWN.get(word(reply)) or _of_script(text)
    if known is None:
        return ScriptFailed(f"{doing} on {server}: {text}")
    kind, fact, hint = known
    if word(reply) == "NOPERM":
        # It names the command, the key or the channel that is missing.
        fact, hint = f"refuses: {text.removeprefix('NOPERM ')}", _rights()
    told = f"the Redis server {server} {fact}"
    if kind is BackendUnavailable:
        return BackendUnavailable(told, hint=hint, away=word(reply) in _PASSING)
    return kind(told, hint=hint)


def _of_script(text: str) -> tuple[type[RopewayError], str, str] | None:
    """A refusal may come from inside a script, with its word after the script's own."""
    if _FOREIGN_KEY.search(text):
        return _KNOWN["ASK"]
    for name in ("OOM", "MISCONF", "READONLY", "NOREPLICAS", "NOPERM"):
        if re.search(rf"(?:^|\s|-){name}\s", text):
            return _KNOWN[name]
    return None


def _rights() -> str:
    return "give it: ACL SETUSER <user> on '~{<namespace>}*' '&{<namespace>}*' +@all -@admin"
