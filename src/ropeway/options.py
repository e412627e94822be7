"""How a call is sent: what `using` and `@app.task` take, checked where it is written."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypedDict

from msgspec import Struct, field
from msgspec.structs import replace

from ropeway.config import seconds, size
from ropeway.errors import BadArguments, ConfigError
from ropeway.exchanges import ExchangeHandle
from ropeway.foreign import checked
from ropeway.limiting import LimitValue
from ropeway.message import DEFAULT_BAND, DEFAULT_QUEUE, HIGHEST_BAND, LOWEST_BAND, Terms
from ropeway.resources import Needs, is_usable, queue_for, split
from ropeway.retry import RetryPolicy, class_name
from ropeway.unique import Unique, unique_of

Duration = float | str | timedelta
"""Seconds, text such as `"5m"`, or a timedelta."""

Classes = tuple[type[BaseException], ...]
_LONGEST_HEADERS = 16_384
_LONGEST_KEY = 255
_OF_THE_RUN = frozenset({"retries", "timeout", "hard_timeout", "memory", "keep", "ack", "store"})
"""What of a task's options its workers know, so that messages need not say it."""


class Common(TypedDict, total=False):
    """What a task says for all its calls, and `using` for some."""

    queue: str | None
    priority: int | None
    key: str | None
    needs: Mapping[str, int] | None
    limits: Iterable[str] | Mapping[str, LimitValue] | None
    expires: Duration | datetime | None
    unique: bool | Duration | Unique | None
    retries: int | RetryPolicy | None
    timeout: Duration | None
    hard_timeout: Duration | None
    keep: Duration | None
    ack: Literal["late", "early"] | None
    store: bool | None
    tags: Iterable[str] | None
    headers: Mapping[str, str] | None


class Using(Common, total=False):
    """What `using` takes."""

    exchange: str | ExchangeHandle | None
    routing_key: str | None
    mandatory: bool | None
    delay: Duration | None
    at: datetime | None
    connection: Any


class ForTask(Common, total=False):
    """What `@app.task` takes, beside its name."""

    memory: int | str | None
    version: int
    retry_on: Classes
    dont_retry_on: Classes


class Options(Struct, frozen=True, kw_only=True):
    """How a call is sent, checked and ready for its message."""

    queue: str = DEFAULT_QUEUE
    band: int = DEFAULT_BAND
    delay: float = 0.0
    due: float | None = None
    key: str | None = None
    limits: tuple[str, ...] = ()
    expires: float | None = None
    policy: RetryPolicy | None = None
    headers: dict[str, str] = field(default_factory=dict)
    terms: Terms | None = None
    exchange: str = ""
    routing_key: str = ""
    mandatory: bool | None = None
    unique: Unique | None = None
    connection: Any = None


def changed(old: Options, policy: RetryPolicy, given: Mapping[str, Any]) -> Options:
    """Return `old` with what was `given` to `using`; raises `BadArguments`.

    A number of retries changes the task's `policy` in that alone.
    """
    _refuse_unknown(given, Using.__optional_keys__)
    given = {name: value for name, value in given.items() if value is not None}
    if not given:
        return old
    changes: dict[str, Any] = {}
    for name in given.keys() & _CHECKS.keys():
        target, check = _CHECKS[name]
        changes[target] = check(given[name])
    changes |= _dates(given) | _place(given, old.queue) | _route(given, old)
    if "limits" in given:
        changes["limits"] = _limit_names(given["limits"])
    if "headers" in given:
        changes["headers"] = old.headers | _headers(given["headers"])
    if "retries" in given:
        changes["policy"] = policy_of(given["retries"], old.policy or policy)
    terms = replace(old.terms or Terms(), **_terms(given, old.terms or Terms()))
    if terms != Terms():
        changes["terms"] = terms
    return replace(old, **changes)


def for_task(given: Mapping[str, Any]) -> tuple[Options, Terms, RetryPolicy]:
    """Share out what `@app.task` was given: for every message, for the worker, for failures."""
    _refuse_unknown(given, ForTask.__optional_keys__)
    retries = given.get("retries")
    policy = policy_of(
        3 if retries is None else retries,
        RetryPolicy(),
        given.get("retry_on", ()),
        given.get("dont_retry_on", ()),
    )
    known = {name: value for name, value in given.items() if value is not None}
    run = {name: value for name, value in known.items() if name in _OF_THE_RUN}
    sent = {name: known[name] for name in known.keys() & Common.__optional_keys__ - _OF_THE_RUN}
    options = changed(Options(), policy, sent)
    if (version := _version(given.get("version", 1))) != 1:
        options = replace(options, terms=replace(options.terms or Terms(), version=version))
    return options, Terms(**_terms(run, Terms())), policy


def _version(version: int) -> int:
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise BadArguments(f"version={version!r} is not a version", hint="write 1, 2, 3, ...")
    return version


