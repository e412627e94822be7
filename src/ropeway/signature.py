"""A function's parameters as a type that checks, writes and reads its arguments."""

from __future__ import annotations

import functools
import hashlib
import inspect
import typing
from collections.abc import Callable, Sequence
from typing import Any, get_type_hints

import msgspec
from msgspec import UNSET, UnsetType

from ropeway.codec import Codec, Undecodable
from ropeway.codecs import codec_for
from ropeway.depends import sent_parameters
from ropeway.errors import BadArguments, BadTask, NotEncodable
from ropeway.exact import Check, check_of
from ropeway.nodes import Hole, planted

Arguments = tuple[list[Any], dict[str, Any]]
_Kinds = inspect.Parameter


class Signature:
    """Binds arguments as Python does, checks them against the annotations, and encodes them.

    A parameter that the caller left out is not written, so the function's own default applies
    where it runs. Parameters without an annotation take anything that can be encoded.
    """

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self.task = name
        self._function = function
        self._parameters = sent_parameters(function, name)
        if self._parameters and self._parameters[0].name in ("self", "cls"):
            raise BadTask(
                f"{name} looks like a method: its first parameter is {self._parameters[0].name!r}",
                hint="register a plain function that makes or looks up the object",
            )

    def __str__(self) -> str:
        try:
            whole = inspect.signature(self._function, eval_str=True)
        except Exception:  # noqa: BLE001  annotations may run anything
            return f"{self.task}{self._sent}"
        sent = [whole.parameters[each.name] for each in self._parameters]
        return f"{self.task}{whole.replace(parameters=sent)}"

    @property
    def parameters(self) -> Sequence[inspect.Parameter]:
        """What a caller sends."""
        return self._parameters

    @functools.cached_property
    def _sent(self) -> inspect.Signature:
        """The function's own signature without what is filled in where it runs."""
        return inspect.signature(self._function).replace(parameters=self._parameters)

    @functools.cached_property
    def _hints(self) -> dict[str, Any]:
        # Looked up late, so that annotations may name what the module defines further down.
        try:
            return get_type_hints(self._function, include_extras=True)
        except Exception as error:  # noqa: BLE001  annotations may run anything
            raise BadTask(
                f"the annotations of {self.task} cannot be read: {error}",
                hint="import the types that it names where the function is defined",
            ) from None

    @functools.cached_property
    def result_type(self) -> Any:
        """What results are decoded as: the return annotation, or anything."""
        return self._hints.get("return", Any)

    @functools.cached_property
    def check_result(self) -> Check | None:
        """What finds, in a result, what the return annotation leaves to be changed."""
        return check_of(self.result_type)

    @functools.cached_property
    def _checks(self) -> dict[str, Check]:
        """The same for each parameter that is not annotated, or not down to the last item."""
        kinds = self._kinds
        return {name: each for name in self._names if (each := check_of(kinds[name])) is not None}

    def annotation(self, name: str) -> Any:
        """Return what a parameter is annotated with, or `Any`."""
        return self._hints.get(name, Any)

    @functools.cached_property
    def _kinds(self) -> dict[str, Any]:
        return typing.get_type_hints(self._struct)

    @functools.cached_property
    def _struct(self) -> type[msgspec.Struct]:
        fields: list[Any] = []
        for parameter in self._parameters:
            kind = self._hints.get(parameter.name, Any)
            if parameter.kind is _Kinds.VAR_POSITIONAL:
                fields.append((parameter.name, list.__class_getitem__(kind), UNSET))
            elif parameter.kind is _Kinds.VAR_KEYWORD:
                fields.append((parameter.name, dict.__class_getitem__((str, kind)), UNSET))
            elif parameter.default is parameter.empty:
                fields.append((parameter.name, kind))
            else:
                fields.append((parameter.name, kind | UnsetType, UNSET))
        try:
            made = msgspec.defstruct(
                "arguments",
                fields,
                kw_only=not self._bare,
                forbid_unknown_fields=True,
            )
            msgspec.json.Decoder(made)
        except (TypeError, ValueError) as error:
            raise BadTask(
                f"the parameters of {self.task} cannot be checked: {error}",
                hint="annotate with types that msgspec reads, or with Any",
            ) from None
        return made

    @functools.cached_property
    def _bare(self) -> bool:
        """Whether every parameter can be given by position or name, so that binding is simple."""
        return all(p.kind is _Kinds.POSITIONAL_OR_KEYWORD for p in self._parameters)

    @functools.cached_property
    def _names(self) -> list[str]:
        return [parameter.name for parameter in self._parameters]

    @functools.cached_property
    def digest(self) -> str:
        """A short hash of the parameters, so that workers can tell versions of a task apart."""
        text = str(self._sent)
        return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()

    @property
    def text(self) -> str:
        """The parameters and the return annotation, as Python writes them."""
        return str(self).removeprefix(self.task)

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of the arguments as one object; a type it cannot say is open."""
        return msgspec.json.schema(self._struct, schema_hook=_open_schema)

    def encode(self, args: tuple[Any, ...], kwargs: dict[str, Any], codec: Codec) -> bytes:
        """Bind, check and write the arguments; raises `BadArguments` or `NotEncodable`."""
        try:
            values = self._bind(args, kwargs)
            body = codec.encode(values)
        except NotEncodable as error:
            raise self._which(values, codec, error) from None
        except TypeError as error:
            raise BadArguments(f"{self}: {error}", hint="nothing was sent") from None
        checked = codec.decode(body, self._struct)
        if isinstance(checked, Undecodable):
            raise BadArguments(f"{self}: {checked.reason}", hint="nothing was sent")
        for name, check in self._checks.items():
            if (value := getattr(values, name)) is not UNSET:
                try:
                    check(value, f"$.{name}", codec)
                except NotEncodable as error:
                    raise NotEncodable(f"{self.task}: {error.fact}", hint=error.hint) from None
        return body

    def only_parameter(self) -> str:
        """Return the name of the parameter that must be given, or comes first; `BadArguments`."""
        plain = (_Kinds.POSITIONAL_OR_KEYWORD, _Kinds.KEYWORD_ONLY)
        usable = [each for each in self._parameters if each.kind in plain]
        needed = [each for each in self._parameters if each.default is each.empty]
        needed = [each for each in needed if each.kind in (*plain, _Kinds.POSITIONAL_ONLY)]
        if len(needed) > 1 or not usable or (needed and needed[0] not in usable):
            raise BadArguments(
                f"{self} does not take one argument", hint="write a task of one that calls it"
            )
        return (needed or usable)[0].name

    def encode_around(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], codec: Codec
    ) -> tuple[bytes, list[Hole]]:
        """Write arguments of which some are results of nodes; returns where those belong.

        What has no node in it is checked now, the rest where the call runs.
        """
        try:
            values = self._bind(args, kwargs)
        except TypeError as error:
            raise BadArguments(f"{self}: {error}", hint="nothing was sent") from None
        kinds = self._kinds
        body: dict[str, Any] = {}
        holes: list[Hole] = []
        for name in self._names:
            if (value := getattr(values, name)) is UNSET:
                continue
            before = len(holes)
            body[name] = planted(value, (name,), holes)
            if len(holes) == before:
                self._check_one(name, value, kinds[name], codec)
        try:
            return codec.encode(body), holes
        except NotEncodable as error:
            raise NotEncodable(f"{self.task}: {error.fact}", hint=error.hint) from None

    def _check_one(self, name: str, value: Any, kind: Any, codec: Codec) -> None:
        try:
            checked = codec.decode(codec.encode(value), kind)
            if isinstance(checked, Undecodable):
                where = checked.reason.replace("`$", f"`$.{name}")
                raise BadArguments(f"{self}: {where}", hint="nothing was sent")
            if (check := self._checks.get(name)) is not None:
                check(value, f"$.{name}", codec)
        except NotEncodable as error:
            raise NotEncodable(f"{self.task}: $.{name}: {error.fact}", hint=error.hint) from None

    def decode(self, body: bytes, content_type: str) -> Arguments:
        """Read and check arguments; raises `BadArguments`."""
        codec = codec_for(content_type)
        if codec is None:
            raise BadArguments(f"{self.task}: no codec for content type {content_type!r}")
        values = codec.decode(body, self._struct)
        if isinstance(values, Undecodable):
            raise BadArguments(f"{self.task}: the arguments cannot be read: {values.reason}")
        if self._bare:
            return [], {
                name: value for name in self._names if (value := getattr(values, name)) is not UNSET
            }
        return self._spread(values)

    def with_defaults(self, body: bytes, content_type: str) -> bytes:
        """Return encoded arguments with the defaults of those that were left out, if they can be."""
        codec = codec_for(content_type)
        values = codec.decode(body, dict[str, Any]) if codec is not None else None
        if codec is None or not isinstance(values, dict):
            return body
        defaults = {p.name: p.default for p in self._parameters if p.default is not p.empty}
        try:
            return codec.encode(defaults | values)
        except NotEncodable:
            return body

    def _which(self, values: msgspec.Struct, codec: Codec, error: NotEncodable) -> NotEncodable:
        """Say which argument it was that could not be encoded."""
        for name in self._names:
            try:
                codec.encode(getattr(values, name))
            except NotEncodable as found:
                hint = found.hint or "send something that JSON can hold, such as an id"
                return NotEncodable(f"{self.task}: $.{name}: {found.fact}", hint=hint)
        return error

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> msgspec.Struct:
        if self._bare:
            try:
                return self._struct(*args, **kwargs)
            except TypeError:
                pass  # said below, in Python's own words
        return self._struct(**self._sent.bind(*args, **kwargs).arguments)

    def _spread(self, values: Any) -> Arguments:
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for parameter in self._parameters:
            value = getattr(values, parameter.name)
            if value is UNSET:
                continue
            if parameter.kind is _Kinds.VAR_POSITIONAL:
                args += value
            elif parameter.kind is _Kinds.VAR_KEYWORD:
                kwargs |= value
            elif parameter.kind is _Kinds.KEYWORD_ONLY:
                kwargs[parameter.name] = value
            else:
                args.append(value)
        return args, kwargs


def _open_schema(kind: type) -> dict[str, Any]:
    return {"title": getattr(kind, "__name__", str(kind))}
