"""From the words of a command line to the arguments of a task, by its signature."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Any, get_type_hints

import msgspec

from ropeway.errors import BadArguments
from ropeway.task import Definition

Arguments = tuple[list[Any], dict[str, Any]]
NAMED = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
"""A word that is an argument by name."""

_NULL = {"type": "null"}


def parse(task: Definition, words: Sequence[str], more: str | None = None) -> Arguments:
    """Read `words`, each a value or name=value, and the JSON object `more`.

    A parameter that takes only text gets the word as it is; for any other the word is read as
    JSON, and is text when it is none. Raises `BadArguments`, with the signature.
    """
    _ = task.signature.result_type  # raises `BadTask` where the annotations cannot be read
    hints = get_type_hints(task.function)
    signature = inspect.signature(task.function)
    named: dict[str, Any] = {}
    args: list[Any] = []
    places = _places(signature)
    for word in words:
        if found := NAMED.fullmatch(word):
            name, text = found[1], found[2]
            if name in named:
                raise _refusal(task, f"{name} is given twice")
            named[name] = read(text, hints.get(_parameter(task, signature, name, word), Any))
        else:
            name = places[min(len(args), len(places) - 1)] if places else ""
            args.append(read(word, hints.get(name, Any)))
    for name, value in _object(task, more).items():
        if name in named:
            raise _refusal(task, f"{name} is given twice")
        named[name] = value
    return args, named


def read(word: str, kind: Any) -> Any:
    """Read one word for a parameter that is annotated with `kind`."""
    if takes_only_text(kind):
        return word
    try:
        return msgspec.json.decode(word.encode("utf-8", "surrogateescape"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return word


def takes_only_text(kind: Any) -> bool:
    """Tell if JSON writes every value of `kind` as a string, apart from None."""
    if kind is Any:
        return False
    try:
        schema = msgspec.json.schema(kind)
    except (TypeError, ValueError, RecursionError):
        return False  # a type that msgspec does not know: `send` will say so
    named = schema.get("$defs", {})
    options = [option for option in schema.get("anyOf", [schema]) if option != _NULL]
    return bool(options) and all(_is_text(option, named) for option in options)


def _is_text(schema: dict[str, Any], named: dict[str, Any]) -> bool:
    if reference := schema.get("$ref"):
        schema = named[reference.rpartition("/")[2]]
    choices = schema.get("enum", [])
    return schema.get("type") == "string" or (
        bool(choices) and all(isinstance(choice, str) for choice in choices)
    )


def _places(signature: inspect.Signature) -> list[str]:
    """The names of the parameters that take words without a name, in order."""
    keyword_only = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in signature.parameters.values() if p.kind not in keyword_only]


def _parameter(task: Definition, signature: inspect.Signature, name: str, word: str) -> str:
    """The parameter that takes a value called `name`."""
    if name in signature.parameters:
        return name
    for parameter in signature.parameters.values():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            return parameter.name
    first = next(iter(signature.parameters), None)
    hint = f"nothing was sent; to pass the text {word!r} name its parameter: {first}={word}"
    raise _refusal(task, f"there is no parameter {name!r}", hint if first else "")


def _object(task: Definition, text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise _refusal(
            task, f"--json-args is not a JSON object: {error}", """write --json-args '{"x": 1}'"""
        ) from None


def _refusal(task: Definition, fact: str, hint: str = "") -> BadArguments:
    what = f"{task.name}{inspect.signature(task.function)}: {fact}"
    return BadArguments(what, hint=hint or "nothing was sent")