def policy_of(
    retries: int | RetryPolicy, base: RetryPolicy, only: Classes = (), never: Classes = ()
) -> RetryPolicy:
    """Return the policy that `retries` asks for, with classes of exceptions added to it."""
    if isinstance(retries, RetryPolicy):
        base = _checked_policy(retries)
    elif isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise BadArguments(
            f"retries={retries!r} is not a count", hint="write 0 or more, or a RetryPolicy"
        )
    else:
        base = replace(base, retries=retries)
    return replace(
        base,
        retryable=(*base.retryable, *_class_names("retry_on", only)),
        non_retryable=(*base.non_retryable, *_class_names("dont_retry_on", never)),
    )


def _checked_policy(policy: RetryPolicy) -> RetryPolicy:
    for name, least in (("retries", 0), ("max_losses", 1), ("base", 0), ("cap", 0), ("max_age", 0)):
        value = getattr(policy, name)
        usable = isinstance(value, int | float) and not isinstance(value, bool) and value >= least
        if not usable and not (name == "max_age" and value is None):
            raise BadArguments(
                f"RetryPolicy: {name}={value!r} cannot be", hint=f"write {least} or more"
            )
    return policy


def duration(value: Duration, name: str) -> float:
    """Return seconds, or raise `BadArguments`."""
    try:
        return seconds(value.total_seconds() if isinstance(value, timedelta) else value, name)
    except ConfigError as error:
        raise BadArguments(error.fact, hint=error.hint) from None


def checked_queue(queue: str) -> str:
    """Return a usable queue name, or raise `BadArguments`."""
    base, needs = split(_name(queue, "queue"))
    if needs:
        raise BadArguments(
            f"queue={queue!r} is where calls to {base!r} wait that need {dict(needs)}",
            hint=f"write queue={base!r}, needs={dict(needs)}",
        )
    return queue


def checked_priority(priority: int) -> int:
    """Return a usable priority, or raise `BadArguments`."""
    wrong = isinstance(priority, bool) or not isinstance(priority, int)
    if wrong or not LOWEST_BAND <= priority <= HIGHEST_BAND:
        raise BadArguments(
            f"priority={priority!r} is not from {LOWEST_BAND} to {HIGHEST_BAND}",
            hint="9 is claimed first",
        )
    return priority


def _limit_names(limits: Iterable[str]) -> tuple[str, ...]:
    if isinstance(limits, Mapping):
        raise BadArguments(
            "limits are declared at the app or at a task, and named here",
            hint=f"write limits={list(limits)!r}",
        )
    return tuple(dict.fromkeys(_name(each, "limits") for each in _several(limits, "limits")))


def _key(key: str) -> str:
    return _name(key, "key")


_CHECKS: dict[str, tuple[str, Any]] = {
    "priority": ("band", checked_priority),
    "key": ("key", _key),
    "unique": ("unique", unique_of),
    "connection": ("connection", checked),
}


def _place(given: Mapping[str, Any], old: str) -> dict[str, str]:
    if not given.keys() & {"queue", "needs"}:
        return {}
    queue, needs = split(old)
    if "queue" in given:
        queue = checked_queue(given["queue"])
    if "needs" in given:
        needs = _needs(given["needs"])
    return {"queue": _name(queue_for(queue, needs), "queue")}


def _route(given: Mapping[str, Any], old: Options) -> dict[str, Any]:
    if not given.keys() & {"exchange", "routing_key", "mandatory"}:
        return {}
    exchange = given.get("exchange", old.exchange)
    exchange = exchange if isinstance(exchange, str) else getattr(exchange, "name", None)
    if not isinstance(exchange, str) or not exchange:
        raise BadArguments(
            "routing_key and mandatory are for an exchange, and none is named",
            hint='write using(exchange="logs", routing_key="eu.error")',
        )
    key = given.get("routing_key", old.routing_key)
    if not isinstance(key, str) or (_size(key) or 0) > _LONGEST_KEY or _size(key) is None:
        raise BadArguments(f"routing_key={key!r} is no text of at most {_LONGEST_KEY} bytes")
    mandatory = given.get("mandatory", old.mandatory is not False)
    if not isinstance(mandatory, bool):
        raise BadArguments(f"mandatory={mandatory!r} is not True or False")
    if given.keys() & {"queue", "needs", "unique"} or old.unique is not None:
        raise BadArguments(
            "an exchange chooses the queues, so queue, needs and unique cannot be given with it",
            hint="leave them out, or send to the queue itself",
        )
    return {"exchange": _name(exchange, "exchange"), "routing_key": key, "mandatory": mandatory}


def _needs(needs: Mapping[str, int]) -> Needs:
    if not isinstance(needs, Mapping) or not all(is_usable(*each) for each in needs.items()):
        raise BadArguments(
            f"needs={needs!r} are not names with amounts", hint='write needs={"gpu": 1}'
        )
    return tuple(sorted(needs.items()))


def _dates(given: Mapping[str, Any]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if "delay" in given and "at" in given:
        raise BadArguments("both delay and at were given", hint="give one of them")
    if "delay" in given:
        changes |= {"delay": duration(given["delay"], "delay"), "due": None}
    if "at" in given:
        changes |= {"delay": 0.0, "due": _instant(given["at"], "at")}
    if "expires" in given:
        dated = isinstance(given["expires"], datetime)
        changes["expires"] = _instant(given["expires"], "expires") if dated else None
    return changes


def _terms(given: Mapping[str, Any], old: Terms) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for name in given.keys() & {"timeout", "hard_timeout", "keep"}:
        changes[name] = duration(given[name], name)
    soft, hard = changes.get("timeout"), changes.get("hard_timeout")
    if 0.0 in {soft, hard}:
        raise BadArguments("a timeout of 0 lets nothing run", hint="leave it out for no limit")
    if soft is not None and hard is not None and hard < soft:
        raise BadArguments(
            f"hard_timeout={hard:g} s ends a process before timeout={soft:g} s stops the task",
            hint="make hard_timeout the longer one",
        )
    if "memory" in given:
        changes["memory"] = _memory(given["memory"])
    if "expires" in given:
        dated = isinstance(given["expires"], datetime)
        changes["expires"] = None if dated else duration(given["expires"], "expires")
    if "ack" in given:
        if given["ack"] not in {"late", "early"}:
            raise BadArguments(f"ack={given['ack']!r} is not known", hint='write "late" or "early"')
        changes["early"] = given["ack"] == "early"
    if "store" in given:
        if not isinstance(given["store"], bool):
            raise BadArguments(f"store={given['store']!r} is not True or False")
        changes["store"] = given["store"]
    if "tags" in given:
        tags = [_name(tag, "tags") for tag in _several(given["tags"], "tags")]
        changes["tags"] = tuple(dict.fromkeys([*old.tags, *tags]))
        if (total := sum(_size(tag) or 0 for tag in changes["tags"])) > _LONGEST_HEADERS:
            raise BadArguments(
                f"the tags take {total:,} bytes, more than {_LONGEST_HEADERS:,}",
                hint="data belongs into the arguments",
            )
    return changes


def _memory(value: int | str) -> int:
    try:
        return size(value, "memory")
    except ConfigError as error:
        raise BadArguments(error.fact, hint=error.hint) from None


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(headers, Mapping):
        raise BadArguments(f"headers={headers!r} are not names with texts")
    for name, value in headers.items():
        _name(name, "headers")
        if not isinstance(value, str) or _size(value) is None:
            raise BadArguments(f"headers: the value of {name!r} is not text: {value!r}")
    total = sum((_size(name) or 0) + (_size(value) or 0) for name, value in headers.items())
    if total > _LONGEST_HEADERS:
        raise BadArguments(
            f"the headers take {total:,} bytes, more than {_LONGEST_HEADERS:,}",
            hint="data belongs into the arguments",
        )
    return dict(headers)


def _several(values: Iterable[str], name: str) -> list[str]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise BadArguments(f"{name}={values!r} is not several names", hint=f'write {name}=["..."]')
    return list(values)


def _name(text: str, what: str) -> str:
    length = _size(text) if isinstance(text, str) else None
    if length is None or not 0 < length <= 255:
        raise BadArguments(f"{what}={text!r} is not a name", hint="use 1 to 255 bytes of text")
    return text


def _size(text: str) -> int | None:
    try:
        return len(text.encode())
    except UnicodeEncodeError:  # half a surrogate pair
        return None


def _class_names(option: str, classes: Classes) -> tuple[str, ...]:
    wrong = not isinstance(classes, tuple) or not all(
        isinstance(kind, type) and issubclass(kind, BaseException) for kind in classes
    )
    if wrong:
        raise BadArguments(
            f"{option}={classes!r} are not classes of exceptions",
            hint=f"write {option}=(ValueError, KeyError)",
        )
    return tuple(class_name(kind) for kind in classes)


def _instant(at: datetime, name: str) -> float:
    if not isinstance(at, datetime):
        raise BadArguments(f"{name}={at!r} is not a date", hint="write datetime(..., tzinfo=UTC)")
    if at.tzinfo is None:
        raise BadArguments(
            f"{name}={at.isoformat()} has no time zone", hint="write datetime(..., tzinfo=UTC)"
        )
    return at.astimezone(UTC).timestamp()


def _refuse_unknown(given: Mapping[str, Any], known: frozenset[str]) -> None:
    for name in given.keys() - known:
        close = difflib.get_close_matches(name, known, 1)
        raise TypeError(f"there is no option {name!r}" + (f"; use {close[0]!r}" if close else ""))
